"""The weights folder: which file holds what, and how large the networks are. Every tensor is read once."""

from __future__ import annotations

import json
import pickle
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from faceorch_kit.weights import Tensors, read_objects, read_tensors, require
from faceorch_runner import MissingWeight

DETECTOR = "gfpgan/weights/detection_Resnet50_Final.pth"
LANDMARKS = "gfpgan/weights/alignment_WFLW_4HG.pth"
PARSER = "gfpgan/weights/parsing_parsenet.pth"
RESTORER = "gfpgan/weights/GFPGANv1.4.pth"
# The mapping network of a whole portrait also takes where the face was cropped: 73 coefficients instead of 70.
MAPPING_FULL = "checkpoints/mapping_00109-model.pth.tar"
MAPPING_CROP = "checkpoints/mapping_00229-model.pth.tar"

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
        require(self._folder, *names)

    def part(self, name: str, prefix: str) -> Tensors:
        """Return the tensors of one network out of a safetensors file: those whose names begin with `prefix`."""
        self.require(name)
        return read_tensors(self._folder / name, f"{prefix}.")

    def pickled(self, name: str, entry: str | None = None) -> Tensors:
        """Return the tensors of a pickled file, or of one entry of the dict that it holds."""
        self.require(name)
        loaded = _unpickled(self._folder / name)
        if entry is not None:
            if not isinstance(loaded, Mapping) or entry not in loaded:
                raise MissingWeight(f"{name} has no entry {entry!r}")
            loaded = loaded[entry]
        return {key.removeprefix("module."): value for key, value in loaded.items()}


def _unpickled(path: Path) -> Any:
    try:
        return read_tensors(path)
    except MissingWeight as error:
        if not isinstance(error.__cause__, pickle.UnpicklingError):
            raise
        # Files of 2023 also hold optimisers and the like.
        reason = str(error.__cause__).splitlines()[0]
        print(f"{path.name} holds more than tensors ({reason}); read in full", file=sys.stderr)
        return read_objects(path)
