"""What several of upstream's scripts need to be given."""

from __future__ import annotations

import os
from pathlib import Path


def ffmpeg_on_path(work: Path) -> None:
    """Put the ffmpeg of imageio_ffmpeg on the path, by that name."""
    import imageio_ffmpeg

    (work / "bin").mkdir(exist_ok=True)
    if not (work / "bin/ffmpeg").exists():
        (work / "bin/ffmpeg").symlink_to(imageio_ffmpeg.get_ffmpeg_exe())
    os.environ["PATH"] = f"{work / 'bin'}{os.pathsep}{os.environ['PATH']}"
