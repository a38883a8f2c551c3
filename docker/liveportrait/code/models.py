"""Upstream's networks with their weights: LivePortrait's renderer and JoyVASA's motion model."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
import yaml
from src.config import base_config
from src.modules.appearance_feature_extractor import AppearanceFeatureExtractor
from src.modules.dit_talking_head import DitTalkingHead
from src.modules.motion_extractor import MotionExtractor
from src.modules.spade_generator import SPADEDecoder
from src.modules.stitching_retargeting_network import StitchingRetargetingNetwork
from src.modules.warping_network import WarpingNetwork

from faceorch_kit.half import SpadeDecoder, halve
from faceorch_kit.half.warping import Warp
from faceorch_kit.libraries import open_libraries
from faceorch_kit.weights import bake_spectral_norm, fill, present, read_objects, read_tensors, repacked, whole
from faceorch_runner import MissingWeight

from .audio import RATE
from .hubert import Hubert
from .keypoints import VALUES, Template

BASE = "liveportrait/base_models"
STITCHING = "liveportrait/retargeting_models/stitching_retargeting_module.pth"
MOTION = "JoyVASA/motion_generator/motion_generator_hubert_chinese.pt"
TEMPLATE = "JoyVASA/motion_template/motion_template.pkl"
HUBERT = "chinese-hubert-base/config.json"
SIZES = "models.yaml"  # of upstream, or of the weights folder when it brings its own (synthetic.py does)

# A table that the motion model computes by itself; upstream leaves it out too.
_COMPUTED = "denoising_net.TE.pe"
BASE_MODELS: dict[str, Any] = {
    "appearance_feature_extractor": AppearanceFeatureExtractor,
    "motion_extractor": MotionExtractor,
    "warping_module": WarpingNetwork,
    "spade_generator": SPADEDecoder,
}
_FIRST, _SECOND = "appearance_feature_extractor", "motion_extractor"  # look at a portrait before anything is painted


@dataclass(eq=False)
class Models:
    """The networks, ready on `device`; upstream's names in the field are F, M, W, G, S and R (eyes).

    `read_painters` reads W and G once more.
    """

    device: torch.device
    appearance: torch.nn.Module
    keypoints: torch.nn.Module
    warp: torch.nn.Module
    paint: torch.nn.Module
    stitch: torch.nn.Module
    eyes: torch.nn.Module
    motion: Any
    fps: float
    template: Template
    input_side: int
    read_painters: Callable[[], tuple[torch.nn.Module, torch.nn.Module]]
    halved: bool = False

    def painters(self, *, half: bool) -> tuple[torch.nn.Module, torch.nn.Module]:
        """Return the warping network and the decoder, with half weights (for autocast) or as their files have them.

        Only one of both is kept: together they would take as much memory as a batch of pictures.
        """
        if self.halved and not half:
            self.warp, self.paint = self.read_painters()
        elif half and not self.halved:
            halve(self.warp)
            halve(self.paint)
        self.halved = half
        return self.warp, self.paint

    @cached_property
    def tuned(self) -> tuple[Warp, SpadeDecoder]:
        """The warping network and the decoder in half precision; made when a job first wants them."""
        warp, paint = self.painters(half=False)
        return Warp(warp, self.device), SpadeDecoder(paint, self.device)


class MotionModel(DitTalkingHead):  # type: ignore[misc]
    """JoyVASA's motion model, whose ears are torchaudio's HuBERT with the sizes of `config`."""

    def __init__(self, config: Mapping[str, Any], **sizes: Any) -> None:
        self._config = config
        super().__init__(**sizes)

    def make_audio_encoder(self) -> torch.nn.Module:
        """Return the audio encoder; upstream's code, as patches.py leaves it, asks for it."""
        return Hubert(self._config)


