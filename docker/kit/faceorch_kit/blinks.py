"""Synthetic blinks: when the lids close, and how far they are shut in every frame.

Pauses between blinks are log-normal, with the settable mean: Bentivoglio et al. 1997, "Analysis of blink rate patterns
in normal subjects", found 17 blinks a minute at rest and 26 in conversation, with wide, right-skewed pauses. A blink
closes faster than it opens: Guitton, Simard and Codere 1991, "Upper eyelid movements measured with a search coil during
blinks and vertical saccades". Each phase follows the minimum-jerk curve 10 s^3 - 15 s^4 + 6 s^5.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CLOSING_S, SHUT_S, OPENING_S = 0.090, 0.050, 0.180
_VARIATION = 0.15  # of a blink's length, either way
_SPREAD = 0.55  # deviation of the logarithm of a pause
_LEAST_PAUSE_S = 0.30
_CALM_S = 0.40  # at the start and, for the opening to end, at the end of a clip


@dataclass(frozen=True)
class Blink:
    """One blink: when it starts, in seconds, and its length as a factor of the mean one."""

    start_s: float
    length: float

    @property
    def end_s(self) -> float:
        """When the lids are open again."""
        return self.start_s + self.length * (CLOSING_S + SHUT_S + OPENING_S)


def blinks(duration_s: float, per_minute: float, seed: int) -> list[Blink]:
    """Return the blinks of a clip; the same for the same seed, none that the clip's end would cut off."""
    found: list[Blink] = []
    if per_minute <= 0.0:
        return found
    random = np.random.default_rng([seed % 2**64, 0xB11])
    whole_s = CLOSING_S + SHUT_S + OPENING_S
    # The mean of exp(N(m, s^2)) is exp(m + s^2 / 2); a blink's own length is part of the period.
    middle = np.log(max(60.0 / per_minute - whole_s, _LEAST_PAUSE_S)) - _SPREAD**2 / 2.0
    # A clip begins somewhere within a pause.
    now = _CALM_S + random.uniform(0.0, 1.0) * random.lognormal(middle, _SPREAD)
    while True:
        blink = Blink(float(now), float(1.0 + random.uniform(-_VARIATION, _VARIATION)))
        if blink.end_s > duration_s - _CALM_S / 4.0:
            return found
        found.append(blink)
        now = blink.end_s + max(_LEAST_PAUSE_S, random.lognormal(middle, _SPREAD))


def closures(found: list[Blink], frames: int, fps: float) -> NDArray[np.float32]:
    """Return how far the lids are shut in each frame (frames,): 0 open, 1 shut. Both eyes move together."""
    shut = np.zeros(frames)
    times = np.arange(frames) / fps
    for blink in found:
        since = (times - blink.start_s) / blink.length
        closing = _minimum_jerk(since / CLOSING_S)
        opening = _minimum_jerk((since - CLOSING_S - SHUT_S) / OPENING_S)
        shut = np.maximum(shut, closing - opening)
    return shut.astype(np.float32)


def _minimum_jerk(share: NDArray[np.float64]) -> NDArray[np.float64]:
    s = np.clip(share, 0.0, 1.0)
    return s**3 * (10.0 - 15.0 * s + 6.0 * s**2)
