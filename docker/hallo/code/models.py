"""Upstream's networks with their weights. Everything trained is in one file, so no other checkpoint is read."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from diffusers import AutoencoderKL, DDIMScheduler
from hallo.models.audio_proj import AudioProjModel
from hallo.models.face_locator import FaceLocator
from hallo.models.image_proj import ImageProjModel
from hallo.models.mutual_self_attention import ReferenceAttentionControl
from hallo.models.unet_2d_condition import UNet2DConditionModel
from hallo.models.unet_3d import UNet3DConditionModel

from faceorch_kit.weights import fill, read_tensors, repacked, require
from faceorch_runner import MissingWeight

NET = "hallo/net.pth"
UNET = "stable-diffusion-v1-5/unet/config.json"
VAE = "sd-vae-ft-mse"
VAE_WEIGHTS = f"{VAE}/diffusion_pytorch_model.safetensors"
WAV2VEC = "wav2vec/wav2vec2-base-960h"
FACES = "face_analysis"
LANDMARKER = f"{FACES}/models/face_landmarker_v2_with_blendshapes.task"
DETECTOR = f"{FACES}/models/scrfd_10g_bnkps.onnx"
IDENTITY = f"{FACES}/models/glintr100.onnx"
SEPARATOR = "audio_separator/Kim_Vocal_2.onnx"
# Without these three the separator would look for them in the network.
SEPARATOR_LISTS = tuple(
    f"audio_separator/{name}.json" for name in ("download_checks", "mdx_model_data", "vr_model_data")
)
NEEDED = (
    *(UNET, f"{VAE}/config.json", VAE_WEIGHTS, LANDMARKER, DETECTOR, IDENTITY),
    *(f"{WAV2VEC}/{name}" for name in ("config.json", "preprocessor_config.json", "model.safetensors")),
)

FRAMES = 16  # of a clip, as the networks were trained
MOTION_FRAMES = 2  # last frames of the clip before, which a clip goes on from
WINDOW = 5  # frames of sound that one frame hears
FPS = 25
RATE = 16000
IDENTITY_VALUES = 512


@dataclass(frozen=True, eq=False)
class Models:
    """The networks, ready on `device`; upstream's names in brackets."""

    device: torch.device
    dtype: torch.dtype
    vae: Any
    reference: Any  # reads the portrait and the last frames (reference_unet)
    writer: Any  # what hands out the features that `reference` leaves behind
    denoiser: Any  # (denoising_unet)
    locator: Any  # (face_locator)
    identity: Any  # (imageproj)
    voice: Any  # (audioproj)


def load(weights: Path, device: str) -> Models:
    """Load every network once: in fp16, as upstream does by default, but in fp32 on a CPU, which is slow in fp16."""
    dtype = torch.float32 if device == "cpu" else torch.float16
    require(weights, *NEEDED)
    shape = json.loads((weights / UNET).read_text("utf-8"))
    heard = json.loads((weights / WAV2VEC / "config.json").read_text("utf-8"))
    parts = _parts(read_tensors(repacked(weights / NET)))
    wide, tokens = parts["audioproj"]["norm.weight"].shape[0], parts["imageproj"]["norm.weight"].shape[0]
    builders: dict[str, Callable[[], Any]] = {
        "reference_unet": lambda: UNet2DConditionModel.from_config(dict(shape)),
        "denoising_unet": lambda: denoiser(shape, wide),
        "face_locator": lambda: FaceLocator(conditioning_embedding_channels=shape["block_out_channels"][0]),
        "imageproj": lambda: ImageProjModel(
            cross_attention_dim=tokens,
            clip_embeddings_dim=IDENTITY_VALUES,
            clip_extra_context_tokens=parts["imageproj"]["proj.weight"].shape[0] // tokens,
        ),
        "audioproj": lambda: AudioProjModel(
            seq_len=WINDOW,
            blocks=heard["num_hidden_layers"],
            channels=heard["hidden_size"],
            intermediate_dim=parts["audioproj"]["proj1.weight"].shape[0],
            output_dim=wide,
            context_tokens=parts["audioproj"]["proj3.weight"].shape[0] // wide,
        ),
    }
    filled = {name: fill(build, parts[name], device, NET, dtype) for name, build in builders.items()}
    vae = AutoencoderKL.from_pretrained(weights / VAE, local_files_only=True)
    reference = filled["reference_unet"]
    return Models(
        device=torch.device(device),
        dtype=dtype,
        vae=vae.requires_grad_(False).to(device, dtype).eval(),
        reference=reference,
        writer=ReferenceAttentionControl(
            reference, do_classifier_free_guidance=True, mode="write", batch_size=1, fusion_blocks="full"
        ),
        denoiser=filled["denoising_unet"],
        locator=filled["face_locator"],
        identity=filled["imageproj"],
        voice=filled["audioproj"],
    )


def denoiser(shape: Mapping[str, Any], audio_values: int) -> Any:
    """Return upstream's denoising network, made from the 2D network's configuration as upstream makes it."""
    config = {
        **shape,
        "_class_name": UNet3DConditionModel.__name__,
        "down_block_types": ["CrossAttnDownBlock3D"] * 3 + ["DownBlock3D"],
        "up_block_types": ["UpBlock3D"] + ["CrossAttnUpBlock3D"] * 3,
        "mid_block_type": "UNetMidBlock3DCrossAttn",
    }
    options = {**upstream_config()["unet_additional_kwargs"], "audio_attention_dim": audio_values}
    return UNet3DConditionModel.from_config(config, **options)


def scheduler() -> Any:
    """Return upstream's sampler: DDIM with v-prediction and zero terminal SNR."""
    options = dict(upstream_config()["noise_scheduler_kwargs"])
    options.update(rescale_betas_zero_snr=True, timestep_spacing="trailing", prediction_type="v_prediction")
    return DDIMScheduler(**options)


def upstream_config() -> dict[str, Any]:
    """Return the configuration that upstream's inference script uses by default."""
    import hallo

    path = Path(next(iter(hallo.__path__))).parent / "configs/inference/default.yaml"
    return dict(yaml.safe_load(path.read_text("utf-8")))


def _parts(tensors: Mapping[str, torch.Tensor]) -> dict[str, dict[str, torch.Tensor]]:
    parts: dict[str, dict[str, torch.Tensor]] = {
        name: {} for name in ("reference_unet", "denoising_unet", "face_locator", "imageproj", "audioproj")
    }
    for key, value in tensors.items():
        part, _, name = key.partition(".")
        if part not in parts:
            raise MissingWeight(f"{NET} does not fit the networks: it holds {key}")
        parts[part][name] = value
    needed = {
        "imageproj": ("norm.weight", "proj.weight"),
        "audioproj": ("norm.weight", "proj1.weight", "proj3.weight"),
    }
    absent = [f"{part}.{name}" for part, names in needed.items() for name in names if name not in parts[part]]
    if absent:
        raise MissingWeight(f"{NET} does not fit the networks: {', '.join(absent)} missing")
    return parts
