"""A clip as the motion model hears it: 16 kHz samples in windows, and how many frames it fills."""

from __future__ import annotations

import os
import subprocess
import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faceorch_runner import BadInput
from faceorch_runner.video import find_ffmpeg

Samples = NDArray[np.float32]

RATE = 16000
LEAD = 2  # frames: upstream puts 80 ms of silence before a clip, with which its models were trained


def duration_s(path: Path) -> float:
    """Return the length of a WAV file in seconds."""
    with wave.open(str(path), "rb") as clip:
        return clip.getnframes() / clip.getframerate()


def frame_count(seconds: float, fps: float) -> int:
    """Return how many frames cover a clip, the last one perhaps in part."""
    return max(1, int(np.ceil(seconds * fps - 1e-6)))


def read(path: Path) -> Samples:
    """Return the samples of a clip at 16 kHz, in -1..1, not normalised: the motion model hears loudness too."""
    arguments = [find_ffmpeg(), "-hide_banner", "-loglevel", "error", "-nostdin", "-i", os.fspath(path)]
    arguments += ["-ac", "1", "-ar", str(RATE), "-f", "f32le", "-"]
    done = subprocess.run(arguments, capture_output=True, check=False)
    if done.returncode != 0 or not done.stdout:
        reason = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise BadInput(f"{path.name} cannot be decoded: {reason[-1] if reason else 'it holds no sound'}")
    return np.frombuffer(done.stdout, np.dtype("<f4")).astype(np.float32)


def windows(samples: Samples, frames: int, length: int, fps: float) -> Samples:
    """Return the clip cut into windows (n, samples) of `length` frames each, for `frames` frames and the lead.

    The lead comes first, and silence fills the last window.
    """
    per_frame = RATE / fps
    count = max(1, -(-(frames + LEAD) // length))
    width = round(length * per_frame)
    padded = np.zeros(count * width, np.float32)
    start = round(LEAD * per_frame)
    sound = samples[: len(padded) - start]
    padded[start : start + len(sound)] = sound
    return padded.reshape(count, width)
