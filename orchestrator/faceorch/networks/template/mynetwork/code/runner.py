"""MyNetwork's runner: the portrait nods with the loudness of the clip. Put the real model where MODEL stands."""

from __future__ import annotations

import wave
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from faceorch_runner import BadInput, Job, Network, Progress

_SMALLEST = 32  # pixels a side
_NOD = 0.04  # of the height, at the loudest moment
_SWAY = 0.01  # of the width


class MyNetwork(Network):
    """Animates a portrait without looking at what it shows."""

    def check(self, job: Job) -> None:
        """Refuse a portrait that cannot be used, before any weights are read."""
        # MODEL: look for the face, and raise faceorch_runner.NoFace where there is none (then `face: true`).
        _read_portrait(job.portrait, int(job.settings["max_size"]))

    def setup(self, weights: Path | None, device: str) -> None:
        """Load the models, once for all jobs."""
        # MODEL: self.model = load(weights / "model.safetensors", device); weights.yaml says which files there are.

    def animate(self, job: Job, progress: Progress) -> Path:
        """Write one frame after the other."""
        fps, motion = float(job.settings["fps"]), float(job.settings["motion"])
        progress.stage("audio")
        loud = _loudness(job.audio, fps)
        # Equal seeds give equal videos: whatever is random comes from the job's seed.
        phase = np.random.default_rng(job.seed).uniform(0.0, 2.0 * np.pi)
        portrait = _read_portrait(job.portrait, int(job.settings["max_size"]))
        progress.stage("frames")
        with job.video(portrait.width, portrait.height, fps) as video:
            for index in range(len(loud)):
                # MODEL: frame = self.model(portrait, the clip around this moment)
                sway = _SWAY * motion * float(np.sin(phase + 2.0 * np.pi * 0.3 * index / fps))
                frame = _move(portrait, sway, _NOD * motion * float(loud[index]))
                video.write(frame.tobytes())  # height * width * 3 bytes of RGB
                progress.update(index + 1, len(loud))
        return video.path


def _read_portrait(path: Path, max_size: int) -> Image.Image:
    """Return the portrait with no side above `max_size`, and with even sides, as video needs them."""
    with Image.open(path) as file:
        image: Image.Image = file.convert("RGB")
    if min(image.size) < _SMALLEST:
        raise BadInput(f"{path.name} is {image.width}x{image.height}, {_SMALLEST} px or more a side needed")
    image.thumbnail((max_size, max_size), Image.Resampling.LANCZOS)
    return image.crop((0, 0, max(2, image.width // 2 * 2), max(2, image.height // 2 * 2)))


def _loudness(path: Path, fps: float) -> NDArray[np.float64]:
    """Return how loud the clip is at every frame, 1 at its loudest."""
    with wave.open(str(path), "rb") as clip:  # always mono, 16 bits
        samples = np.frombuffer(clip.readframes(clip.getnframes()), np.dtype("<i2")).astype(np.float64)
        rate = clip.getframerate()
    count = max(1, round(len(samples) / rate * fps))
    edges = np.linspace(0, len(samples), count + 1).astype(int)
    pieces = [samples[start:end] for start, end in pairwise(edges)]
    loud = np.array([np.sqrt(np.mean(piece**2)) if len(piece) else 0.0 for piece in pieces])
    loud = np.convolve(loud, np.full(5, 0.2), mode="same")[:count]
    return loud / max(1.0, float(loud.max()))


def _move(image: Image.Image, right: float, down: float) -> Image.Image:
    """Return the picture moved by parts of its size, enlarged so that no edge shows."""
    width, height = image.size
    zoom = 1.0 / (1.0 + 2.0 * max(abs(right), abs(down)))
    left = width * (0.5 - zoom / 2 - right * zoom)
    top = height * (0.5 - zoom / 2 - down * zoom)
    box = (zoom, 0.0, left, 0.0, zoom, top)
    return image.transform((width, height), Image.Transform.AFFINE, box, Image.Resampling.BICUBIC)
