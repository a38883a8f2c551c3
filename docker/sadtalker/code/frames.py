"""Which parts of the clip and which neighbours make a frame, and the mel scale: numbers alone, no networks."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]

FPS = 25
RATE = 16000
HOP = 200  # samples between two columns of the spectrogram
COLUMNS_PER_S = RATE // HOP
SAMPLES_PER_FRAME = RATE // FPS
RADIUS = 13  # frames that the renderer's mapping network looks at on each side
_WINDOW = 16  # columns that a frame is made from
_NO_DRAW = 21  # frames for which upstream's draw of blinks has nothing to choose from
_KNEE_HZ, _KNEE_MEL, _STEP = 1000.0, 15.0, math.log(6.4) / 27


def windows(columns: Array, start: int, stop: int) -> Array:
    """Return (frames, bands, columns): what is heard around each frame from `start` to `stop`."""
    return np.asarray(columns[heard_columns(start, stop, len(columns))].transpose(0, 2, 1))


def heard_columns(start: int, stop: int, columns: int) -> npt.NDArray[np.int64]:
    """Return (frames, columns) indices: each window begins two frames early, and the clip's ends are repeated."""
    frames = np.arange(start, stop) - 2
    first = np.trunc(float(COLUMNS_PER_S) * (frames / float(FPS))).astype(np.int64)
    return np.asarray(np.clip(first[:, None] + np.arange(_WINDOW), 0, columns - 1))


def neighbours(count: int) -> npt.NDArray[np.int64]:
    """Return (count, 2 * RADIUS + 1) indices: each frame with those around it, the clip's ends repeated."""
    at = np.arange(count)[:, None] + np.arange(-RADIUS, RADIUS + 1)
    return np.asarray(np.clip(at, 0, count - 1), np.int64)


def blinks(draw: Callable[[int], Any], count: int, seed: int) -> Array:
    """Return (count, 1): how far the eyes are closed, as upstream's `draw` has it, seeded for itself."""
    before = random.getstate()
    random.seed(seed)
    try:
        return np.asarray(draw(_NO_DRAW + 1 if count == _NO_DRAW else count)[:count], np.float32)
    finally:
        random.setstate(before)


def mel_filters(bands: int, lowest_hz: float, highest_hz: float, frequencies: int) -> Array:
    """Return the mel filters (bands, frequencies): triangles of equal area between neighbouring bands."""
    heard = np.linspace(0.0, RATE / 2, frequencies)
    lowest, highest = slaney_mel(np.array([lowest_hz, highest_hz]))
    ends = slaney_hz(np.linspace(lowest, highest, bands + 2))
    low, middle, high = ends[:-2, None], ends[1:-1, None], ends[2:, None]
    rising, falling = (heard - low) / (middle - low), (high - heard) / (high - middle)
    return np.asarray(np.clip(np.minimum(rising, falling), 0.0, None) * 2.0 / (high - low), np.float32)


def slaney_mel(hz: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the pitch of frequencies on Slaney's scale: linear up to 1 kHz (15 mel), 27 mel for each factor of 6.4."""
    above = _KNEE_MEL + np.log(np.maximum(hz, _KNEE_HZ) / _KNEE_HZ) / _STEP
    return np.where(hz < _KNEE_HZ, hz * _KNEE_MEL / _KNEE_HZ, above)


def slaney_hz(mel: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the frequencies of pitches on Slaney's scale."""
    above = _KNEE_HZ * np.exp((np.maximum(mel, _KNEE_MEL) - _KNEE_MEL) * _STEP)
    return np.where(mel < _KNEE_MEL, mel * _KNEE_HZ / _KNEE_MEL, above)
