"""Portraits and clips on their way in."""

from __future__ import annotations

from pathlib import Path

import cv2
import liveportrait_audio as audio
import liveportrait_pictures as pictures
import numpy as np
import pytest
from liveportrait_crop import present, whole
from liveportrait_face import Face, measure, refuse

from faceorch_runner import BadInput, MissingWeight, NoFace
from tests.conftest import write_tone


@pytest.mark.parametrize(("seconds", "frames"), [(1.0, 25), (5.0, 125), (0.5, 13), (1.001, 26), (0.0004, 1)])
def test_a_video_lasts_as_long_as_its_clip(seconds: float, frames: int) -> None:
    assert audio.frame_count(seconds, 25.0) == frames


@pytest.mark.parametrize("rate", [8000, 16000, 24000, 44100])
def test_clips_of_every_rate_are_heard_at_16_khz_and_at_their_own_loudness(tmp_path: Path, rate: int) -> None:
    path = write_tone(tmp_path / "clip.wav", seconds=1.0, rate=rate)
    heard = audio.read(path)
    assert audio.duration_s(path) == 1.0
    assert abs(len(heard) - 16000) <= 32
    middle = heard[4000:12000]
    assert float(np.abs(middle).max()) == pytest.approx(12000 / 32768, rel=0.02)
    crossings = np.flatnonzero((middle[:-1] < 0) & (middle[1:] >= 0))
    assert 16000 / np.diff(crossings).mean() == pytest.approx(220.0, rel=0.01)


def test_a_clip_that_cannot_be_decoded_is_named(tmp_path: Path) -> None:
    path = tmp_path / "clip.wav"
    path.write_bytes(b"RIFF")
    with pytest.raises(BadInput, match=r"^clip\.wav cannot be decoded: "):
        audio.read(path)


def test_windows_begin_with_the_silence_that_the_models_were_trained_with() -> None:
    samples = np.arange(1, 40001, dtype=np.float32)
    windows = audio.windows(samples, 63, 10, 25.0)
    assert windows.shape == (7, 6400)  # 63 frames and 2 of lead in windows of 10
    joined = windows.reshape(-1)
    assert not joined[:1280].any()
    assert joined[1280:41280].tolist() == samples.tolist()
    assert not joined[41280:].any()


def test_windows_never_outgrow_the_frames() -> None:
    assert audio.windows(np.ones(16050, np.float32), 8, 10, 25.0).shape == (1, 6400)


def test_pictures_come_out_with_even_sides_and_within_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "face.png"
    cv2.imwrite(str(path), np.full((801, 601, 3), (255, 0, 0), np.uint8))
    image = pictures.read(path)
    assert image[0, 0].tolist() == [0, 0, 255]
    assert pictures.fit(image, 1280).shape == (800, 600, 3)
    assert pictures.fit(image, 400).shape == (400, 300, 3)
    assert pictures.fit(np.zeros((1000, 33, 3), np.uint8), 500).shape == (500, 16, 3)


def test_a_picture_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    path = tmp_path / "face.png"
    path.write_bytes(b"")
    with pytest.raises(BadInput, match=r"^face\.png cannot be read as a picture$"):
        pictures.read(path)
    cv2.imwrite(str(path), np.zeros((20, 90, 3), np.uint8))
    with pytest.raises(BadInput, match=r"^face\.png is 90x20, 32 px or more a side needed$"):
        pictures.read(path)


POINTS = np.zeros((68, 2))


@pytest.mark.parametrize(
    ("face", "message"),
    [
        (None, "no face found in face.png (640x480): one face seen from the front needed"),
        (Face(POINTS, 40.0, 0.0, 0.0), "face is 40 px wide in face.png, 64 px or more needed: crop closer to it"),
        (Face(POINTS, 200.0, 60.0, 0.0), "face is turned aside by 60 degrees in face.png, 45 or less needed"),
        (Face(POINTS, 200.0, 0.0, 50.0), "face is tilted by 50 degrees in face.png, 45 or less needed"),
    ],
)
def test_a_face_that_cannot_be_used_is_refused(face: Face | None, message: str) -> None:
    with pytest.raises(NoFace) as caught:
        refuse("face.png", np.zeros((480, 640, 3), np.uint8), face)
    assert str(caught.value) == message


def test_a_good_face_is_taken() -> None:
    face = Face(POINTS, 200.0, 10.0, 5.0)
    assert refuse("face.png", np.zeros((480, 640, 3), np.uint8), face) is face


def test_a_mesh_says_how_a_face_is_turned_and_tilted() -> None:
    mesh = np.zeros((478, 3))
    mesh[[33, 133, 159, 145]], mesh[[362, 263, 386, 374]] = (100.0, 200.0, 0.0), (200.0, 300.0, 100.0)
    mesh[234], mesh[454] = (50.0, 250.0, 0.0), (250.0, 250.0, 0.0)
    mesh[152] = (150.0, 400.0, 7.0)
    face = measure(mesh)
    assert face.points.shape == (68, 2)
    assert face.points[8].tolist() == [150.0, 400.0]  # the chin
    assert (round(face.tilt_degrees), round(face.turn_degrees), face.width) == (45, 35, 200.0)


def test_a_weight_that_is_missing_or_damaged_is_named(tmp_path: Path) -> None:
    path = tmp_path / "landmark.onnx"
    with pytest.raises(MissingWeight) as caught:
        present(path)
    assert str(caught.value) == f"{path} is missing: fetch the network's weights"

    def read(file: Path) -> None:
        raise ValueError("no graph in it\nand more")

    with pytest.raises(MissingWeight) as caught:
        whole(path, read)
    assert str(caught.value) == "landmark.onnx cannot be read, fetch it again: no graph in it"


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")])
def test_a_machine_that_is_too_small_is_no_damaged_weight(tmp_path: Path, error: Exception) -> None:
    def read(file: Path) -> None:
        raise error

    with pytest.raises(type(error)):
        whole(tmp_path / "landmark.onnx", read)
