"""A clip to upstream's mel spectrogram, without librosa: that compiles itself for 15 seconds in every new container.

Decibels and their range are upstream's own functions and numbers, and so is the share of the pre-emphasis. Of librosa's
two steps between them the short-time Fourier transform is torch's, and the mel filters are ours; its resampler, soxr,
is used as it uses it.
"""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soxr
import torch
from src.utils import audio as upstream
from src.utils.hparams import hparams

from faceorch_kit import voice

from .frames import COLUMNS_PER_S, HOP, RATE, SAMPLES_PER_FRAME, mel_filters

Array = npt.NDArray[np.float32]

_BLOCK = 60 * COLUMNS_PER_S
_MARGIN = 8  # columns; a spectrum reaches 2 to each side


def listen(path: Path) -> tuple[Array, int]:
    """Return the clip's mel spectrogram (columns, bands), and how many frames its whole length gives."""
    samples, rate = voice.read(path)
    heard = resample(voice.to_float(samples), rate)
    count = len(heard) // SAMPLES_PER_FRAME
    return spectrogram(heard[: count * SAMPLES_PER_FRAME]), count


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


def preemphasised(samples: Array, share: float) -> Array:
    """Return the samples less `share` of the one before each, as upstream's filter computes it in double precision."""
    exact = samples.astype(np.float64)
    exact[1:] += -share * samples[:-1].astype(np.float64)
    return exact.astype(np.float32)


def _mel(samples: Array) -> Array:
    loud = preemphasised(samples, hparams.preemphasis) if hparams.preemphasize else samples
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
    return mel_filters(hparams.num_mels, hparams.fmin, hparams.fmax, hparams.n_fft // 2 + 1)
