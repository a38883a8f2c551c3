"""Head motion: how far the head turns and moves, and how fast."""

from __future__ import annotations

import numpy as np

from .findings import Finding, Verdict, not_measurable
from .signals import Floats, grid, interval, resample, smooth, spread
from .thresholds import THRESHOLDS

RATE_HZ, CUTOFF_HZ = 25.0, 4.0
_LIMITS = THRESHOLDS["head_motion"]


def head_motion(times: Floats, angles: Floats, centre: Floats) -> Finding:
    """Return the range of the head's pose: the norm of P95 - P5 of its three angles.

    `angles` (n, 3) are yaw, pitch and roll in degrees, `centre` (n, 2) the middle of the face in interocular
    distances; both NaN where there is no face.
    """
    at = grid(times, RATE_HZ)
    raw, place = resample(times, angles, at), resample(times, centre, at)
    pose, middle = smooth(raw, RATE_HZ, CUTOFF_HZ), smooth(place, RATE_HZ, CUTOFF_HZ)
    degrees, moved = _range(pose), _range(middle)
    if not np.isfinite(degrees):
        return not_measurable("the face was not found for long enough")
    low, high = interval(pose, _range, RATE_HZ, _LIMITS["repeat"])
    yaw, pitch, roll = np.asarray(spread(pose))
    turns = np.linalg.norm(np.diff(pose, axis=0), axis=1) * RATE_HZ
    if degrees >= _LIMITS["yes_deg"] or moved >= _LIMITS["yes_iod"]:
        verdict, says = Verdict.YES, "moves"
    elif degrees < _LIMITS["no_deg"] and moved < _LIMITS["no_iod"]:
        verdict, says = Verdict.NO, "still"
    else:
        verdict, says = Verdict.SLIGHT, "moves slightly"
    return Finding(
        value=degrees,
        unit="deg",
        low=low,
        high=high,
        verdict=verdict,
        says=says,
        reason=f"the head turns within {degrees:.1f} degrees and shifts by {moved:.2f} eye distances",
        details={
            "yaw_deg": yaw,
            "pitch_deg": pitch,
            "roll_deg": roll,
            "shift_iod": moved,
            "speed_deg_s": float(np.nanmean(turns)),
            "jitter_deg": _rms(raw - pose),
            "jitter_iod": _rms(place - middle),
        },
    )


def _range(values: Floats) -> float:
    return float(np.linalg.norm(spread(values)))


def _rms(values: Floats) -> float:
    return float(np.sqrt(np.nanmean((values**2).sum(axis=1))))
