"""Shapes of the networks. The released ones' stand here; stand-in weights bring a file of their own."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import yaml

FILE = "shapes.json"

# What Stable Diffusion 1's networks say of themselves, of which EchoMimic's are made.
FULL: dict[str, dict[str, Any]] = {
    "unet": {
        "act_fn": "silu",
        "attention_head_dim": 8,
        "block_out_channels": [320, 640, 1280, 1280],
        "center_input_sample": False,
        "cross_attention_dim": 768,
        "down_block_types": ["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"],
        "downsample_padding": 1,
        "flip_sin_to_cos": True,
        "freq_shift": 0,
        "in_channels": 4,
        "layers_per_block": 2,
        "mid_block_scale_factor": 1,
        "norm_eps": 1e-5,
        "norm_num_groups": 32,
        "out_channels": 4,
        "sample_size": 64,
        "up_block_types": ["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3,
    },
    "vae": {
        "act_fn": "silu",
        "block_out_channels": [128, 256, 512, 512],
        "down_block_types": ["DownEncoderBlock2D"] * 4,
        "in_channels": 3,
        "latent_channels": 4,
        "layers_per_block": 2,
        "norm_num_groups": 32,
        "out_channels": 3,
        "sample_size": 256,
        "up_block_types": ["UpDecoderBlock2D"] * 4,
    },
}


def read(weights: Path) -> dict[str, dict[str, Any]]:
    """Return the shapes of the networks whose weights lie in a folder."""
    own = weights / FILE
    if not own.is_file():
        return FULL
    shapes: dict[str, dict[str, Any]] = json.loads(own.read_text("utf-8"))
    return shapes


def denoiser(unet: dict[str, Any]) -> dict[str, Any]:
    """Return the shape of the denoising network, made from the 2D network's as upstream makes it."""
    return {
        **unet,
        "down_block_types": ["CrossAttnDownBlock3D"] * 3 + ["DownBlock3D"],
        "up_block_types": ["UpBlock3D"] + ["CrossAttnUpBlock3D"] * 3,
        "mid_block_type": "UNetMidBlock3DCrossAttn",
        **upstream_config()["unet_additional_kwargs"],
    }


def upstream_config() -> dict[str, Any]:
    """Return the configuration that upstream's accelerated script uses."""
    found = importlib.util.find_spec("src")
    assert found is not None
    assert found.submodule_search_locations
    root = Path(next(iter(found.submodule_search_locations))).parent
    config: dict[str, Any] = yaml.safe_load((root / "configs/inference/inference_v2.yaml").read_text("utf-8"))
    return config
