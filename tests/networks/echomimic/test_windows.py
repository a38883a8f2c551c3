"""Which frames are denoised together."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tests.networks.conftest import load_code

code = load_code("echomimic", "windows")


@pytest.mark.parametrize(
    ("seconds", "frames"), [(15.0, 360), (0.02, 1), (0.0, 1), (1.25, 30), (2.01, 48), (60.0, 1440)]
)
def test_a_clip_has_the_frames_of_its_length(seconds: float, frames: int) -> None:
    assert code.frame_count(seconds, 24) == frames


@pytest.mark.parametrize("closed", [True, False])
@pytest.mark.parametrize("step", range(6))
@pytest.mark.parametrize("frames", [2, 11, 12, 13, 20, 30, 100, 361])
def test_every_frame_is_denoised_in_every_step_in_windows_of_the_trained_length(
    frames: int, step: int, closed: bool
) -> None:
    found = code.windows(frames, step, 12, 3, closed=closed)
    assert {frame for window in found for frame in window} == set(range(frames))
    assert all(len(set(window)) == min(frames, 12) for window in found)


def test_a_closed_clip_is_a_loop_that_moves_on_by_two_frames_a_step() -> None:
    first, second = (code.windows(30, step, 12, 3, closed=True) for step in (0, 1))
    assert [window[0] for window in first] == [0, 9, 18, 27]
    assert first[-1] == [27, 28, 29, 0, 1, 2, 3, 4, 5, 6, 7, 8]
    assert second == [[(frame + 2) % 30 for frame in window] for window in first]


@pytest.mark.parametrize("step", range(12))
def test_an_open_end_keeps_windows_within_the_clip(step: int) -> None:
    found = code.windows(100, step, 12, 3, closed=False)
    assert all(window == list(range(window[0], window[0] + 12)) for window in found)
    starts = [window[0] for window in found]
    assert all(0 < after - before <= 9 for before, after in pairwise(starts))


def test_windows_without_overlap_and_with_much() -> None:
    assert [window[0] for window in code.windows(24, 0, 12, 0, closed=True)] == [0, 12]
    assert [window[0] for window in code.windows(13, 0, 12, 11, closed=False)] == [0, 1]
