"""What the picture is like: likeness to the portrait, sharpness, its drift, flicker. Pure functions of what was seen.

A picture that does not move is the sharpest and steadiest of all: where nothing moves, none of this is judged.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .findings import Finding, Verdict, not_measurable
from .flow import background, hair_motion, known
from .picture import Pictures
from .signals import Floats, interval
from .thresholds import THRESHOLDS

_IDENTITY, _SHARPNESS = THRESHOLDS["identity"], THRESHOLDS["sharpness"]
_DRIFT, _FLICKER = THRESHOLDS["drift"], THRESHOLDS["flicker"]
_SLOPE_S = 10.0  # a drift is told for so many seconds


def findings(
    times: Floats, series: Mapping[str, Floats], pictures: Pictures, head: Finding, mouth: Finding
) -> dict[str, Finding]:
    """Return what the pixels of a video say, by metric; `series` are those of `watch` at `times` (n,)."""
    quality = {
        "identity": identity(times, series["identity"], pictures.no_identity),
        "sharpness": sharpness(times, series["blur"], pictures.blur),
        "drift": drift(times, series["blur"]),
        "flicker": flicker(times, series["grey"], series["grain"]),
        "background": background(times, series),
    }
    if head.verdict is Verdict.NO and mouth.verdict is Verdict.NO:
        quality = {name: _greyed(finding) for name, finding in quality.items()}
    return {"hair_motion": hair_motion(times, series)} | quality


def identity(times: Floats, distances: Floats, missing: str = "") -> Finding:
    """Return how far the face is from the portrait's: the median distance of dlib's embeddings (n,), NaN between looks.

    `missing` says why there are none.
    """
    rows, rate = known(times, distances)
    if missing or not len(rows):
        return not_measurable(missing or "the face was not seen for long enough")
    value, worst = float(np.median(rows)), float(rows.max())
    far = float((rows > _IDENTITY["far"]).mean())
    low, high = interval(rows[:, 0], _median, rate, _IDENTITY["repeat"])
    figures = f"distance {value:.2f} to the portrait, {worst:.2f} at worst; other people are mostly beyond 0.6"
    if value > _IDENTITY["lost"]:
        verdict, says = Verdict.NO, "lost"
    elif value > _IDENTITY["kept"] or far > _IDENTITY["far_share"]:
        verdict, says = Verdict.SLIGHT, "drifts"
    else:
        verdict, says = Verdict.YES, "kept"
    slope, _, _ = _slope(times, distances)
    return Finding(
        value=value,
        unit="distance",
        low=low,
        high=high,
        verdict=verdict,
        says=says,
        reason=figures,
        details={"worst": worst, "far_share": far, "slope_10s": slope, "looks": float(len(rows))},
    )


def sharpness(times: Floats, blur: Floats, portrait: float) -> Finding:
    """Return by how much more blurred the face is than the portrait's.

    `blur` (n,) goes from 0, sharp, to 1, NaN between looks. Both are measured with the eyes equally far apart, so that
    a larger portrait is no sharper for its size.
    """
    rows, rate = known(times, blur)
    if not len(rows):
        return not_measurable("the face was not seen for long enough")
    own = float(np.median(rows))
    if not np.isfinite(portrait):
        return not_measurable("there is no portrait to compare with", blur=own)
    value = own - portrait
    low, high = interval(rows[:, 0], _median, rate, _SHARPNESS["repeat"])
    figures = f"blur {own:.2f}, the portrait's {portrait:.2f}"
    if value > _SHARPNESS["differs"]:
        verdict, says, reason = Verdict.NO, "softer than the portrait", figures
    elif value < -_SHARPNESS["differs"]:
        verdict, says = Verdict.UNCLEAR, "sharper or grainier"
        reason = f"{figures}; grain reads as sharpness"
    else:
        verdict, says, reason = Verdict.YES, "as sharp as the portrait", figures
    return Finding(
        value=value,
        unit="blur",
        low=low - portrait,
        high=high - portrait,
        verdict=verdict,
        says=says,
        reason=reason,
        details={"blur": own, "blur_portrait": portrait},
    )


def drift(times: Floats, blur: Floats) -> Finding:
    """Return by how much the face gets more blurred in ten seconds: the slope of `blur` (n,), NaN between looks."""
    rows, _ = known(times, times, blur)
    seconds = float(np.ptp(rows[:, 0])) if len(rows) else 0.0
    if seconds < _DRIFT["least_s"]:
        return not_measurable(f"the face was seen for {seconds:.1f} s, {_DRIFT['least_s']:g} s needed")
    value, low, high = _slope(times, blur)
    change = value * seconds / _SLOPE_S
    figures = f"blur changes by {change:+.2f} in {seconds:.0f} s"
    if abs(change) < _DRIFT["differs"]:
        verdict, says, reason = Verdict.NO, "steady", figures
    elif low > 0 or high < 0:
        verdict, says, reason = Verdict.YES, "gets softer" if value > 0 else "gets sharper", figures
    else:
        verdict, says, reason = Verdict.UNCLEAR, "unclear", f"{figures}, no more than it changes in between"
    return Finding(
        value=value,
        unit="per 10 s",
        low=low,
        high=high,
        verdict=verdict,
        says=says,
        reason=reason,
        details={"watched_s": seconds, "change": change},
    )


def flicker(times: Floats, grey: Floats, grain: Floats) -> Finding:
    """Return how much the face's mean brightness (n,) jumps from frame to frame: the deviation, in grey levels.

    `grain` (n,) is what changes in the background beyond motion; it is comparable only between files that were encoded
    in the same way.
    """
    steps = np.diff(grey)
    pauses = np.diff(times)
    steps = np.where(pauses <= 1.5 * np.median(pauses), steps, np.nan) if len(pauses) else steps
    rows, rate = known(times[1:], steps)
    if len(rows) < rate:
        return not_measurable("the face was not seen for long enough")
    value = float(rows.std())
    low, high = interval(rows[:, 0], lambda part: float(part.std()), rate, _FLICKER["repeat"])
    figures = f"the face's brightness jumps by {value:.2f} grey levels a frame; real footage stays below 1.2"
    if value > _FLICKER["yes_grey"]:
        verdict, says = Verdict.YES, "flickers"
    elif value > _FLICKER["no_grey"]:
        verdict, says = Verdict.SLIGHT, "flickers slightly"
    else:
        verdict, says = Verdict.NO, "steady"
    seen = grain[np.isfinite(grain)]
    return Finding(
        value=value,
        unit="grey levels",
        low=low,
        high=high,
        verdict=verdict,
        says=says,
        reason=figures,
        details={"grain": _median(seen) if len(seen) else None},
    )


def _greyed(finding: Finding) -> Finding:
    if finding.verdict is Verdict.NOT_MEASURABLE:
        return finding
    reason = "neither head nor mouth moves: a still picture is sharp and steady without any merit"
    return finding.but(Verdict.UNCLEAR, "not judged", reason)


def _slope(times: Floats, values: Floats) -> tuple[float, float, float]:
    """Return the least-squares slope of `values` (n,) over ten seconds, with its interval."""
    rows, rate = known(times, times, values)
    low, high = interval(rows, _steepness, rate)
    return _steepness(rows), low, high


def _steepness(rows: Floats) -> float:
    apart = rows[:, 0] - rows[:, 0].mean()
    square = float((apart**2).sum())
    return float((apart * rows[:, 1]).sum()) / square * _SLOPE_S if square > 0 else np.nan


def _median(values: Floats) -> float:
    return float(np.median(values))
