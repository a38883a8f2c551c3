"""The clip as an array: a mono 16-bit WAV file, as it is or at another rate."""

from __future__ import annotations

import os
import subprocess
import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faceorch_runner import BadInput
from faceorch_runner.video import find_ffmpeg

Samples = NDArray[np.float32]  # in -1..1


def duration_s(path: Path) -> float:
    """Return the length of a WAV file in seconds."""
    with wave.open(str(path), "rb") as clip:
        return clip.getnframes() / clip.getframerate()


def read(path: Path) -> tuple[NDArray[np.int16], int]:
    """Return the samples of a clip as the file holds them, and their rate in Hz."""
    with wave.open(str(path), "rb") as clip:
        channels, bits = clip.getnchannels(), 8 * clip.getsampwidth()
        if (channels, bits) != (1, 16):
            raise BadInput(f"{path.name} has {channels} channels of {bits} bits, mono 16 bits needed")
        return np.frombuffer(clip.readframes(clip.getnframes()), np.dtype("<i2")), clip.getframerate()


def to_float(samples: NDArray[np.int16]) -> Samples:
    """Return 16-bit samples as numbers in -1..1."""
    return np.asarray(samples.astype(np.float32) / 32768.0, np.float32)


def read_at(path: Path, rate: int) -> Samples:
    """Return the samples of a clip at `rate` Hz, resampled by ffmpeg."""
    arguments = [find_ffmpeg(), "-hide_banner", "-loglevel", "error", "-nostdin", "-i", os.fspath(path)]
    arguments += ["-ac", "1", "-ar", str(rate), "-f", "f32le", "-"]
    done = subprocess.run(arguments, capture_output=True, check=False)
    if done.returncode != 0 or not done.stdout:
        reason = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise BadInput(f"{path.name} cannot be decoded: {reason[-1] if reason else 'it holds no sound'}")
    return np.frombuffer(done.stdout, np.dtype("<f4")).astype(np.float32)
