"""Clips as ffmpeg makes them, whole and cut, and what reading them says."""

from __future__ import annotations

import subprocess
from pathlib import Path

import imageio_ffmpeg
import pytest

from faceorch.errors import InputError
from faceorch.media.clip import LoadedClip, check_length, read_clip

TONE = "sine=frequency=220:duration=2"


def make(path: Path, *options: str, source: str = TONE) -> Path:
    """Make a clip with ffmpeg."""
    arguments = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", "-f", "lavfi", "-i", source, *options]
    subprocess.run([*arguments, str(path)], check=True, stdin=subprocess.DEVNULL)
    return path


def cut(path: Path) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    return path


def read(path: Path) -> LoadedClip:
    clip = read_clip(path)
    check_length(clip, 0.2)
    return clip


def refusal(path: Path) -> InputError:
    with pytest.raises(InputError) as caught:
        read(path)
    return caught.value
