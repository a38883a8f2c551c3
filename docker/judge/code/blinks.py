"""Blinks: peaks of the lids' closure, told by two witnesses.

The first is the eye aspect ratio (Soukupova and Cech 2016, "Real-time eye blink detection using facial landmarks"),
relative to what it is around, so that no threshold depends on the shape of a person's eyes. The second is the
landmark model's own estimate of how far the lids are shut.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import find_peaks

from .findings import Finding, Verdict, not_measurable
from .signals import Floats, grid, poisson_interval, resample
from .thresholds import THRESHOLDS

RATE_HZ = 100.0
_LIMITS = THRESHOLDS["blinks"]
_REACH, _STEP = 150, 10  # of the moving baseline, in samples


@dataclass(frozen=True, eq=False)
class Lids:
    """How far the lids are shut at `times` (RATE_HZ): 0 as they mostly are, 1 shut; by both witnesses."""

    times: Floats
    closure: Floats
    model: Floats

    @classmethod
    def of(cls, times: Floats, ratios: Floats, widths: Floats, model: Floats) -> Lids:
        """Return the lids from the eye aspect ratios (n, 2), the eyes' widths (n, 2), and the model's estimate (n,)."""
        at = grid(times, RATE_HZ)
        weight = resample(times, widths, at) ** 2  # a turned head shows the near eye better
        ratio = resample(times, ratios, at)
        shut = 1.0 - ratio / np.stack([_baseline(column, 80) for column in ratio.T], axis=1)
        closure = (weight * shut).sum(axis=1) / weight.sum(axis=1)
        lids = resample(times, model, at)
        return cls(at, closure, lids - _baseline(lids, 20))


@dataclass(frozen=True, eq=False)
class Blinks:
    """The blinks that one witness saw: when, how deep (as a share), and for how long at half their depth."""

    times: Floats
    depths: Floats
    seconds: Floats


def seen(lids: Lids) -> Blinks:
    """Return the blinks in the eye aspect ratio."""
    return _peaks(lids.times, lids.closure, _LIMITS["height"], _LIMITS["prominence"])


def seen_by_model(lids: Lids) -> Blinks:
    """Return the blinks in the landmark model's own estimate."""
    return _peaks(lids.times, lids.model, _LIMITS["model_height"], _LIMITS["model_prominence"])


def blinks(lids: Lids, coverage: float) -> Finding:
    """Return the rate of blinks per minute; `coverage` is the share of frames with a face."""
    watched_s = float(np.isfinite(lids.closure).sum()) / RATE_HZ
    if watched_s < _LIMITS["least_s"]:
        return not_measurable(f"the eyes were seen for {watched_s:.1f} s only, {_LIMITS['least_s']:g} s needed")
    first, second = seen(lids), seen_by_model(lids)
    count, both = len(first.times), _agreed(first.times, second.times)
    per_minute = 60.0 / watched_s
    low, high = (end * per_minute for end in poisson_interval(count))
    looked = f"in {watched_s:.1f} s"
    if both:
        verdict, says, reason = Verdict.YES, "blinks", f"{both} of {count} seen by both witnesses {looked}"
    elif not count and watched_s >= _LIMITS["no_s"] and coverage >= _LIMITS["no_coverage"]:
        verdict, says, reason = Verdict.NO, "does not blink", f"none {looked}"
        if watched_s < 30.0:
            reason += ", in which people who blink seldom may not do so either"
    elif count:
        verdict, says, reason = Verdict.UNCLEAR, "unclear", f"{count} seen {looked}, none by both witnesses"
    else:
        verdict, says, reason = Verdict.UNCLEAR, "unclear", f"none {looked}, too little to tell"
    pauses = np.diff(first.times)
    return Finding(
        value=count * per_minute,
        unit="per minute",
        low=low,
        high=high,
        verdict=verdict,
        says=says,
        reason=reason,
        details={
            "count": count,
            "count_model": len(second.times),
            "count_both": both,
            "watched_s": watched_s,
            "depth": float(np.median(first.depths)) if count else None,
            "duration_ms": float(np.median(first.seconds)) * 1000 if count else None,
            "regularity": float(np.std(pauses) / np.mean(pauses)) if count >= 4 else None,
        },
    )


def _peaks(times: Floats, shut: Floats, height: float, prominence: float) -> Blinks:
    low = np.nanmin(shut) if np.isfinite(shut).any() else 0.0
    padded = np.pad(np.where(np.isfinite(shut), shut, low), 1, constant_values=low)  # the ends count
    width = (_LIMITS["shortest_s"] * RATE_HZ, _LIMITS["longest_s"] * RATE_HZ)
    places, found = find_peaks(
        padded,
        height=height,
        prominence=prominence,
        distance=max(1, round(_LIMITS["apart_s"] * RATE_HZ)),
        width=width,
        rel_height=0.5,
    )
    where: NDArray[np.int64] = np.clip(places - 1, 0, len(times) - 1)
    return Blinks(times[where], np.asarray(found["peak_heights"]), np.asarray(found["widths"]) / RATE_HZ)


def _baseline(values: Floats, percentile: float) -> Floats:
    """Return what `values` (n,) mostly are around each sample."""
    places = np.arange(0, len(values), _STEP)
    made = np.full(len(places), np.nan)
    for index, place in enumerate(places):
        around = values[max(0, place - _REACH) : place + _REACH + 1]
        if np.isfinite(around).any():
            made[index] = np.nanpercentile(around, percentile)
    known = np.isfinite(made)
    if not known.any():
        return np.full(len(values), np.nan)
    return np.asarray(np.interp(np.arange(len(values)), places[known], made[known]), np.float64)


def _agreed(one: Floats, other: Floats) -> int:
    """Return how many blinks of `one` the `other` witness saw too."""
    return sum(bool((np.abs(other - time) <= _LIMITS["same_s"]).any()) for time in one)
