"""How large the networks are: those of the released weights, and smaller ones that stand in for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Sizes:
    """How large the networks are."""

    channels: tuple[int, int, int, int] = (320, 640, 1280, 1280)
    tokens: int = 768
    sound: int = 768
    sound_middle: int = 512
    hearing: int = 512
    hearing_middle: int = 3072
    vae: tuple[int, int, int, int] = (128, 256, 512, 512)
    vae_layers: int = 2
    identity: int = 512


FULL = Sizes()
TINY = Sizes((32, 64, 64, 64), 64, 64, 64, 32, 128, (32, 32, 32, 32), 1)


def unet(sizes: Sizes) -> dict[str, Any]:
    """Return Stable Diffusion 1.5's configuration with these sizes."""
    return {
        "_class_name": "UNet2DConditionModel",
        "_diffusers_version": "0.6.0",
        "act_fn": "silu",
        "attention_head_dim": 8,
        "block_out_channels": list(sizes.channels),
        "center_input_sample": False,
        "cross_attention_dim": sizes.tokens,
        "down_block_types": ["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"],
        "downsample_padding": 1,
        "flip_sin_to_cos": True,
        "freq_shift": 0,
        "in_channels": 4,
        "layers_per_block": 2,
        "mid_block_scale_factor": 1,
        "norm_eps": 1e-05,
        "norm_num_groups": 32,
        "out_channels": 4,
        "sample_size": 64,
        "up_block_types": ["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3,
    }
