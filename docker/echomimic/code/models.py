"""Upstream's networks with their weights, each read once and put straight to where it computes.

Upstream fills both large networks with random numbers, then with a base model's weights, and then with these.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, DDIMScheduler
from src.models.face_locator import FaceLocator
from src.models.unet_2d_condition import UNet2DConditionModel
from src.models.unet_3d_echo import EchoUNet3DConditionModel
from src.models.whisper.whisper.model import AudioEncoder

from faceorch_kit.weights import fill, present, read_tensors, repacked, require, whole

from . import shapes

DENOISER = "denoising_unet_acc.pth"
MOTION = "motion_module_acc.pth"
REFERENCE = "reference_unet.pth"
LOCATOR = "face_locator.pth"
WHISPER = "audio_processor/whisper_tiny.pt"
VAE = "sd-vae-ft-mse/diffusion_pytorch_model.safetensors"

_LOCATOR_CHANNELS = (16, 32, 96, 256)
_WHISPER = ("n_mels", "n_audio_ctx", "n_audio_state", "n_audio_head", "n_audio_layer")
_ENCODER = "encoder."
# The released autoencoder was written when diffusers named its attention layers otherwise.
_VAE_NAMES = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}

Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True, eq=False)
class Models:
    """The networks, ready on `device`; upstream's names in brackets."""

    device: torch.device
    dtype: torch.dtype
    vae: Any
    reference: Any  # reads the portrait (reference_unet)
    denoiser: Any  # (denoising_unet)
    locator: Any  # (face_locator)
    hearing: Any  # Whisper's encoder, in fp32 as upstream keeps it


def load(weights: Path, device: str) -> Models:
    """Load every network once: in fp16, as upstream does by default, but in fp32 on a CPU, which is slow in fp16."""
    require(weights, *(str(repacked(weights / name).relative_to(weights)) for name in (REFERENCE, MOTION, DENOISER)))
    require(weights, LOCATOR, WHISPER, VAE)
    place = torch.device(device)
    dtype = torch.float32 if place.type == "cpu" else torch.float16
    shape = shapes.read(weights)
    unet = shape["unet"]

    def ready(build: Callable[[], Any], tensors: Tensors, name: str, kind: torch.dtype = dtype) -> Any:
        return fill(build, tensors, place, name, kind)

    denoising = {**tensors_of(weights / MOTION), **tensors_of(weights / DENOISER)}
    heard = whole(present(weights / WHISPER), _mapped)
    encoder = {
        name.removeprefix(_ENCODER): value
        for name, value in heard["model_state_dict"].items()
        if name.startswith(_ENCODER)
    }
    return Models(
        device=place,
        dtype=dtype,
        vae=ready(
            lambda: AutoencoderKL.from_config(dict(shape["vae"])), _renamed(read_tensors(repacked(weights / VAE))), VAE
        ),
        reference=ready(
            lambda: UNet2DConditionModel.from_config(dict(unet)), tensors_of(weights / REFERENCE), REFERENCE
        ),
        denoiser=ready(
            lambda: EchoUNet3DConditionModel.from_config(shapes.denoiser(unet)), denoising, f"{DENOISER} with {MOTION}"
        ),
        locator=ready(
            lambda: FaceLocator(unet["block_out_channels"][0], 1, _LOCATOR_CHANNELS),
            tensors_of(weights / LOCATOR),
            LOCATOR,
        ),
        hearing=ready(
            lambda: AudioEncoder(*(heard["dims"][name] for name in _WHISPER)), encoder, WHISPER, torch.float32
        ),
    )


def scheduler() -> Any:
    """Return upstream's sampler: DDIM with v-prediction and zero terminal SNR."""
    return DDIMScheduler(**shapes.upstream_config()["noise_scheduler_kwargs"])


def tensors_of(path: Path) -> Tensors:
    """Return the tensors of a weight file, or of what it was repacked to; pages are read when they are used."""
    packed = repacked(path)
    if packed.suffix == ".safetensors":
        return read_tensors(packed)
    tensors: Tensors = whole(present(packed), _mapped)
    return tensors


def _mapped(path: Path) -> Any:
    return torch.load(path, map_location="cpu", weights_only=True, mmap=True)


def _renamed(tensors: Tensors) -> Tensors:
    """Return the autoencoder's tensors by the names that this diffusers gives its attention layers."""
    found = {}
    for name, value in tensors.items():
        layer, dot, kind = name.rpartition(".")
        above, _, last = layer.rpartition(".")
        found[f"{above}.{_VAE_NAMES[last]}{dot}{kind}" if last in _VAE_NAMES else name] = value
    return found
