"""The mouth's range, and its rest while the clip is silent."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.networks.conftest import load_code

TIMES = np.arange(0.0, 12.0, 1 / 25)


def opened(reach: float, moving: slice = slice(None)) -> Any:
    wave = np.zeros(len(TIMES))
    wave[moving] = (0.5 + 0.5 * np.sin(2 * np.pi * 3 * TIMES))[moving]
    return load_code("judge", "mouth").opening(TIMES, reach * wave)[1]


@pytest.mark.parametrize(("reach", "verdict"), [(0.0, "no"), (0.05, "no"), (0.075, "slight"), (0.2, "yes")])
def test_verdicts_on_the_range(reach: float, verdict: str) -> None:
    found = load_code("judge", "mouth").mouth(opened(reach))
    assert found.verdict.value == verdict
    assert found.value == pytest.approx(0.935 * reach, rel=0.02)  # of a sine, a little lost to the filter


def spoken(count: int, speech: slice) -> Any:
    said = np.zeros(count)
    said[speech] = 1.0
    return said


def test_a_mouth_that_rests_in_silence() -> None:
    half = len(TIMES) // 2
    mouth = opened(0.2, slice(0, half))
    found = load_code("judge", "mouth").idle(mouth, spoken(len(mouth), slice(0, len(mouth) // 2)))
    assert found.verdict.value == "no"
    assert found.details["silent_s"] == pytest.approx(6.0, abs=0.1)
    assert found.details["ratio_to_speech"] < 0.1


def test_a_mouth_that_moves_in_silence() -> None:
    mouth = opened(0.2)
    found = load_code("judge", "mouth").idle(mouth, spoken(len(mouth), slice(0, len(mouth) // 2)))
    assert found.verdict.value == "yes"
    assert found.details["ratio_to_speech"] == pytest.approx(1.0, abs=0.1)


def test_pauses_within_words_are_no_silence() -> None:
    mouth = opened(0.2)
    said = np.ones(len(mouth))
    said[100:110] = 0.0
    assert load_code("judge", "mouth").idle(mouth, said).verdict.value == "not_measurable"
