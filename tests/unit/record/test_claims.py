"""Findings in words: as many digits as their interval allows."""

from __future__ import annotations

import pytest

from faceorch.record.claims import figure, name_of
from faceorch.record.judgement import Finding, Verdict


@pytest.mark.parametrize(
    ("value", "low", "high", "unit", "text"),
    [
        (26.04, 24.2, 27.9, "deg", "26° (24 to 28)"),
        (4.5, 4.0, 5.0, "deg", "4.5° (4.0 to 5.0)"),
        (0.0012, 0.0, 0.002, "IOD/s", "0.001 IOD/s (0.000 to 0.002)"),
        (12.0, 3.1, 30.2, "/min", "12 /min (3 to 30)"),
        (-0.00047, -0.004, 0.003, "per 10 s", "0.000 per 10 s (-0.004 to 0.003)"),
        (0.312, None, None, "", "0.312"),
        (0.5, 0.5, 0.5, "", "0.5"),
        (1e-30, 0.0, 1e-29, "", "0.000000 (0.000000 to 0.000000)"),
        (1e18, 0.0, 2e18, "", "1000000000000000000 (0 to 2000000000000000000)"),
        (None, None, None, "deg", ""),
    ],
)
def test_the_interval_decides_the_digits(
    value: float | None, low: float | None, high: float | None, unit: str, text: str
) -> None:
    found = Finding(value=value, low=low, high=high, unit=unit, verdict=Verdict.YES, says="", reason="")
    assert figure(found) == text


def test_a_metric_without_a_name_of_ours_keeps_its_own() -> None:
    assert (name_of("lip_sync"), name_of("gaze_shift")) == ("lip-sync", "gaze shift")
