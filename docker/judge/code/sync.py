"""Lip-sync: whether the mouth moves as the clip says it should, and how much later or earlier than its sound.

A linear operator predicts seven signals of the mouth from the clip's spectrum; these are then looked for in the
measured ones, at every lag. Loudness against opening, the usual recipe, is no better than chance on real speech.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft

from faceorch_kit.voice import Samples

from . import voice
from .findings import Finding, Verdict, not_measurable
from .signals import Flags, Floats, interval, resample, smooth, without_drift
from .thresholds import THRESHOLDS

RATE_HZ = float(voice.RATE_HZ)
STEP_MS = 1000 / RATE_HZ
# Keys of what was watched, with the sign that makes them grow as the mouth opens.
SIGNALS = {"open": 1, "wide": 1, "lips": 1, "jaw": 1, "close": -1, "pucker": 1, "funnel": 1}

_LIMITS, _MOUTH = THRESHOLDS["lip_sync"], THRESHOLDS["mouth"]
_PATH = Path(__file__).with_name("operator.npz")
_OFFSETS = range(-12, 13, 3)  # of the spectra that the operator looks at: 240 ms to either side
_SLOWEST_HZ, _FASTEST_HZ = 0.4, 8.0
_SEARCH, _NEAR = 30, 10  # lags in steps: those that are looked at, and those that speech in sync may have
_APART, _STRIDE = 60, 15  # circular shifts for the null test, in steps: 1.2 s away, 0.3 s apart
_SHIFT_MS = 160


@dataclass(frozen=True, eq=False)
class Operator:
    """Predicts the signals of the mouth: `weights` (offsets x BANDS, 7) on spectra less their `mean`."""

    mean: Floats
    weights: Floats

    @classmethod
    def read(cls, path: Path) -> Operator:
        """Return the operator that `write` wrote."""
        with np.load(path, allow_pickle=False) as file:
            return cls(file["mean"].astype(np.float64), file["weights"].astype(np.float64))

    def write(self, path: Path) -> None:
        """Write it, in the same bytes every time."""
        np.savez(path, mean=self.mean.astype(np.float32), weights=self.weights.astype(np.float32))

    def predict(self, bands: Floats) -> Floats:
        """Return the signals (n, 7) that go with the spectra (n, BANDS) of a clip."""
        return in_band((context(bands) - self.mean) @ self.weights)


@dataclass(frozen=True, eq=False)
class Peak:
    """The lag in ms at which the mouth follows best, sound late: positive; its correlation, and `strength` S."""

    lag_ms: float
    correlation: float
    strength: float


def operator_digest() -> str:
    """Return the SHA-256 of the operator's file."""
    return sha256(_PATH.read_bytes()).hexdigest()


def lip_sync(
    times: Floats,
    series: Mapping[str, Floats],
    clip: Samples,
    spoken: Floats,
    mouth: Finding,
    operator: Operator | None = None,
) -> Finding:
    """Return how well the mouth follows the clip: S, the best correlation at a small lag less the usual one at any.

    `series` holds the keys of SIGNALS at `times` (n,), seconds from the clip's beginning; `clip` its samples at
    voice.SAMPLE_HZ; `spoken` the probability of speech at RATE_HZ; `mouth` the finding of the mouth's range.
    """
    if mouth.value is None:
        return not_measurable(mouth.reason)
    first, measured = signals(times, series)
    total = voice.count(clip)
    measured = measured[: max(0, total - first)]
    last = first + len(measured)
    spoken_s = float((spoken[first:last] > 0.5).sum()) / RATE_HZ
    known_s = float(_known(measured).sum()) / RATE_HZ
    if spoken_s < _LIMITS["least_speech_s"]:
        needed = f"{_LIMITS['least_speech_s']:g} s needed"
        return not_measurable(f"the clip holds {spoken_s:.1f} s of speech, {needed}", speech_s=spoken_s)
    if known_s < _LIMITS["least_known_s"]:
        needed = f"{_LIMITS['least_known_s']:g} s needed"
        return not_measurable(f"the mouth was seen for {known_s:.1f} s, {needed}", speech_s=spoken_s)

    known_operator = _operator() if operator is None else operator
    predicted = known_operator.predict(voice.log_mel(clip))
    correlations = curve(predicted, first, measured)
    best = peak(correlations)
    chance = by_chance(predicted, first, measured, best.correlation)
    moved_ms = shift_test(known_operator, clip, first, measured, best.lag_ms)
    low, high = _interval(predicted, first, measured, best.lag_ms)
    found = Finding(
        value=best.strength,
        unit="S",
        low=low,
        high=high,
        verdict=Verdict.UNCLEAR,
        says="unclear",
        reason="",
        details={
            "lag_ms": best.lag_ms,
            "p": chance,
            "peak": best.correlation,
            "shift_test_ms": moved_ms,
            "speech_s": spoken_s,
            "judged_s": known_s,
        },
    )
    return _judged(found, mouth.value, known_s)


