"""Likeness, sharpness and its drift, flicker, and when none of it is judged: drawn series, no model."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from tests.networks.conftest import load_code

pytest.importorskip("scipy", reason="the judge's own scipy is not installed here")

findings, quality = load_code("judge", "findings"), load_code("judge", "quality")

FPS = 25.0
TIMES = 2.0 + np.arange(0.0, 12.0, 1 / FPS)  # a shot in the middle of a file
EVERY = 12  # frames from one look to the next


def looked(values: np.ndarray | float, every: int = EVERY) -> np.ndarray:
    """Return values that are known in every so many frames only."""
    return np.where(np.arange(len(TIMES)) % every, np.nan, values)


def noise(size: float, seed: int = 1) -> np.ndarray:
    return size * np.random.default_rng(seed).standard_normal(len(TIMES))


@pytest.mark.parametrize(
    ("distances", "verdict", "says"),
    [
        (looked(0.3), "yes", "kept"),
        (looked(0.5), "slight", "drifts"),
        (looked(np.where(TIMES > 12, 0.58, 0.3)), "slight", "drifts"),  # only its end is another person's
        (looked(0.8), "no", "lost"),
    ],
)
def test_verdicts_on_identity(distances: np.ndarray, verdict: str, says: str) -> None:
    found = quality.identity(TIMES, distances)
    assert (found.verdict.value, found.says) == (verdict, says)
    assert found.value == pytest.approx(np.nanmedian(distances))
    assert found.details["worst"] == pytest.approx(np.nanmax(distances))
    assert found.details["looks"] == 25


@pytest.mark.parametrize(("missing", "distances"), [("its model is missing", looked(0.3)), ("", looked(np.nan))])
def test_identity_that_cannot_be_measured(missing: str, distances: np.ndarray) -> None:
    found = quality.identity(TIMES, distances, missing)
    assert found.verdict.value == "not_measurable"
    assert found.reason == (missing or "the face was not seen for long enough")


@pytest.mark.parametrize(
    ("blur", "portrait", "verdict"),
    [
        (0.42, 0.40, "yes"),
        (0.50, 0.40, "no"),
        (0.36, 0.40, "yes"),
        (0.25, 0.40, "unclear"),
        (0.4, np.nan, "not_measurable"),
    ],
)
def test_verdicts_on_sharpness(blur: float, portrait: float, verdict: str) -> None:
    found = quality.sharpness(TIMES, looked(blur + noise(0.005)), portrait)
    assert found.verdict.value == verdict
    assert found.details["blur"] == pytest.approx(blur, abs=0.005)
    if np.isfinite(portrait):
        assert found.value == pytest.approx(blur - portrait, abs=0.005)
        assert found.low <= found.value <= found.high


@pytest.mark.parametrize(
    ("slope", "jitter", "says"),
    [
        (0.0, 0.004, "steady"),
        (0.08, 0.004, "gets softer"),
        (-0.08, 0.004, "gets sharper"),
        (0.06, 0.15, "unclear"),  # lost in what a face that turns does to it
    ],
)
def test_verdicts_on_drift(slope: float, jitter: float, says: str) -> None:
    blur = looked(0.4 + slope * (TIMES - TIMES[0]) / 10 + noise(jitter, seed=3))
    found = quality.drift(TIMES, blur)
    assert found.says == says
    assert found.low < found.high
    if jitter < 0.01:
        assert found.value == pytest.approx(slope, abs=0.01)


def test_drift_needs_seconds() -> None:
    found = quality.drift(TIMES[:50], looked(0.4)[:50])
    assert found.verdict.value == "not_measurable"
    assert quality.drift(TIMES, looked(np.nan)).verdict.value == "not_measurable"


@pytest.mark.parametrize(("jump", "says"), [(0.2, "steady"), (1.5, "flickers slightly"), (4.0, "flickers")])
def test_verdicts_on_flicker(jump: float, says: str) -> None:
    lit = 120 + 10 * np.sin(2 * np.pi * 0.3 * TIMES)  # a head that turns to the light and back
    light = lit + jump / np.sqrt(2) * np.random.default_rng(5).standard_normal(len(TIMES))
    found = quality.flicker(TIMES, light, looked(0.7))
    assert found.says == says
    assert found.value == pytest.approx(np.hypot(jump, 0.53), rel=0.15)
    assert found.details["grain"] == pytest.approx(0.7)


def test_flicker_does_not_count_what_changes_while_the_face_is_away() -> None:
    light = np.where(TIMES < 8, 100.0, 160.0)
    light[(TIMES > 7) & (TIMES < 9)] = np.nan
    assert quality.flicker(TIMES, light, looked(np.nan)).value == 0
    kept = np.isfinite(light)
    assert quality.flicker(TIMES[kept], light[kept], looked(np.nan)[kept]).value == 0
    nobody = quality.flicker(TIMES, np.full(len(TIMES), np.nan), looked(np.nan))
    assert nobody.verdict.value == "not_measurable"


def judged(verdict: str) -> object:
    return findings.Finding(verdict=findings.Verdict(verdict), says=verdict, reason="")


@pytest.mark.parametrize(
    ("head", "mouth", "greyed"), [("no", "no", True), ("no", "yes", False), ("slight", "no", False)]
)
def test_a_picture_in_which_nothing_moves_earns_no_merit(head: str, mouth: str, greyed: bool) -> None:
    series = {"identity": looked(0.3), "blur": looked(0.4), "grey": np.full(len(TIMES), 120.0), "grain": looked(0.0)}
    series |= dict.fromkeys(("hair_px_s", "hair_expected_px_s", "hair_along", "hair_square"), looked(0.0, 2))
    series |= dict.fromkeys(("background_px_s", "background_along", "background_square"), looked(0.0, 2))
    series |= {"background_share": looked(0.5, 2), "background_texture": looked(0.5, 2), "hair_px": looked(1e5, 2)}
    series["iod"] = np.full(len(TIMES), 80.0)
    pictures = SimpleNamespace(blur=0.4, no_identity="")
    found = quality.findings(TIMES, series, pictures, judged(head), judged(mouth))
    assert list(found) == ["hair_motion", "identity", "sharpness", "drift", "flicker", "background"]
    assert found["hair_motion"].verdict.value == "not_measurable"
    assert found["flicker"].value == 0
    assert {finding.says == "not judged" for finding in list(found.values())[1:]} == {greyed}