def load(weights: Path, device: str, *, tuned: bool = False) -> Models:
    """Load every network once, side by side: read one file while another's network is built; `tuned` jobs may come."""
    sizes = read_sizes(weights)
    on, side = torch.device(device), int(sizes.get("input_side", 256))
    with ThreadPoolExecutor(1 + 2 * len(BASE_MODELS), "weights") as pool:
        opening = pool.submit(open_libraries, on, tuned=tuned)
        # The smallest is there in no time while nobody builds beside it, and its first look takes longest of all.
        first = _base_model(weights, _FIRST, sizes, on)
        looks = [pool.submit(_look_at_nothing, first, side, on)]
        moving = pool.submit(_motion_model, weights, on)
        rest = {name: pool.submit(_base_model, weights, name, sizes, on) for name in BASE_MODELS if name != _FIRST}
        packed = read_objects(weights / STITCHING)
        looks.append(pool.submit(_look_at_nothing, rest[_SECOND].result(), side, on))
        base = {_FIRST: first, **{name: future.result() for name, future in rest.items()}}
        bake_spectral_norm(base["spade_generator"])
        motion, fps = moving.result()
        for other in (opening, *looks):
            other.result()
    return Models(
        device=on,
        appearance=base["appearance_feature_extractor"],
        keypoints=base["motion_extractor"],
        warp=base["warping_module"],
        paint=base["spade_generator"],
        stitch=_small_model(packed, "retarget_shoulder", sizes["stitching_retargeting_module_params"]["stitching"], on),
        eyes=_small_model(packed, "retarget_eye", sizes["stitching_retargeting_module_params"]["eye"], on),
        motion=motion,
        fps=fps,
        template=whole(present(weights / TEMPLATE), Template.read),
        input_side=side,
        read_painters=lambda: _painters(weights, sizes, on),
    )


def read_sizes(weights: Path) -> dict[str, Any]:
    """Return the sizes of the networks: those of the weights folder, or else upstream's."""
    own = weights / SIZES
    upstream = Path(base_config.__file__).with_name(SIZES)
    raw = yaml.safe_load((own if own.is_file() else upstream).read_text("utf-8"))
    return dict(raw["model_params"])


def _painters(weights: Path, sizes: Mapping[str, Any], on: torch.device) -> tuple[torch.nn.Module, torch.nn.Module]:
    warp, paint = (_base_model(weights, name, sizes, on) for name in ("warping_module", "spade_generator"))
    bake_spectral_norm(paint)
    return warp, paint


def _base_model(weights: Path, name: str, sizes: Mapping[str, Any], on: torch.device) -> torch.nn.Module:
    path = repacked(weights / BASE / f"{name}.pth")
    network: torch.nn.Module = fill(
        lambda: BASE_MODELS[name](**sizes[f"{name}_params"]), read_tensors(path), on, path.name
    )
    return network


def _look_at_nothing(network: torch.nn.Module, side: int, on: torch.device) -> None:
    """Let a network have its first look, which takes longest, before a portrait comes."""
    with torch.no_grad(), torch.autocast("cuda", dtype=torch.float16) if on.type == "cuda" else nullcontext():
        network(torch.zeros((1, 3, side, side), device=on))


def _small_model(packed: Mapping[str, Any], name: str, sizes: Mapping[str, Any], on: torch.device) -> torch.nn.Module:
    if name not in packed:
        raise MissingWeight(f"{STITCHING} has no '{name}'")
    state = {key.removeprefix("module."): value for key, value in packed[name].items()}
    model: torch.nn.Module = fill(lambda: StitchingRetargetingNetwork(**sizes), state, on, Path(STITCHING).name)
    return model


def _motion_model(weights: Path, on: torch.device) -> tuple[Any, float]:
    path = weights / MOTION
    checkpoint = read_objects(path)
    arguments = vars(checkpoint["args"])
    if arguments["audio_model"] not in ("hubert_zh", "hubert_zh_ori") or arguments["motion_feat_dim"] < VALUES:
        found = f"{arguments['audio_model']} and {arguments['motion_feat_dim']} values a frame"
        raise MissingWeight(f"{path.name} is for {found}: hubert_zh_ori and {VALUES} or more needed")
    config = whole(present(weights / HUBERT), _hubert_config)
    names = ("motion_feat_dim", "n_motions", "n_prev_motions", "feature_dim", "audio_model", "n_diff_steps")
    state = {key: value for key, value in checkpoint["model"].items() if key != _COMPUTED}
    model = fill(
        lambda: MotionModel(config, device="cpu", **{name: arguments[name] for name in names}),
        state,
        on,
        path.name,
        computed=frozenset({_COMPUTED}),
    )
    # As upstream has it: where no parameter wants a gradient, torch's layers take other kernels and round otherwise.
    model.requires_grad_(True)
    table, fps = model.denoising_net.TE, float(arguments["fps"])
    with torch.device(on):  # a CPU's sines and cosines differ from a GPU's in their last digits
        table.pe = type(table)(table.pe.shape[2], max_len=table.pe.shape[1]).pe
    with torch.no_grad():  # the first convolutions of a process take longer than those of a clip: here others load
        model.extract_audio_feature(torch.zeros((1, round(RATE / fps * model.n_motions)), device=on))
    return model, fps


def _hubert_config(path: Path) -> dict[str, Any]:
    config = dict(json.loads(path.read_text("utf-8")))
    if "conv_dim" not in config:
        raise ValueError("it has no 'conv_dim'")
    return config
