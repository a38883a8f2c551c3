"""What a face can follow in a voice: loudness, voicing, vowel openness and frontness, hiss, closures, pitch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Curve = NDArray[np.float32]

RATE_HZ = 100.0  # of every curve
_WINDOW_S = 0.040  # two periods of a 70 Hz voice need 29 ms
_CHUNK = 64  # spectra held at a time, so that memory does not grow with the clip
_SILENT_DBFS = -55.0  # below this a whole clip counts as silence
_RANGE_DB = (15.0, 35.0)  # narrowest and widest span between the quietest and the loudest speech

# Edges of the bands in Hz. 200..450 holds the first formant of close vowels, 550..1150 that of open ones; back vowels
# have their second formant in 700..1450, front vowels in 1800..2700 (Peterson and Barney 1952); sibilants lie above.
_EDGES_HZ = (80, 200, 450, 550, 700, 1150, 1450, 1800, 2700, 3300, 5500, 8000)
_BANDS = len(_EDGES_HZ) - 1


@dataclass(frozen=True)
class Voice:
    """Curves of shape (frames,), `RATE_HZ` frames per second; the middle of frame i is at i / RATE_HZ seconds.

    `loud`, `voiced`, `open`, `hiss` and `closed` lie in 0..1, `front` in -1 (back, rounded) .. 1 (front, spread).
    `pitch` is in semitones from the clip's median, 0 where there is none.
    """

    loud: Curve
    voiced: Curve
    open: Curve
    front: Curve
    hiss: Curve
    closed: Curve
    pitch: Curve


def listen(samples: NDArray[np.int16], rate: int) -> Voice:
    """Return the curves of a clip; `samples` of shape (samples,), `rate` in Hz."""
    bands, periodicity, pitch_hz = _spectra(samples, rate)
    level = _db(bands.sum(axis=1))
    loud = _loudness(level)
    voiced = _ramp(periodicity, 0.35, 0.65) * (loud > 0)
    speech = (voiced > 0.5) & (loud > 0.3)

    low, high = _db(bands[:, 1]), _db(bands[:, 3:5].sum(axis=1))
    openness = 0.5 * _ramp(high - low, -14.0, 6.0) + 0.5 * _ramp(_standard(high - low, speech, 3.0), -1.3, 1.3)
    frontness = _standard(_db(bands[:, 7]) - _db(bands[:, 4:6].sum(axis=1)), speech, 4.0)

    treble = _db(bands[:, 9:].sum(axis=1)) - _db(bands[:, :6].sum(axis=1))
    hiss = _ramp(treble, -4.0, 8.0) * (1.0 - voiced) * _ramp(loud, 0.02, 0.25)

    dip = np.minimum(_peak(level, -8), _peak(level, 8)) - level
    between = np.minimum(_peak(loud, -8), _peak(loud, 8))
    stop = _ramp(dip, 9.0, 18.0) * _ramp(between, 0.3, 0.5) * (1.0 - hiss)
    murmur = _standard(_db(bands[:, :2].sum(axis=1)) - _db(bands[:, 3:9].sum(axis=1)), speech, 3.0)
    nasal = _ramp(murmur, 0.8, 1.8) * _ramp(dip, 1.0, 4.0) * voiced * _ramp(between, 0.4, 0.6)

    median_hz = float(np.median(pitch_hz[speech])) if speech.any() else 1.0
    pitch = np.where(speech, 12.0 * np.log2(np.maximum(pitch_hz, 1.0) / median_hz), 0.0)
    curves = (loud, voiced, openness, np.clip(frontness / 1.6, -1, 1), hiss, np.maximum(stop, nasal), pitch)
    return Voice(*(curve.astype(np.float32) for curve in curves))


def _spectra(samples: NDArray[np.int16], rate: int) -> tuple[NDArray[np.float64], Curve, Curve]:
    """Return band powers (frames, bands) relative to full scale, periodicity (frames,) in 0..1 and pitch in Hz."""
    count = max(1, round(len(samples) / rate * RATE_HZ))
    length = max(8, round(_WINDOW_S * rate))
    size = 1 << (2 * length - 1).bit_length()  # room for a linear autocorrelation
    window = np.hanning(length + 2)[1:-1]
    hertz = np.fft.rfftfreq(size, 1.0 / rate)
    share = np.zeros((len(hertz), _BANDS))
    for band in range(_BANDS):
        share[(hertz >= _EDGES_HZ[band]) & (hertz < _EDGES_HZ[band + 1]), band] = 1.0
    share *= 4.0 / (size * np.square(window).sum())  # a full-scale sine has a power of 1 (0 dBFS)
    tone = ((hertz > 60) & (hertz < 1300)).astype(np.float64)
    own = np.fft.irfft(np.abs(np.fft.rfft(window, size)) ** 2)
    lags = np.arange(max(2, int(rate / 400)), min(int(rate / 65), length - 2) + 1)

    padded = np.concatenate([np.zeros(length, np.int16), samples, np.zeros(2 * length, np.int16)])
    bands = np.empty((count, _BANDS))
    periodicity, pitch_hz = np.zeros(count, np.float32), np.zeros(count, np.float32)
    for start in range(0, count, _CHUNK):
        index = np.arange(start, min(start + _CHUNK, count))
        first = np.round(index * rate / RATE_HZ).astype(np.int64) + length - length // 2
        pieces = padded[first[:, None] + np.arange(length)] / 32768.0
        power = np.abs(np.fft.rfft(pieces * window, size)) ** 2
        bands[index] = power @ share
        correlation = np.fft.irfft(power * tone, axis=1)
        if len(lags):
            ratio = correlation[:, lags] / (correlation[:, :1] + 1e-9) * (own[0] / own[lags])
            best = ratio.argmax(axis=1)
            periodicity[index] = np.clip(ratio[np.arange(len(index)), best], 0.0, 1.0)
            pitch_hz[index] = rate / lags[best]
    return bands, periodicity, pitch_hz


def _loudness(level: NDArray[np.float64]) -> NDArray[np.float64]:
    """Map levels in dBFS to 0..1 between this clip's background and its loud speech."""
    top = float(np.percentile(level, 95))
    if top < _SILENT_DBFS:
        return np.zeros_like(level)
    floor = float(np.percentile(level, 10)) + 3.0
    floor = min(max(floor, top - _RANGE_DB[1]), top - _RANGE_DB[0])
    return np.asarray(np.clip((level - floor) / (top - floor), 0.0, 1.0), np.float64)


def _db(power: NDArray[np.float64]) -> NDArray[np.float64]:
    return 10.0 * np.log10(power + 1e-10)


def _ramp(values: NDArray[np.floating], start: float, end: float) -> NDArray[np.float64]:
    return np.asarray(np.clip((values - start) / (end - start), 0.0, 1.0), np.float64)


def _standard(values: NDArray[np.float64], speech: NDArray[np.bool_], least_db: float) -> NDArray[np.float64]:
    """Centre on this speaker's median and divide by the spread, which is `least_db` at least."""
    if not speech.any():
        return np.zeros_like(values)
    own = values[speech]
    quarter, middle, three = np.percentile(own, (25, 50, 75))
    return np.asarray((values - middle) / max((three - quarter) / 1.349, least_db), np.float64)


def _peak(values: NDArray[np.float64], reach: int) -> NDArray[np.float64]:
    """Return the largest value among the next (or, when negative, the last) `reach` frames."""
    padded = np.pad(values, abs(reach), mode="edge")
    offsets = range(abs(reach) + 1)
    shifts = (abs(reach) + (o if reach > 0 else -o) for o in offsets)
    return np.asarray(np.max([padded[s : s + len(values)] for s in shifts], axis=0), np.float64)
