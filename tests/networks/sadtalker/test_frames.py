"""Which columns of the spectrogram and which neighbours make a frame; blinks; the mel scale."""

from __future__ import annotations

import random

import numpy as np
import pytest

from tests.networks.conftest import load_code


@pytest.mark.parametrize(
    ("frame", "first"), [(0, 0), (1, 0), (2, 0), (3, 3), (4, 6), (5, 9), (6, 12), (7, 16), (377, 1200 - 16)]
)
def test_a_frame_hears_16_columns_from_two_frames_before_it(frame: int, first: int) -> None:
    found = load_code("sadtalker", "frames").heard_columns(frame, frame + 1, 1200)[0]
    begin = int(80.0 * ((frame - 2) / 25.0))
    assert found.tolist() == [min(max(column, 0), 1199) for column in range(begin, begin + 16)]
    assert found[0] == first if frame < 300 else found[-1] == 1199


def test_windows_are_bands_by_columns() -> None:
    columns = np.arange(40 * 80, dtype=np.float32).reshape(40, 80)
    windows = load_code("sadtalker", "frames").windows(columns, 3, 5)
    assert windows.shape == (2, 80, 16)
    assert np.array_equal(windows[0], columns[3:19].T)


def test_neighbours_are_13_on_each_side_and_the_ends_repeat() -> None:
    found = load_code("sadtalker", "frames").neighbours(5)
    assert found.shape == (5, 27)
    assert found[1].tolist() == [0] * 13 + [1, 2, 3] + [4] * 11


def draw(count: int) -> np.ndarray:
    """Stand in for upstream's draw: one random frame, and no choice at all for 21."""
    closed = np.zeros((count, 1))
    if count > 20:
        closed[random.choice(range(10, count // 2 if count < 22 else count))] = 1.0
    return closed


def test_21_frames_blink_like_22() -> None:
    with pytest.raises(IndexError):
        draw(21)
    blinks = load_code("sadtalker", "frames").blinks
    found = blinks(draw, 21, 1)
    assert found.shape == (21, 1)
    assert (found == blinks(draw, 22, 1)[:21]).all()


def test_blinks_follow_the_seed_and_nothing_else() -> None:
    blinks = load_code("sadtalker", "frames").blinks
    random.seed(5)
    expected = random.random()
    random.seed(5)
    first = blinks(draw, 200, 1)
    assert random.random() == expected
    assert (first == blinks(draw, 200, 1)).all()
    assert any((first != blinks(draw, 200, seed)).any() for seed in range(2, 6))


def test_the_mel_scale_is_slaneys() -> None:
    frames = load_code("sadtalker", "frames")
    hz = np.array([0.0, 200.0, 1000.0, 6400.0, 8000.0])
    mel = frames.slaney_mel(hz)
    assert mel.round(4).tolist() == [0.0, 3.0, 15.0, 42.0, round(42 + 27 * np.log(1.25) / np.log(6.4), 4)]
    assert np.allclose(frames.slaney_hz(mel), hz)


def test_mel_filters_have_equal_areas() -> None:
    """As triangles; a narrow one is drawn by few frequencies, hence the tolerance."""
    filters = load_code("sadtalker", "frames").mel_filters(80, 55.0, 7600.0, 401)
    assert filters.shape == (80, 401)
    assert filters.dtype == np.float32
    areas = filters.sum(axis=1) * 20.0  # 20 Hz between two frequencies
    assert np.abs(areas[40:] - 1.0).max() < 0.05
    assert (filters.argmax(axis=1)[1:] >= filters.argmax(axis=1)[:-1]).all()
