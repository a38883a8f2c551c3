"""Head motion: ranges of drawn turns, verdicts at the thresholds, and what does not count."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.networks.conftest import load_code

TIMES = np.arange(0.0, 15.0, 1 / 25)


def judged(degrees: float, shift: float = 0.0, hertz: float = 0.5) -> Any:
    wave = np.sin(2 * np.pi * hertz * TIMES)
    still = np.zeros(len(TIMES))
    angles = np.stack([still, still, degrees * wave], axis=1)
    return load_code("judge", "head").head_motion(TIMES, angles, np.stack([shift * wave, still], axis=1))


@pytest.mark.parametrize("degrees", [1.0, 4.0, 15.0])
def test_a_sine_ranges_from_its_5th_to_its_95th_percentile(degrees: float) -> None:
    found = judged(degrees)
    assert found.value == pytest.approx(2 * degrees * np.sin(0.45 * np.pi), rel=0.02)
    assert found.low <= found.value <= found.high
    assert found.details["roll_deg"] == pytest.approx(found.value)


@pytest.mark.parametrize(
    ("degrees", "shift", "verdict"),
    [
        (0.0, 0.0, "no"),
        (0.4, 0.0, "no"),
        (1.0, 0.0, "slight"),
        (2.0, 0.0, "yes"),
        (0.0, 0.05, "slight"),
        (0, 0.2, "yes"),
    ],
)
def test_verdicts(degrees: float, shift: float, verdict: str) -> None:
    assert judged(degrees, shift).verdict.value == verdict


def test_shaking_is_jitter_and_no_motion() -> None:
    found = judged(2.0, hertz=11.0)
    assert found.verdict.value == "no"
    assert found.details["jitter_deg"] == pytest.approx(2 / np.sqrt(2), rel=0.1)


def test_a_face_that_was_not_found_cannot_be_measured() -> None:
    nothing = np.full((len(TIMES), 3), np.nan)
    found = load_code("judge", "head").head_motion(TIMES, nothing, nothing[:, :2])
    assert found.verdict.value == "not_measurable"
    assert found.value is None


def test_a_gap_is_not_bridged() -> None:
    angles = np.zeros((len(TIMES), 3))
    angles[:, 0] = np.where(TIMES < 7, 0.0, 20.0)
    angles[(TIMES > 6) & (TIMES < 8)] = np.nan
    found = load_code("judge", "head").head_motion(TIMES, angles, np.zeros((len(TIMES), 2)))
    assert found.details["speed_deg_s"] < 1.0
