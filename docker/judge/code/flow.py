"""Hair and background: whether they move, and whether they move with the head. Pure functions of what was seen."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .findings import Finding, Verdict, not_measurable
from .signals import Floats, interval
from .thresholds import THRESHOLDS

_HAIR, _BACKGROUND = THRESHOLDS["hair_motion"], THRESHOLDS["background"]


def hair_motion(times: Floats, series: Mapping[str, Floats]) -> Finding:
    """Return how fast what surrounds the face moves (interocular distances per second).

    `series` are those of `Pictures.look`, and `iod`, at `times` (n,). `follow` is 1 where it moves as one piece with
    the face and 0 where it stands still while the face moves. Whether hair is alive or the picture is warped as a
    whole cannot be told from this.
    """
    unit = float(np.nanmedian(series["iod"]))
    area = median(series["hair_px"]) / unit**2
    names = ("hair_px_s", "hair_expected_px_s", "hair_along", "hair_square")
    rows, rate = known(times, *(series[name] for name in names))
    if not len(rows) or area < _HAIR["least_iod2"]:
        size = 0.0 if np.isnan(area) else area
        return not_measurable(
            f"too little hair is seen: {size:.2f} square eye distances, {_HAIR['least_iod2']:g} needed", area_iod2=area
        )
    value, expected = (float(column.mean()) / unit for column in rows.T[:2])
    follow = _follow(rows[:, 2:])
    low, high = interval(rows[:, 0], lambda part: float(part.mean()) / unit, rate, _HAIR["repeat"])
    share, clear = value / max(expected, 1e-6), expected >= _HAIR["clear_iod_s"]
    figures = f"{value:.3f} eye distances a second, {follow:.0%} of what goes with the head"
    if expected < _HAIR["least_iod_s"]:
        verdict, says = Verdict.NOT_MEASURABLE, "not measurable"
        reason = f"the head moves too little: by {expected:.3f} eye distances a second, {_HAIR['least_iod_s']:g} needed"
    elif value >= _HAIR["yes_iod_s"] and share >= _HAIR["yes_share"] and follow >= _HAIR["yes_follow"]:
        verdict, says, reason = Verdict.YES, "moves", f"hair pixels move: {figures}"
    elif share < (_HAIR["no_share"] if clear else _HAIR["slow_no_share"]) and follow < _HAIR["no_follow"]:
        verdict, says, reason = Verdict.NO, "still", f"hair stands still while the head moves: {figures}"
    else:
        verdict, says, reason = Verdict.UNCLEAR, "unclear", figures
    return Finding(
        value=value,
        unit="IOD/s",
        low=low,
        high=high,
        verdict=verdict,
        says=says,
        reason=reason,
        details={"follow": follow, "share": share, "expected_iod_s": expected, "area_iod2": area},
    )


def background(times: Floats, series: Mapping[str, Floats]) -> Finding:
    """Return how fast what is behind the person moves (interocular distances per second).

    What follows the head there is a picture that was warped as a whole, or a camera that moves.
    """
    unit = float(np.nanmedian(series["iod"]))
    share = median(series["background_share"])
    names = ("background_px_s", "background_along", "background_square", "background_texture")
    rows, rate = known(times, *(series[name] for name in names))
    if not len(rows) or share < _BACKGROUND["least_share"]:
        size = 0.0 if np.isnan(share) else share
        return not_measurable(
            f"too little background is seen: {size:.1%} of the picture, {_BACKGROUND['least_share']:.0%} needed",
            share=share,
        )
    value, follow, texture = float(rows[:, 0].mean()) / unit, _follow(rows[:, 1:3]), float(rows[:, 3].mean())
    low, high = interval(rows[:, 0], lambda part: float(part.mean()) / unit, rate, _BACKGROUND["repeat"])
    figures = f"{value:.3f} eye distances a second"
    expected = float(np.sqrt(rows[:, 2].mean())) / unit
    if value >= _BACKGROUND["no_iod_s"] and expected >= _HAIR["least_iod_s"] and follow > _BACKGROUND["warped"]:
        verdict, says = Verdict.YES, "moves with the head"
        reason = f"the background makes {follow:.0%} of the head's motion: all is warped, or the camera moves"
    elif value > _BACKGROUND["yes_iod_s"]:
        verdict, says, reason = Verdict.YES, "moves", figures
    elif value < _BACKGROUND["no_iod_s"]:
        verdict, says, reason = Verdict.NO, "still", figures
        if texture < _BACKGROUND["plain"]:
            reason += "; it is so plain that motion would hardly show"
    else:
        verdict, says, reason = Verdict.SLIGHT, "moves slightly", figures
    return Finding(
        value=value,
        unit="IOD/s",
        low=low,
        high=high,
        verdict=verdict,
        says=says,
        reason=reason,
        details={"follow": follow, "share": share, "texture": texture},
    )


def known(times: Floats, *columns: Floats) -> tuple[Floats, float]:
    """Return the rows (m, k) in which all of `columns` (n,) are known, and how many there are in a second."""
    rows = np.stack(columns, axis=1)
    seen = np.isfinite(rows).all(axis=1)
    at = times[seen]
    steps = np.diff(at)
    return rows[seen], 1.0 / float(np.median(steps)) if len(steps) else 1.0


def median(values: Floats) -> float:
    """Return the median of what is known; NaN where nothing is."""
    seen = values[np.isfinite(values)]
    return float(np.median(seen)) if len(seen) else np.nan


def _follow(rows: Floats) -> float:
    """Return the share of the expected motion that is made, from its products and squares (n, 2)."""
    along, square = rows.sum(axis=0)
    return float(along / square) if square > 0 else np.nan
