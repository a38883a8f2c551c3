"""A clip as the motion model hears it: 16 kHz samples in windows, and how many frames it fills."""

from __future__ import annotations

import numpy as np

from faceorch_kit.voice import Samples

RATE = 16000  # of samples that are not normalised: the motion model hears loudness too
LEAD = 2  # frames: upstream puts 80 ms of silence before a clip, although its training code pads nothing


def frame_count(seconds: float, fps: float) -> int:
    """Return how many frames cover a clip, the last one perhaps in part."""
    return max(1, int(np.ceil(seconds * fps - 1e-6)))


def windows(samples: Samples, frames: int, length: int, fps: float) -> Samples:
    """Return the clip cut into windows (n, samples) of `length` frames each, for `frames` frames and the lead.

    The lead comes first, and silence fills the last window.
    """
    per_frame = RATE / fps
    count = max(1, -(-(frames + LEAD) // length))
    width = round(length * per_frame)
    padded = np.zeros(count * width, np.float32)
    start = round(LEAD * per_frame)
    sound = samples[: len(padded) - start]
    padded[start : start + len(sound)] = sound
    return padded.reshape(count, width)
