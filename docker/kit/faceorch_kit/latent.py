"""Latents of Stable Diffusion's autoencoder to pictures, in batches and in order. The autoencoder is the caller's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from .finite import only_of_finite

SCALE = 0.18215  # of Stable Diffusion 1's latents


def decode(vae: Any, latents: torch.Tensor, batch: int = 1) -> Iterator[torch.Tensor]:
    """Yield pictures (n, 3, height, width) in 0..1 of latents (frames, 4, height/8, width/8), `batch` at a time.

    Each picture is that of its latent alone, but one that is not finite makes all of its batch NaN. Another batch size
    may take other kernels, and then its last bits differ.
    """
    scaled = 1 / SCALE * latents
    for part in scaled.split(batch):
        pictures = vae.decode(part).sample / 2 + 0.5
        yield only_of_finite(pictures.clamp(0, 1), pictures)


def to_bytes(pictures: torch.Tensor) -> torch.Tensor:
    """Return pictures (n, 3, height, width) in 0..1 as RGB bytes (n, height, width, 3), cut and not rounded."""
    return (pictures.float() * 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()
