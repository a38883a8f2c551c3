"""The mouth: how far it opens, and whether it rests while the clip is silent."""

from __future__ import annotations

import numpy as np

from .findings import Finding, Verdict, not_measurable
from .signals import Flags, Floats, grid, interval, resample, runs, smooth, spread
from .thresholds import THRESHOLDS

RATE_HZ, CUTOFF_HZ = 50.0, 8.0
_LIMITS = THRESHOLDS["mouth"]
_IDLE = THRESHOLDS["idle"]


def opening(times: Floats, gap: Floats) -> tuple[Floats, Floats]:
    """Return times and the opening of the inner lips (interocular distances) at RATE_HZ, without jitter."""
    at = grid(times, RATE_HZ)
    return at, smooth(resample(times, gap, at), RATE_HZ, CUTOFF_HZ)


def mouth(opened: Floats) -> Finding:
    """Return the range of the mouth's opening (n,) at RATE_HZ: P95 - P5."""
    reach = spread(opened)
    if not np.isfinite(reach):
        return not_measurable("the mouth was not seen for long enough")
    value = float(reach)
    low, high = interval(opened, lambda part: float(spread(part)), RATE_HZ, _LIMITS["repeat"])
    if value >= _LIMITS["yes_iod"]:
        verdict, says = Verdict.YES, "moves"
    elif value < _LIMITS["no_iod"]:
        verdict, says = Verdict.NO, "still"
    else:
        verdict, says = Verdict.SLIGHT, "moves slightly"
    return Finding(
        value=value,
        unit="IOD",
        low=low,
        high=high,
        verdict=verdict,
        says=says,
        reason=f"the lips open within {value:.2f} eye distances; people who speak reach 0.11 to 0.23",
    )


def idle(opened: Floats, spoken: Floats) -> Finding:
    """Return the share of frames in which the mouth moves while the clip is silent.

    `opened` is the mouth's opening and `spoken` the probability of speech, both (n,) at RATE_HZ.
    """
    speed = np.abs(np.gradient(opened)) * RATE_HZ
    known = np.isfinite(speed)
    silent, speech = _silence(spoken) & known, (spoken > 0.5) & known
    silent_s = float(silent.sum()) / RATE_HZ
    if silent_s < _IDLE["least_s"]:
        return not_measurable(
            f"the clip is silent for {silent_s:.1f} s, {_IDLE['least_s']:g} s needed", silent_s=silent_s
        )
    moving = speed > _IDLE["moving_iod_s"]
    share = float(moving[silent].mean())
    low, high = interval(moving[silent].astype(np.float64), lambda part: float(part.mean()), RATE_HZ)
    if share >= _IDLE["yes"]:
        verdict, says = Verdict.YES, "moves in silence"
    elif share < _IDLE["no"]:
        verdict, says = Verdict.NO, "rests in silence"
    else:
        verdict, says = Verdict.SLIGHT, "rests mostly"
    ratio = float(speed[silent].mean() / speed[speech].mean()) if speech.sum() > RATE_HZ else None
    return Finding(
        value=share,
        unit="share",
        low=max(0.0, low) if np.isfinite(low) else None,
        high=min(1.0, high) if np.isfinite(high) else None,
        verdict=verdict,
        says=says,
        reason=f"the mouth moves in {share:.0%} of {silent_s:.1f} s without speech; people smile and breathe there too",
        details={"silent_s": silent_s, "speed_iod_s": float(speed[silent].mean()), "ratio_to_speech": ratio},
    )


def _silence(spoken: Floats) -> Flags:
    """Return where nobody has spoken for a while."""
    quiet = np.zeros(len(spoken), bool)
    for begin, end in runs(spoken < 0.3):
        if end - begin >= _IDLE["pause_s"] * RATE_HZ:
            quiet[begin:end] = True
    return quiet
