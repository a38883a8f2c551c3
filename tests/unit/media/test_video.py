"""A finished video is what networks make, which is asked before anything of it is decoded."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from faceorch.media.video import BrokenVideo, probe_video, still
from tests.unit.encoded import PICTURE, SOUND, make


def problem(path: Path) -> str:
    with pytest.raises(BrokenVideo) as caught:
        probe_video(path)
    with path.open("rb") as file:
        assert still(file) is None
    return str(caught.value)


def test_h264_with_aac_is_taken(tmp_path: Path) -> None:
    path = make(tmp_path / "a.mp4", *PICTURE, *SOUND, "-c:v", "libx264", "-c:a", "aac")
    info = probe_video(path)
    assert (info.width, info.height, info.frames, info.codec, info.audio_codec) == (64, 48, 25, "h264", "aac")


@pytest.mark.parametrize("codec", ["png", "mjpeg", "mpeg4"])
def test_other_pictures_are_refused(tmp_path: Path, codec: str) -> None:
    path = make(tmp_path / "a.mp4", *PICTURE, "-c:v", codec, "-strict", "-2")
    assert problem(path).startswith("a.mp4 holds video of ")


def test_other_sound_is_refused(tmp_path: Path) -> None:
    path = make(tmp_path / "a.mp4", *PICTURE, *SOUND, "-c:v", "libx264", "-c:a", "libmp3lame")
    assert problem(path).startswith("a.mp4 holds audio of ")


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_picture_with_the_name_of_a_video_is_refused(tmp_path: Path, kind: str) -> None:
    Image.new("RGB", (64, 48)).save(tmp_path / "a.mp4", kind)
    assert problem(tmp_path / "a.mp4").startswith("a.mp4 cannot be decoded: ")


def test_frames_of_too_many_pixels_are_refused(tmp_path: Path) -> None:
    big = ("-f", "lavfi", "-i", "color=size=8192x4096:rate=1:duration=1")
    path = make(tmp_path / "a.mp4", *big, "-c:v", "libx264", "-preset", "ultrafast")
    assert problem(path) == "a.mp4 has frames of 8192x4096, 17 megapixels at most needed"
