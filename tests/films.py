"""Small true films in any codec that PyAV can write."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

RATE = 48_000
ONE_SECOND_S = [index / 25 for index in range(25)]


def write_film(
    path: Path,
    picture: str = "libx264",
    sound: str | None = "aac",
    *,
    size: tuple[int, int] = (64, 48),
    times_s: Sequence[float] = ONE_SECOND_S,
    pixels: str = "yuv420p",
) -> Path:
    """Write a film of grey frames at the given times, each brighter than the one before, with a second of noise."""
    with av.open(str(path), "w") as made:
        stream = made.add_stream(picture, rate=25)
        stream.width, stream.height = size
        stream.pix_fmt = pixels
        stream.codec_context.time_base = Fraction(1, 1000)
        heard = None if sound is None else made.add_stream(sound, rate=RATE, layout="mono")
        for index, time_s in enumerate(times_s):
            grey = np.full((size[1], size[0], 3), 5 * index % 256, np.uint8)
            frame = av.VideoFrame.from_ndarray(grey, format="rgb24").reformat(format=pixels)
            frame.pts, frame.time_base = round(1000 * time_s), Fraction(1, 1000)
            made.mux(stream.encode(frame))
        if heard is not None:
            noise = np.random.default_rng(0).normal(0, 0.1, (1, RATE)).astype(np.float32)
            resampler = av.AudioResampler(heard.format.name, "mono", RATE, heard.codec_context.frame_size or 1024)
            piece = av.AudioFrame.from_ndarray(noise, format="fltp", layout="mono")
            piece.sample_rate, piece.pts, piece.time_base = RATE, 0, Fraction(1, RATE)
            for part in (*resampler.resample(piece), *resampler.resample(None)):
                made.mux(heard.encode(part))
            made.mux(heard.encode(None))
        made.mux(stream.encode(None))
    return path
