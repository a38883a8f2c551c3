"""Blinks in drawn lids: each counted once, by both witnesses, and none where there is none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.networks.conftest import load_code

FPS = 25


def lids(
    blinks_s: list[float], seconds: float = 15.0, model: list[float] | None = None, open_ratio: float = 0.3
) -> Any:
    """Return lids that shut at `blinks_s`, the model's estimate at `model`."""
    times = np.arange(0.0, seconds, 1 / FPS)

    def shut(at: list[float]) -> Any:
        return np.max([np.clip(1 - np.abs(times - time) / 0.1, 0, 1) for time in at] + [np.zeros(len(times))], axis=0)

    ratios = open_ratio * (1 - 0.9 * np.repeat(shut(blinks_s)[:, None], 2, axis=1))
    widths = np.ones((len(times), 2))
    return load_code("judge", "blinks").Lids.of(times, ratios, widths, shut(blinks_s if model is None else model))


@pytest.mark.parametrize("open_ratio", [0.15, 0.3, 0.45])
def test_every_blink_is_counted_once_whatever_the_eyes_are_like(open_ratio: float) -> None:
    at = [2.0, 5.0, 5.4, 9.0, 13.0]
    found = load_code("judge", "blinks").blinks(lids(at, open_ratio=open_ratio), 1.0)
    assert (found.details["count"], found.details["count_both"]) == (5, 5)
    assert found.verdict.value == "yes"
    assert found.value == pytest.approx(20.0, rel=0.02)
    assert found.low < found.value < found.high


def test_no_blink_in_15_s_is_no_and_in_5_s_unclear() -> None:
    blinks = load_code("judge", "blinks").blinks
    assert blinks(lids([]), 1.0).verdict.value == "no"
    assert "seldom" in blinks(lids([]), 1.0).reason
    assert blinks(lids([], seconds=5.0), 1.0).verdict.value == "unclear"
    assert blinks(lids([]), 0.9).verdict.value == "unclear"
    assert blinks(lids([], seconds=1.5), 1.0).verdict.value == "not_measurable"


def test_what_only_one_witness_has_seen_is_unclear() -> None:
    found = load_code("judge", "blinks").blinks(lids([4.0], model=[]), 1.0)
    assert found.verdict.value == "unclear"


def test_a_blink_at_the_end_counts() -> None:
    assert load_code("judge", "blinks").blinks(lids([14.9]), 1.0).details["count"] == 1
