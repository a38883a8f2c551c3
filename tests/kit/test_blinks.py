"""Synthetic blinks: how often, how long, and how the lids move."""

from __future__ import annotations

import numpy as np

from faceorch_kit.blinks import blinks, closures


def test_blinks_come_at_the_asked_rate_and_never_in_step() -> None:
    found = [len(blinks(600.0, 20.0, seed)) / 10.0 for seed in range(20)]
    assert 17.0 < float(np.mean(found)) < 21.5
    pauses = np.diff([blink.start_s for blink in blinks(600.0, 20.0, 1)])
    assert pauses.min() > 0.3
    assert pauses.std() / pauses.mean() > 0.3


def test_the_same_seed_blinks_the_same_and_another_does_not() -> None:
    assert blinks(60.0, 20.0, 7) == blinks(60.0, 20.0, 7) != blinks(60.0, 20.0, 8)


def test_a_rate_of_zero_turns_blinks_off() -> None:
    assert blinks(600.0, 0.0, 1) == []
    assert closures([], 25, 25.0).tolist() == [0.0] * 25


def test_no_blink_is_cut_off_by_the_ends_of_a_clip() -> None:
    for seed in range(50):
        for blink in blinks(15.0, 30.0, seed):
            assert blink.start_s >= 0.4
            assert blink.end_s <= 14.9


def test_a_blink_shuts_the_eyes_wholly_and_closes_faster_than_it_opens() -> None:
    for seed in range(10):
        blink = blinks(60.0, 20.0, seed)[0]
        shut = closures([blink], 60 * 1000, 1000.0)
        moving = np.flatnonzero(shut > 0)
        assert shut.max() == 1.0
        assert 0.25 < len(moving) / 1000 < 0.38
        first, last = np.flatnonzero(shut == 1.0)[[0, -1]]
        assert first - moving[0] < 0.6 * (moving[-1] - last)
        assert np.abs(np.diff(shut, n=2)).max() < 2e-3  # smooth
        assert closures([blink], 60 * 25, 25.0).max() > 0.95  # also at 25 frames a second
