"""Portraits and clips on their way in."""

from __future__ import annotations

import numpy as np
import pytest

from tests.networks.conftest import load_code

audio = load_code("liveportrait", "audio")
landmarks = load_code("liveportrait", "face").landmarks


@pytest.mark.parametrize(("seconds", "frames"), [(1.0, 25), (5.0, 125), (0.5, 13), (1.001, 26), (0.0004, 1)])
def test_a_video_lasts_as_long_as_its_clip(seconds: float, frames: int) -> None:
    assert audio.frame_count(seconds, 25.0) == frames


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


def test_a_mesh_holds_the_points_that_landmarks_start_from() -> None:
    mesh = np.zeros((478, 3))
    mesh[152] = (150.0, 400.0, 7.0)
    points = landmarks(mesh)
    assert points.shape == (68, 2)
    assert points[8].tolist() == [150.0, 400.0]  # the chin
