"""Series on an even grid of times: resampled, filtered without a delay, and with the spread of what is made of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfiltfilt
from scipy.stats import chi2

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

GAP_S = 0.2  # a longer stretch without a value is not interpolated over
_BLOCK_S, _DRAWS = 1.0, 200
_LEVEL = 0.95


def grid(times: Floats, rate: float) -> Floats:
    """Return times from the first of `times` (seconds) to the last, `rate` of them a second."""
    return np.asarray(times[0] + np.arange(int((times[-1] - times[0]) * rate + 1e-6) + 1) / rate, np.float64)


def resample(times: Floats, values: Floats, at: Floats) -> Floats:
    """Return `values` (n,) or (n, k), seen at `times`, linearly interpolated `at` other times; NaN within gaps."""
    if values.ndim == 2:
        return np.stack([resample(times, column, at) for column in values.T], axis=1)
    seen = np.isfinite(values)
    if not seen.any():
        return np.full(len(at), np.nan)
    known = times[seen]
    made = np.interp(at, known, values[seen])
    after = np.clip(np.searchsorted(known, at), 0, len(known) - 1)
    before = np.clip(np.searchsorted(known, at, side="right") - 1, 0, len(known) - 1)
    lonely = known[after] - known[before] > GAP_S
    outside = (at < known[0] - GAP_S / 2) | (at > known[-1] + GAP_S / 2)
    return np.where(lonely | outside, np.nan, made)


def smooth(values: Floats, rate: float, hertz: float) -> Floats:
    """Return `values` (n,) or (n, k) without what is faster than `hertz`: Butterworth, 2nd order, both ways."""
    return _filtered(values, rate, min(hertz, 0.45 * rate), "lowpass")


def without_drift(values: Floats, rate: float, hertz: float) -> Floats:
    """Return `values` (n,) or (n, k) without what is slower than `hertz`: Butterworth, 2nd order, both ways."""
    return _filtered(values, rate, hertz, "highpass")


def _filtered(values: Floats, rate: float, hertz: float, kind: str) -> Floats:
    if len(values) < 4:
        return values
    filled = _filled(values)
    sections = butter(2, hertz, kind, fs=rate, output="sos")
    made = sosfiltfilt(sections, filled, axis=0, padlen=min(len(values) - 1, int(3 * rate / hertz)))
    return np.where(np.isfinite(values), made, np.nan)


def _filled(values: Floats) -> Floats:
    """Return `values` with gaps bridged, for a filter to pass over; zeros where nothing is known."""
    if values.ndim == 2:
        return np.stack([_filled(column) for column in values.T], axis=1)
    seen = np.isfinite(values)
    if not seen.any():
        return np.zeros(len(values))
    places = np.arange(len(values))
    return np.asarray(np.interp(places, places[seen], values[seen]), np.float64)


def spread(values: Floats) -> Floats | float:
    """Return the range from the 5th to the 95th percentile of each column; NaN where nothing is known."""
    if not np.isfinite(values).any():
        return np.nan
    low, high = np.nanpercentile(values, (5, 95), axis=0)
    return np.asarray(high - low, np.float64) if values.ndim == 2 else float(high - low)


def interval(
    values: Floats, statistic: Callable[[Floats], float], rate: float, least: float = 0.0
) -> tuple[float, float]:
    """Return the 95 % interval of a statistic of a series (n,) or (n, k): moving-block bootstrap, blocks of a second.

    `least` is the judge's own repeatability as a share of the value: the interval is not narrower than that.
    The draws are the same every time. Kuensch 1989, "The jackknife and the bootstrap for general stationary
    observations".
    """
    count, block = len(values), max(1, round(_BLOCK_S * rate))
    value = statistic(values)
    if count <= block:
        return np.nan, np.nan
    random = np.random.default_rng(0)
    starts = random.integers(0, count - block + 1, (_DRAWS, -(-count // block)))
    within = np.arange(block)
    draws = [statistic(values[(row[:, None] + within).ravel()[:count]]) for row in starts]
    draws = [draw for draw in draws if np.isfinite(draw)]
    if not draws or not np.isfinite(value):
        return np.nan, np.nan
    low, high = np.percentile(draws, (50 * (1 - _LEVEL), 50 * (1 + _LEVEL)))
    floor = abs(value) * least
    return float(min(low, value - floor)), float(max(high, value + floor))


def poisson_interval(count: int) -> tuple[float, float]:
    """Return the exact 95 % interval of the mean of a Poisson variable of which `count` was seen (Garwood 1936)."""
    tail = (1 - _LEVEL) / 2
    low = 0.0 if count == 0 else float(chi2.ppf(tail, 2 * count)) / 2
    return low, float(chi2.ppf(1 - tail, 2 * count + 2)) / 2


def runs(flags: Flags) -> list[tuple[int, int]]:
    """Return begin and end (exclusive) of each run of True in `flags` (n,)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
