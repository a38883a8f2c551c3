"""A clip to upstream's mel spectrogram, without librosa: that compiles itself for 15 seconds in every new container.

Pre-emphasis, decibels and their range are upstream's own functions and numbers. Of librosa's two steps between them the
short-time Fourier transform is torch's, and the mel filters are here; its resampler, soxr, is used as it uses it.
"""

from __future__ import annotations

import math
import wave
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soxr
import torch
from src.utils import audio as upstream
from src.utils.hparams import hparams

Array = npt.NDArray[np.float32]

FPS = 25
RATE = 16000
HOP = 200  # samples between two columns of the spectrogram
_SAMPLES_PER_FRAME = RATE // FPS
_COLUMNS_PER_S = RATE // HOP
_WINDOW = 16  # columns that a frame is made from
_BLOCK = 60 * _COLUMNS_PER_S
_MARGIN = 8  # columns; a spectrum reaches 2 to each side
_KNEE_HZ, _KNEE_MEL, _STEP = 1000.0, 15.0, math.log(6.4) / 27


def listen(path: Path) -> tuple[Array, int]:
    """Return the clip's mel spectrogram (columns, bands), and how many frames its whole length gives."""
    with wave.open(str(path)) as clip:
        rate = clip.getframerate()
        samples = np.frombuffer(clip.readframes(clip.getnframes()), "<i2").astype(np.float32) / 32768.0
    heard = resample(samples, rate)
    count = len(heard) // _SAMPLES_PER_FRAME
    return spectrogram(heard[: count * _SAMPLES_PER_FRAME]), count


def resample(samples: Array, rate: int) -> Array:
    """Return the samples at RATE; their number is rounded up."""
    if rate == RATE:
        return samples
    wanted = math.ceil(len(samples) * RATE / rate)
    heard = soxr.resample(samples, rate, RATE, quality="HQ")[:wanted]
    return np.pad(heard, (0, wanted - len(heard)))


def spectrogram(samples: Array) -> Array:
    """Return the mel spectrogram (columns, bands), made a minute at a time: its spectra are complex and many."""
    total = len(samples) // HOP + 1
    pieces = []
    for start in range(0, total, _BLOCK):
        stop = min(start + _BLOCK, total)
        first, last = max(0, start - _MARGIN), min(total, stop + _MARGIN)
        end = len(samples) if last == total else last * HOP
        piece = _mel(samples[first * HOP : end])
        pieces.append(piece[start - first : stop - first])
    return np.concatenate(pieces)


def _mel(samples: Array) -> Array:
    loud = upstream.preemphasis(samples, hparams.preemphasis, hparams.preemphasize).astype(np.float32)
    width = hparams.win_size
    spectrum = torch.stft(
        torch.from_numpy(loud),
        n_fft=hparams.n_fft,
        hop_length=HOP,
        win_length=width,
        window=torch.hann_window(width),
        center=True,
        pad_mode="constant",
        return_complex=True,
    )
    level = upstream._amp_to_db(_filters() @ spectrum.abs().numpy()) - hparams.ref_level_db
    return np.ascontiguousarray(upstream._normalize(level).T, np.float32)


@lru_cache(maxsize=1)
def _filters() -> Array:
    """Return the mel filters (bands, frequencies): triangles of equal area between neighbouring bands."""
    frequencies = np.linspace(0.0, RATE / 2, hparams.n_fft // 2 + 1)
    ends = slaney_hz(np.linspace(*slaney_mel(np.array([hparams.fmin, hparams.fmax])), hparams.num_mels + 2))
    low, middle, high = ends[:-2, None], ends[1:-1, None], ends[2:, None]
    rising, falling = (frequencies - low) / (middle - low), (high - frequencies) / (high - middle)
    return np.asarray(np.clip(np.minimum(rising, falling), 0.0, None) * 2.0 / (high - low), np.float32)


def slaney_mel(hz: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the pitch of frequencies on Slaney's scale: linear up to 1 kHz (15 mel), 27 mel for each factor of 6.4."""
    above = _KNEE_MEL + np.log(np.maximum(hz, _KNEE_HZ) / _KNEE_HZ) / _STEP
    return np.where(hz < _KNEE_HZ, hz * _KNEE_MEL / _KNEE_HZ, above)


def slaney_hz(mel: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the frequencies of pitches on Slaney's scale."""
    above = _KNEE_HZ * np.exp((np.maximum(mel, _KNEE_MEL) - _KNEE_MEL) * _STEP)
    return np.where(mel < _KNEE_MEL, mel * _KNEE_HZ / _KNEE_MEL, above)


def windows(columns: Array, start: int, stop: int) -> Array:
    """Return (frames, bands, columns): what is heard around each frame from `start` to `stop`."""
    return columns[heard_columns(start, stop, len(columns))].transpose(0, 2, 1)


def heard_columns(start: int, stop: int, columns: int) -> npt.NDArray[np.int64]:
    """Return (frames, columns) indices: each window begins two frames early, and the clip's ends are repeated."""
    frames = np.arange(start, stop) - 2
    first = np.trunc(float(_COLUMNS_PER_S) * (frames / float(FPS))).astype(np.int64)
    return np.clip(first[:, None] + np.arange(_WINDOW), 0, columns - 1)
