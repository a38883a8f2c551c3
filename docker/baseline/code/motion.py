"""Curves for every frame of a video: what mouth, eyelids, brows, head and chest do."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .voice import RATE_HZ, Voice

Curve = NDArray[np.float32]

# Columns of `Motion.face`; shapes.py says what each one displaces.
JAW, ROUND, SPREAD, BARE, PRESS, BROW = range(6)
# Columns of `Motion.head`: shares of the interocular distance, and radians.
RIGHT, DOWN, ROLL, YAW, NOD, BREATH = range(6)

_LEAD_S = 0.010  # lips move a little ahead of the sound they shape; smoothing above adds as much again
_CALM_S = 0.12  # mouth at the ends of a clip
_SETTLE_S = 0.8  # head at the ends of a clip
_PAUSE_S = 0.05  # how long before and after a sound the lips do not rest
_MEET_S = 0.02
_BREATHS_HZ = 0.24
_CLOSING_S, _SHUT_S, _OPENING_S = 0.095, 0.045, 0.190  # Guitton et al. 1991; shut for one frame of 25 fps at least


@dataclass(frozen=True)
class Motion:
    """`face` (frames, 6), `lids` (frames,) in 0 (open) .. 1 (shut), `head` (frames, 6), `gaze` (frames, 2)."""

    face: Curve
    lids: Curve
    head: Curve
    gaze: Curve

    def __len__(self) -> int:
        return len(self.lids)


def frame_count(samples: int, rate: int, fps: float) -> int:
    """Return how many frames a clip of `samples` at `rate` Hz fills at `fps`; one at least."""
    return max(1, round(samples / rate * fps))


def move(
    voice: Voice,
    count: int,
    fps: float,
    seed: int,
    *,
    expression: float,
    head_motion: float,
    blinks_per_minute: float,
    grin: float = 0.0,
) -> Motion:
    """Return the motion of `count` frames.

    `expression` and `head_motion` are factors, 1 is natural; `grin` (0..1) says how far the portrait's own lips are
    apart.
    """
    random = [np.random.default_rng([seed % 2**64, stream]) for stream in range(3)]
    times = np.arange(count) / fps
    mouth = articulate(voice, grin) * expression
    face = np.stack([_sample(mouth[:, column], times + _LEAD_S) for column in range(mouth.shape[1])], axis=1)
    face[:, :BROW] *= _fade(times, count / fps, _CALM_S)[:, None]
    starts = blink_starts(count / fps, blinks_per_minute, random[0])
    head = _head(voice, times, count / fps, random[1]) * head_motion
    return Motion(
        face=np.clip(face, 0.0, _LIMITS).astype(np.float32),
        lids=lids(times, starts),
        head=head.astype(np.float32),
        gaze=(_gaze(times, random[2]) * _fade(times, count / fps, _SETTLE_S)[:, None]).astype(np.float32),
    )


# The largest value of each column of `Motion.face`, whatever the settings: what shapes.py is folded for.
_LIMITS = np.array([1.3, 1.0, 1.0, 1.0, 1.0, 1.0])


def articulate(voice: Voice, grin: float = 0.0) -> Curve:
    """Return (frames, 6) curves of the mouth and the brows, at the voice's own rate."""
    # Nobody talks through a broad smile: speech relaxes it. In a pause the lips meet, over the teeth if need be.
    relaxed = 0.30 * grin * _smooth(np.minimum(2.0 * voice.loud, 1.0), 0.22)
    pause = 1.0 - np.minimum(_longest(4.0 * voice.loud, _PAUSE_S), 1.0)
    meeting = min(1.0, 10.0 * grin) * _smooth(pause, 0.045)
    tone = voice.loud**0.8 * _smooth(voice.voiced, 0.012)
    # As long as a frame of 25 fps at least, so that one shows lips that are shut.
    shut = _longest(np.minimum(1.25 * voice.closed, 1.0), _MEET_S)
    closed = _smooth(shut, 0.010)
    jaw = tone * (0.22 + 0.78 * voice.open) + 0.10 * voice.hiss
    back, front = np.maximum(-voice.front, 0), np.maximum(voice.front, 0)
    rounded = 1.7 * tone * back * (1.0 - 0.45 * voice.open)
    spread = 0.8 * tone * front + 0.45 * voice.hiss
    bare = 0.85 * voice.hiss + 0.30 * tone * front
    accent = _smooth(voice.loud * np.clip(voice.pitch / 5.0, 0, 1), 0.14)
    columns = {
        JAW: _smooth(_release(jaw, 0.060), 0.028) * (1.0 - 0.92 * closed),
        ROUND: _smooth(_release(rounded, 0.080), 0.042) + relaxed,
        SPREAD: _smooth(_release(spread, 0.080), 0.045),
        BARE: _smooth(_release(bare, 0.050), 0.025) * (1.0 - closed),
        PRESS: np.maximum(np.maximum(_smooth(shut, 0.012), meeting), relaxed),
        BROW: _smooth(accent, 0.10),
    }
    return np.stack([columns[index] for index in range(6)], axis=1).astype(np.float32)


def blink_starts(duration_s: float, per_minute: float, rng: np.random.Generator) -> list[float]:
    """Return when blinks begin, in seconds: log-normal pauses, now and then a double blink, none cut off at the end."""
    whole_s = _CLOSING_S + _SHUT_S + _OPENING_S
    starts: list[float] = []
    if per_minute <= 0:
        return starts
    mean_s = 60.0 / per_minute
    spread = 0.55
    middle = np.log(mean_s) - spread**2 / 2
    # The first pause is cut short at random: the clip begins in the middle of it.
    now = 0.4 + rng.uniform(0.15, 0.85) * rng.lognormal(middle, spread)
    while now + whole_s < duration_s - 0.1:
        starts.append(float(now))
        twice = rng.uniform() < 0.07
        pause_s = rng.uniform(0.05, 0.15) if twice else max(0.5, rng.lognormal(middle, spread) - whole_s)
        now += whole_s + pause_s
    return starts


