"""Videos as ffmpeg encodes them, for tests of both sides of the contract."""

from __future__ import annotations

import subprocess
from pathlib import Path

import imageio_ffmpeg

PICTURE = ("-f", "lavfi", "-i", "testsrc=size=64x48:rate=25:duration=1")
SOUND = ("-f", "lavfi", "-i", "sine=duration=1")


def make(path: Path, *options: str) -> Path:
    """Make a video with ffmpeg."""
    arguments = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *options, str(path)]
    subprocess.run(arguments, check=True, stdin=subprocess.DEVNULL)
    return path
