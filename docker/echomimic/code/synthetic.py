"""Stand-in weights of the right shape, for `faceorch smoke`: random networks that run, and know nothing."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL
from safetensors.torch import save_file
from src.models.face_locator import FaceLocator
from src.models.unet_2d_condition import UNet2DConditionModel
from src.models.unet_3d_echo import EchoUNet3DConditionModel
from src.models.whisper.whisper.model import ModelDimensions, Whisper

from . import models, shapes

# The smallest networks that upstream's classes can be: channels are multiples of 32, for the motion modules' groups,
# and of 8, for the heads. Whisper's width and length are fixed in upstream's code.
TINY = {
    "unet": {**shapes.FULL["unet"], "block_out_channels": [32, 64, 64, 64], "layers_per_block": 1},
    "vae": {**shapes.FULL["vae"], "block_out_channels": [32, 32, 32, 32], "layers_per_block": 1},
}
_WHISPER = ModelDimensions(80, 1500, 384, 6, 4, 51865, 448, 384, 6, 4)
TINY_WHISPER = ModelDimensions(80, 1500, 384, 6, 4, 8, 8, 384, 6, 1)


def make(weights: Path, *, full: bool) -> None:
    """Write every file of weights.yaml; `full`: in the real sizes (9 GB), otherwise as small as can be."""
    write(weights, shapes.FULL if full else TINY, _WHISPER if full else TINY_WHISPER)


def write(weights: Path, shape: dict[str, dict[str, Any]], dims: ModelDimensions) -> None:
    """Write every file of weights.yaml for networks of a shape."""
    torch.manual_seed(0)
    if shape != shapes.FULL:
        _new(weights / shapes.FILE).write_text(json.dumps(shape, indent=2), "utf-8")
    unet = shape["unet"]

    save_file(AutoencoderKL.from_config(dict(shape["vae"])).state_dict(), _new(weights / models.VAE))
    torch.save(UNet2DConditionModel.from_config(dict(unet)).state_dict(), _new(weights / models.REFERENCE))

    denoiser = EchoUNet3DConditionModel.from_config(shapes.denoiser(unet))
    # What upstream begins training with zeros would stay without effect: motion between frames, and the mask.
    _stir(value for name, value in denoiser.named_parameters() if "motion_modules" in name and "proj_out.w" in name)
    states = denoiser.state_dict()
    motion = {name: value for name, value in states.items() if "motion_modules" in name}
    torch.save(motion, _new(weights / models.MOTION))
    torch.save({name: states[name] for name in states if name not in motion}, _new(weights / models.DENOISER))
    del denoiser, states, motion

    locator = FaceLocator(unet["block_out_channels"][0], 1, (16, 32, 96, 256))
    _stir([locator.conv_out.weight])
    torch.save(locator.state_dict(), _new(weights / models.LOCATOR))

    whisper = Whisper(dims)
    _stir([whisper.decoder.positional_embedding])
    state = {name: value.half() for name, value in whisper.state_dict().items()}
    torch.save({"dims": asdict(dims), "model_state_dict": state}, _new(weights / models.WHISPER))


def _stir(values: Any) -> None:
    for value in values:
        torch.nn.init.normal_(value, std=0.01)


def _new(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
