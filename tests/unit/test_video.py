"""A finished video is what networks make, which is asked before anything of it is decoded."""

from __future__ import annotations

import subprocess
from pathlib import Path

import av
import imageio_ffmpeg
import pytest
from PIL import Image

from faceorch.media.video import BrokenVideo, probe_video, still
from faceorch_runner import VideoWriter
from faceorch_runner.video import conform

PICTURE = ("-f", "lavfi", "-i", "testsrc=size=64x48:rate=25:duration=1")
SOUND = ("-f", "lavfi", "-i", "sine=duration=1")


def make(path: Path, *options: str) -> Path:
    """Make a video with ffmpeg."""
    arguments = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *options, str(path)]
    subprocess.run(arguments, check=True, stdin=subprocess.DEVNULL)
    return path


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


def says_bt709(path: Path) -> bool:
    """Whether a video says three times that it is BT.709, in its stream and in the box in which players look first."""
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        stream = (context.colorspace, context.color_primaries, context.color_trc)
    data = path.read_bytes()
    at = data.index(b"colr")
    return stream == (1, 1, 1) and data[at + 4 : at + 14] == b"nclx" + b"\0\1" * 3


def test_our_own_videos_say_three_times_that_they_are_bt709(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    sound = make(tmp_path / "a.wav", *SOUND)
    with VideoWriter(path, sound, 64, 48, 25) as video:
        for _ in range(25):
            video.write(bytes(64 * 48 * 3))
    assert says_bt709(path)


@pytest.mark.parametrize(
    "made",
    [
        ("-c:v", "mpeg4"),  # is encoded again
        ("-vf", "setparams=colorspace=bt709:color_primaries=bt709:color_trc=bt709,format=yuv420p", "-c:v", "libx264"),
    ],
    ids=["encoded", "copied"],
)
def test_so_do_videos_of_other_code(tmp_path: Path, made: tuple[str, ...]) -> None:
    sound = make(tmp_path / "a.wav", *SOUND)
    conform(make(tmp_path / "theirs.mp4", *PICTURE, *made), sound, tmp_path / "ours.mp4")
    assert says_bt709(tmp_path / "ours.mp4")
