"""Latents to frames, one batch on its way to the host while the next is decoded."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from faceorch_kit.latent import decode, to_bytes
from faceorch_kit.portrait import Image
from faceorch_kit.stream import Landing
from faceorch_runner import RunnerError

from .decode import Decoder

BATCH = 4  # pictures decoded at once


def paint(decoder: Decoder, latents: torch.Tensor) -> Iterator[Image]:
    """Yield the frames (height, width, 3) of latents (frames, 4, height, width)."""
    waiting: Landing | None = None
    with torch.no_grad():
        for pictures in decode(decoder, latents, BATCH):
            landing = Landing(to_bytes(pictures), torch.isfinite(pictures).all())
            if waiting is not None:
                yield from _landed(waiting)
            waiting = landing
    if waiting is not None:
        yield from _landed(waiting)


def _landed(landing: Landing) -> Iterator[Image]:
    frames, finite = landing.wait()
    if not bool(finite):
        raise RunnerError("the decoded picture is not finite: if speed is tuned, set it to exact")
    yield from frames.numpy()