def _judged(found: Finding, reach: float, known_s: float) -> Finding:
    value, chance = found.value or 0.0, found.details["p"]
    lag_ms, moved_ms = found.details["lag_ms"] or 0.0, found.details["shift_test_ms"] or 0.0
    if round(known_s, 1) < _LIMITS["least_s"]:  # the last frame of 8 s is shown a little before their end
        reason = f"{known_s:.1f} s of a mouth and its clip are too short to tell, {_LIMITS['least_s']:g} s needed"
        return found.but(Verdict.UNCLEAR, "unclear", reason)
    if reach < _MOUTH["no_iod"]:
        return found.but(Verdict.NO, "no evidence", f"the mouth hardly moves: {reach:.2f} eye distances")
    if chance is None:
        return found.but(Verdict.UNCLEAR, "unclear", "the clip is too short to compare it with itself")
    often = f"the clip shifted at random does as well in {chance:.0%} of trials"
    if chance > _LIMITS["p_no"]:
        return found.but(Verdict.NO, "no evidence", f"S {value:.2f}, and {often}")
    if abs(moved_ms - _SHIFT_MS) > _LIMITS["shift_ms"]:
        reason = f"no peak: with the sound {_SHIFT_MS} ms later, the best lag moves by {moved_ms:.0f} ms"
        return found.but(Verdict.UNCLEAR, "unclear", reason)
    if reach >= _MOUTH["yes_iod"] and value >= _LIMITS["yes"] and chance <= _LIMITS["p_yes"]:
        reason = f"S {value:.2f}, the sound {_late(lag_ms)}; {often}"
        return found.but(Verdict.YES, "follows the speech", reason)
    return found.but(Verdict.UNCLEAR, "unclear", f"S {value:.2f} at a mouth's range of {reach:.2f}; {often}")


def _late(lag_ms: float) -> str:
    if abs(lag_ms) <= _LIMITS["lag_ms"]:
        return "in time with the lips, as far as that can be told"
    return f"{abs(lag_ms):.0f} ms {'later' if lag_ms > 0 else 'earlier'} than the lips"


def signals(times: Floats, series: Mapping[str, Floats]) -> tuple[int, Floats]:
    """Return the signals of the mouth (n, 7) at RATE_HZ, and how many steps after the clip's beginning they begin."""
    first, last = int(np.ceil(times[0] * RATE_HZ - 1e-6)), int(np.floor(times[-1] * RATE_HZ + 1e-6))
    at = np.arange(first, last + 1) / RATE_HZ
    raw = np.stack([sign * series[name] for name, sign in SIGNALS.items()], axis=1)
    return first, in_band(resample(times, raw, at))


def in_band(values: Floats) -> Floats:
    """Return `values` (n, k) at RATE_HZ without drift and without jitter."""
    return without_drift(smooth(values, RATE_HZ, _FASTEST_HZ), RATE_HZ, _SLOWEST_HZ)


def context(bands: Floats) -> Floats:
    """Return the spectra around each (n, offsets x BANDS), those at the ends repeated."""
    places = np.arange(len(bands))
    return np.concatenate([bands[np.clip(places + offset, 0, len(bands) - 1)] for offset in _OFFSETS], axis=1)


def curve(predicted: Floats, first: int, measured: Floats) -> Floats:
    """Return the mean correlation of the signals (lags,) at lags from -_SEARCH to _SEARCH steps.

    `predicted` (total, 7) are those of the whole clip; `measured` (n, 7) begin `first` steps later, NaN where unknown.
    """
    size = next_fast_len(2 * max(len(predicted), first + len(measured)) + _SEARCH, real=True)
    around = _correlations(predicted, first, measured, size)
    return np.asarray(around[np.arange(-_SEARCH, _SEARCH + 1) % size], np.float64)


def peak(correlations: Floats) -> Peak:
    """Return the best of a curve's small lags."""
    near = correlations[_SEARCH - _NEAR : _SEARCH + _NEAR + 1]
    best = int(np.argmax(near))
    return Peak((best - _NEAR) * STEP_MS, float(near[best]), float(near[best] - np.median(correlations)))


