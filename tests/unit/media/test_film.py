"""Videos that users bring: what browsers play is kept, what FFmpeg decodes is encoded, the rest is one line."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from faceorch.errors import InputError
from faceorch.media.film import take_film
from tests.films import write_film


def test_what_browsers_play_is_kept_to_the_byte(tmp_path: Path) -> None:
    path = write_film(tmp_path / "film.mp4")
    info, notes = take_film(path, tmp_path / "taken.mp4")
    assert (tmp_path / "taken.mp4").read_bytes() == path.read_bytes()
    assert (info.codec, info.audio_codec, info.frames, notes) == ("h264", "aac", 25, [])


@pytest.mark.parametrize(
    ("name", "picture", "sound", "was"),
    [
        ("film.webm", "libvpx-vp9", "libopus", "vp9 yuv420p in matroska"),
        ("film.webm", "libvpx", "libopus", "vp8 yuv420p in matroska"),
        ("film.mov", "libx264", "pcm_s16le", "h264 yuv420p in mov"),
        ("film.mkv", "libx265", "aac", "hevc yuv420p in matroska"),
        ("film.avi", "mpeg4", "mp3", "mpeg4 yuv420p in avi"),
        ("film.mkv", "libx264", "flac", "h264 yuv420p in matroska"),
    ],
)
def test_other_codecs_are_encoded_with_a_note(tmp_path: Path, name: str, picture: str, sound: str, was: str) -> None:
    info, notes = take_film(write_film(tmp_path / name, picture, sound), tmp_path / "taken.mp4")
    assert (info.codec, info.pixel_format, info.audio_codec) == ("h264", "yuv420p", "aac")
    assert (info.frames, info.width, info.height) == (25, 64, 48)
    assert notes == [f"encoded once more: it was {was}"]


def times_of(path: Path) -> list[float]:
    with av.open(str(path)) as container:
        return [round(float(frame.time or 0), 3) for frame in container.decode(video=0)]


def test_frames_keep_their_own_times(tmp_path: Path) -> None:
    times_s = (0.0, 0.04, 0.1, 0.3, 0.31, 0.9)
    take_film(write_film(tmp_path / "film.mkv", "libvpx-vp9", None, times_s=times_s), tmp_path / "taken.mp4")
    assert times_of(tmp_path / "taken.mp4") == list(times_s)


def test_odd_sizes_lose_a_line_and_a_film_without_sound_is_noted(tmp_path: Path) -> None:
    path = write_film(tmp_path / "film.mkv", "libx264", None, size=(65, 49), pixels="yuv444p")
    info, notes = take_film(path, tmp_path / "taken.mp4")
    assert (info.width, info.height, info.pixel_format, info.audio_codec) == (64, 48, "yuv420p", None)
    assert notes == ["encoded once more: it was h264 yuv444p in matroska", "it has no sound"]


def listed(folder: Path) -> bytes:
    write_film(folder / "real.mp4")
    return b"ffconcat version 1.0\nfile real.mp4\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda folder: b"", "has 0 bytes, 1 to 4294967296 needed"),
        (lambda folder: b"no film at all" * 100, "cannot be used: cannot be decoded"),
        (listed, "cannot be used: cannot be decoded"),
        (lambda folder: b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "cannot be used: cannot be decoded"),
        (lambda folder: write_film(folder / "real.mp4").read_bytes()[:700], "cannot be used: "),
    ],
)
def test_what_is_no_film_is_one_line(tmp_path: Path, content: object, message: str) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(content(tmp_path))  # type: ignore[operator]
    with pytest.raises(InputError) as caught:
        take_film(path, tmp_path / "taken.mp4")
    assert caught.value.message.startswith(f"{path} {message}")
    assert "\n" not in caught.value.message


def test_sound_alone_is_no_film(tmp_path: Path, clip: Path) -> None:
    with pytest.raises(InputError, match="cannot be used"):
        take_film(clip, tmp_path / "taken.mp4")


def test_folders_and_what_is_not_there_are_named(tmp_path: Path) -> None:
    for path, message in ((tmp_path, "is not a regular file"), (tmp_path / "x", "cannot read")):
        with pytest.raises(InputError, match=message):
            take_film(path, tmp_path / "taken.mp4")