def lids(times: NDArray[np.float64], starts: list[float]) -> Curve:
    """Return how far the lids are shut at `times` (frames,) in seconds: quick to close, slower to open."""
    shut = np.zeros(len(times))
    for start in starts:
        since = times - start
        closing = _ease(since / _CLOSING_S)
        opening = 1.0 - np.clip((since - _CLOSING_S - _SHUT_S) / _OPENING_S, 0.0, 1.0)
        shut = np.maximum(shut, np.where(since < _CLOSING_S + _SHUT_S, closing, opening**1.7 * (2.0 - opening)))
    return np.clip(shut, 0.0, 1.0).astype(np.float32)


def _head(voice: Voice, times: NDArray[np.float64], duration_s: float, rng: np.random.Generator) -> NDArray[np.float64]:
    stress = _sample(_smooth(voice.loud, 0.16), times)
    swing = _sample(_smooth(voice.loud * np.clip(voice.pitch, -4, 4) / 4.0, 0.20), times)
    sizes = {RIGHT: 0.030, DOWN: 0.016, ROLL: 0.020, YAW: 0.036, NOD: 0.026}
    head = np.zeros((len(times), 6))
    for column, size in sizes.items():
        head[:, column] = size * _drift(times, rng)
    lively = 0.65 + 0.5 * _sample(_smooth(np.minimum(voice.loud * 2, 1), 0.5), times)
    head *= lively[:, None]
    head[:, NOD] += 0.030 * (stress - 0.4 * (stress > 0)) * np.minimum(stress * 4, 1) - 0.016 * swing
    head[:, ROLL] += 0.006 * swing * np.sign(rng.uniform(-1, 1))
    head *= _fade(times, duration_s, _SETTLE_S)[:, None]
    phase = 2 * np.pi * (_BREATHS_HZ * times + 0.03 * np.sin(0.31 * times))
    head[:, BREATH] = 0.020 * (0.5 - 0.5 * np.cos(phase)) * (1 - 0.15 * np.sin(phase))
    return head


def _drift(times: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Return smooth noise of unit deviation: sines between 0.07 and 0.9 Hz whose size falls with frequency."""
    hertz = 0.07 * (0.9 / 0.07) ** ((np.arange(9) + rng.uniform(0, 1, 9)) / 9)
    size = hertz**-0.75 * rng.uniform(0.5, 1.0, 9)
    phase = rng.uniform(0, 2 * np.pi, 9)
    waves = size * np.sin(2 * np.pi * hertz * times[:, None] + phase)
    return np.asarray(waves.sum(axis=1) / np.sqrt(0.5 * np.square(size).sum()), np.float64)


def _gaze(times: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Return small jumps of the eyes (frames, 2) in shares of the interocular distance: right and down."""
    gaze = np.zeros((len(times), 2))
    now, last = rng.uniform(0.6, 1.6), np.zeros(2)
    while len(times) and now < times[-1]:
        target = rng.normal(0, 1, 2) * (0.011, 0.006) if rng.uniform() < 0.7 else np.zeros(2)
        target = np.clip(target, (-0.02, -0.01), (0.02, 0.01))
        gaze[times >= now] = target
        moving = (times >= now) & (times < now + 0.05)
        gaze[moving] = last + (target - last) * _ease((times[moving] - now) / 0.05)[:, None]
        last, now = target, now + rng.uniform(0.5, 2.4)
    return gaze


def _fade(times: NDArray[np.float64], duration_s: float, length_s: float) -> NDArray[np.float64]:
    """Return a window that rises from 0 and falls back to 0 within `length_s` at both ends."""
    length_s = min(length_s, duration_s / 2) or 1.0
    last_s = times[-1] if len(times) else 0.0
    return _ease(times / length_s) * _ease((last_s - times) / length_s)


def _ease(share: NDArray[np.float64]) -> NDArray[np.float64]:
    share = np.clip(share, 0.0, 1.0)
    return share * share * (3.0 - 2.0 * share)


def _smooth(values: NDArray[np.floating], sigma_s: float) -> NDArray[np.float64]:
    """Blur with a Gaussian of `sigma_s` seconds; silence lies outside the clip."""
    sigma = sigma_s * RATE_HZ
    reach = int(np.ceil(3.5 * sigma))
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    full = np.convolve(values, weights / weights.sum())
    return np.asarray(full[reach : reach + len(values)], np.float64)


def _release(values: NDArray[np.floating], tau_s: float) -> NDArray[np.float64]:
    """Let every fall be no faster than an exponential of `tau_s` seconds; rises pass at once."""
    keep = float(np.exp(-1.0 / (tau_s * RATE_HZ)))
    held = np.empty(len(values))
    last = 0.0
    for index, value in enumerate(values.tolist()):
        last = max(value, last * keep)
        held[index] = last
    return held


def _longest(values: NDArray[np.floating], reach_s: float) -> NDArray[np.float64]:
    """Let every value last `reach_s` seconds longer on both sides, if it is larger than what is there."""
    reach = round(reach_s * RATE_HZ)
    padded = np.pad(np.asarray(values, np.float64), reach, mode="edge")
    return np.asarray(np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1).max(axis=1), np.float64)


def _sample(values: NDArray[np.floating], times: NDArray[np.float64]) -> NDArray[np.float64]:
    at = np.interp(times * RATE_HZ, np.arange(len(values)), values, left=0.0, right=0.0)
    return np.asarray(at, np.float64)
