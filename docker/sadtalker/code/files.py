"""The weights folder: which file holds what, and networks filled from it. Every tensor that is needed is read once."""

from __future__ import annotations

import json
import pickle
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open

from faceorch_runner import MissingWeight

DETECTOR = "gfpgan/weights/detection_Resnet50_Final.pth"
LANDMARKS = "gfpgan/weights/alignment_WFLW_4HG.pth"
PARSER = "gfpgan/weights/parsing_parsenet.pth"
RESTORER = "gfpgan/weights/GFPGANv1.4.pth"
# The mapping network of a whole portrait also takes where the face was cropped: 73 coefficients instead of 70.
MAPPING_FULL = "checkpoints/mapping_00109-model.pth.tar"
MAPPING_CROP = "checkpoints/mapping_00229-model.pth.tar"

_Network = TypeVar("_Network", bound=torch.nn.Module)
Tensors = dict[str, torch.Tensor]


# What stand-in weights leave beside themselves when they have not their networks' own dimensions.
DIMENSIONS = "dimensions.json"


@dataclass(frozen=True)
class Dimensions:
    """Where networks are smaller than upstream's: keywords of their classes, and the side of the rendered square."""

    side: int | None = None
    keypoints: dict[str, Any] = field(default_factory=dict)
    generator: dict[str, Any] = field(default_factory=dict)
    flow: dict[str, Any] = field(default_factory=dict)
    restorer: dict[str, Any] = field(default_factory=dict)
    parser: dict[str, Any] = field(default_factory=dict)

    def renderer(self, model: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """Return the keywords of upstream's configuration, with these in their place."""
        kinds = {key: dict(value) for key, value in model.items() if isinstance(value, Mapping)}
        kinds["kp_detector_params"].update(self.keypoints)
        kinds["generator_params"].update(self.generator)
        kinds["generator_params"]["dense_motion_params"] = {
            **kinds["generator_params"]["dense_motion_params"],
            **self.flow,
        }
        return kinds


def main_file(size: int) -> str:
    """Return the file that holds the five networks trained for pictures of `size` pixels."""
    return f"checkpoints/SadTalker_V0.0.2_{size}.safetensors"


class WeightsFolder:
    """Reads the files of one weights folder; `MissingWeight` names the one that is absent or broken."""

    def __init__(self, folder: Path | None) -> None:
        if folder is None:
            raise MissingWeight("no weights folder was given")
        self._folder = folder

    @property
    def dimensions(self) -> Dimensions:
        """The networks' dimensions: upstream's own, unless stand-in weights say otherwise."""
        path = self._folder / DIMENSIONS
        return Dimensions(**json.loads(path.read_text("utf-8"))) if path.is_file() else Dimensions()

    def require(self, *names: str) -> None:
        """Refuse a folder in which one of `names` is missing, before anything large is read."""
        missing = [name for name in names if not (self._folder / name).is_file()]
        if missing:
            raise MissingWeight(f"missing from the weights folder: {', '.join(missing)}")

    def part(self, name: str, prefix: str) -> Tensors:
        """Return the tensors of one network out of a safetensors file: those whose names begin with `prefix`."""
        self.require(name)
        start = f"{prefix}."
        try:
            with safe_open(self._folder / name, framework="pt") as file:
                keys = [key for key in file.keys() if key.startswith(start)]  # noqa: SIM118 - it is no mapping
                tensors = {key.removeprefix(start): file.get_tensor(key) for key in keys}
        except (SafetensorError, OSError) as error:
            raise MissingWeight(f"{name} cannot be read: {error}") from error
        if not tensors:
            raise MissingWeight(f"{name} holds no tensors of {prefix}")
        return tensors

    def pickled(self, name: str, entry: str | None = None) -> Tensors:
        """Return the tensors of a pickled file, or of one entry of the dict that it holds."""
        self.require(name)
        path = self._folder / name
        try:
            try:
                loaded = torch.load(path, map_location="cpu", weights_only=True)
            except pickle.UnpicklingError as error:
                # Files of 2023 also hold optimisers and the like. The sandbox is what protects the host from them.
                print(f"{name} holds more than tensors ({str(error).splitlines()[0]}); read in full", file=sys.stderr)
                loaded = torch.load(path, map_location="cpu", weights_only=False)
        except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
            raise MissingWeight(f"{name} cannot be read: {str(error).splitlines()[0]}") from error
        if entry is not None:
            if not isinstance(loaded, Mapping) or entry not in loaded:
                raise MissingWeight(f"{name} has no entry {entry!r}")
            loaded = loaded[entry]
        return {key.removeprefix("module."): value for key, value in loaded.items()}


def fill(build: Callable[[], _Network], tensors: Tensors, device: str, name: str) -> _Network:
    """Return the network that `build` makes, with `tensors` as its parameters and buffers, on `device`.

    It is built without memory first: filling it with random numbers that are thrown away takes longer than reading it.
    """
    with torch.device("meta"):
        network = build()
    try:
        network.load_state_dict({key: _full(value) for key, value in tensors.items()}, strict=True, assign=True)
    except RuntimeError as error:
        raise MissingWeight(f"{name} does not fit its network: {_first_reason(error)}") from error
    left = [key for key, value in _all_tensors(network) if value.is_meta]
    if left:
        raise MissingWeight(f"{name} does not fill {', '.join(left[:3])}")
    return network.to(device).requires_grad_(False).eval()


def _full(tensor: torch.Tensor) -> torch.Tensor:
    """Return fp16 as fp32: the networks compute in fp32, whatever the file holds."""
    return tensor.float() if tensor.is_floating_point() else tensor


def _all_tensors(network: torch.nn.Module) -> list[tuple[str, Any]]:
    return [*network.named_parameters(), *network.named_buffers()]


def _first_reason(error: RuntimeError) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[1] if len(lines) > 1 else lines[0]
