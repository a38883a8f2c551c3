"""Series of a face: what a profile hides, and jumps from one face to another."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.networks.conftest import load_code


def series(count: int, **given: Any) -> dict[str, Any]:
    names = ("iod", "x", "y", "yaw", "pitch", "roll", "open", "wide", "lips", "jaw", "close", "pucker", "funnel")
    eyes = ("eye_left", "eye_right", "blink")
    return {name: np.ones(count) for name in (*names, *eyes)} | {"iod": np.full(count, 60.0)} | given


def test_what_a_profile_hides_is_not_known() -> None:
    watching = load_code("judge", "watching")
    yaw = 70 * np.sin(np.linspace(0, 2 * np.pi, 100))
    found = watching.settled(watching.Watched(np.arange(100) / 25, series(100, yaw=yaw), (320, 320)))
    assert (len(found.times), found.jumps, found.coverage) == (100, 0, 1.0)
    for name in ("open", "blink", "eye_left"):
        assert np.array_equal(np.isnan(found.series[name]), np.abs(yaw) > 45)


def test_a_jump_to_another_face_ends_what_is_judged() -> None:
    watching = load_code("judge", "watching")
    x = np.where(np.arange(50) < 30, 100.0, 220.0)
    found = watching.settled(watching.Watched(np.arange(50) / 25, series(50, x=x), (320, 320)))
    assert (len(found.times), found.jumps) == (30, 1)