def by_chance(predicted: Floats, first: int, measured: Floats, correlation: float) -> float | None:
    """Return the share of the clip's circular shifts that reach a `correlation`; None: there are too few of them."""
    total = len(predicted)
    if first + len(measured) > total or total < 2 * _APART + _STRIDE:
        return None
    around = _correlations(predicted, first, measured, total)
    near = np.arange(-_NEAR, _NEAR + 1)
    reached = [around[(shift + near) % total].max() for shift in range(_APART, total - _APART, _STRIDE)]
    return float(np.mean(np.array(reached) >= correlation))


def shift_test(
    operator: Operator, clip: Samples, first: int, measured: Floats, lag_ms: float, shift_ms: int = _SHIFT_MS
) -> float:
    """Return by how many ms the best lag of all moves when the clip's sound is made to come `shift_ms` later."""
    later = np.concatenate([np.zeros(shift_ms * voice.SAMPLE_HZ // 1000, np.float32), clip])[: len(clip)]
    moved = curve(operator.predict(voice.log_mel(later)), first, measured)
    return (int(np.argmax(moved)) - _SEARCH) * STEP_MS - lag_ms


def _correlations(predicted: Floats, first: int, measured: Floats, size: int) -> Floats:
    """Return the mean correlation of the signals (size,) at every lag, around a circle of `size` steps.

    Where either side is unknown (or past its end, on a larger circle) it does not count. Padfield 2012, "Masked object
    registration in the Fourier domain".
    """
    known = _known(measured)
    mask = np.zeros(size)
    mask[first : first + len(known)] = known
    there = np.zeros(size)
    there[: len(predicted)] = 1.0
    values, others = np.zeros((size, measured.shape[1])), np.zeros((size, measured.shape[1]))
    values[first : first + len(known)] = _scaled(measured, known)
    others[: len(predicted)] = _scaled(predicted, np.ones(len(predicted), bool))
    weight, seen = np.conj(rfft(mask)), rfft(there)
    signal, other = np.conj(rfft(values, axis=0)), rfft(others, axis=0)
    count = np.maximum(irfft(weight * seen, size), 1.0)[:, None]
    mean_value = irfft(signal * seen[:, None], size, axis=0) / count
    mean_other = irfft(weight[:, None] * other, size, axis=0) / count
    square_value = irfft(np.conj(rfft(values**2, axis=0)) * seen[:, None], size, axis=0) / count - mean_value**2
    square_other = irfft(weight[:, None] * rfft(others**2, axis=0), size, axis=0) / count - mean_other**2
    product = irfft(signal * other, size, axis=0) / count - mean_value * mean_other
    power = square_value * square_other
    alive = power > 1e-12
    return np.asarray(np.where(alive, product / np.sqrt(np.where(alive, power, 1.0)), 0.0).mean(axis=1), np.float64)


def _interval(predicted: Floats, first: int, measured: Floats, lag_ms: float) -> tuple[float, float]:
    """Return the 95 % interval of S at its lag: of the products that it is a mean of, step after step."""
    known = _known(measured)
    ours = _scaled(measured, known)
    theirs = _scaled(predicted, np.ones(len(predicted), bool))
    lags = np.arange(-_SEARCH, _SEARCH + 1)
    at = first + np.arange(len(measured))[:, None] + lags
    inside = (at >= 0) & (at < len(predicted)) & known[:, None]
    products = np.einsum("tk,tlk->tl", ours, theirs[np.clip(at, 0, len(predicted) - 1)]) / ours.shape[1]
    products = np.where(inside, products, 0.0)[known]
    best = _SEARCH + round(lag_ms / STEP_MS)

    def strength(part: Floats) -> float:
        means = part.mean(axis=0)
        return float(means[best] - np.median(means))

    return interval(products, strength, RATE_HZ)


def _known(measured: Floats) -> Flags:
    return np.asarray(np.isfinite(measured).all(axis=1), np.bool_)


def _scaled(values: Floats, known: Flags) -> Floats:
    """Return `values` (n, k) with mean 0 and deviation 1 where they are known, 0 elsewhere and where all are alike."""
    some = values[known]
    deviation = some.std(axis=0) if len(some) else np.zeros(values.shape[1])
    alive = deviation > 1e-9
    centred = (values - (some.mean(axis=0) if len(some) else 0.0)) / np.where(alive, deviation, 1.0)
    return np.where(known[:, None] & alive, centred, 0.0)


@lru_cache(maxsize=1)
def _operator() -> Operator:
    return Operator.read(_PATH)
