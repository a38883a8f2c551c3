"""The first look at a video: how many frames, where it is cut, and a few pictures to find the face in."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .signals import Flags, Floats
from .thresholds import THRESHOLDS
from .video import Image, Video

_LIMITS = THRESHOLDS["cuts"]
_THUMB = 48  # pixels
_PROBES = 12  # pictures that are kept, at most
_AROUND = 12  # frames to each side that a cut must stand out from


@dataclass(frozen=True, eq=False)
class Survey:
    """The times of all frames, the longest shot among them (begin and end of its frames), and pictures of it."""

    times: Floats
    shots: int
    begin: int
    end: int
    size: tuple[int, int]  # of the frames as they are, width and height
    probes: list[Image]
    longest_rest_s: float  # for which the picture does not change at all


def survey(video: Video) -> Survey:
    """Read a video once."""
    times: list[float] = []
    changes = [0.0]
    probes: dict[int, Image] = {}
    stride, before = 1, None
    size = (0, 0)
    for index, frame in enumerate(video.frames()):
        times.append(frame.time)
        thumb = frame.picture.reformat(_THUMB, _THUMB, "gray", interpolation="AREA").to_ndarray().astype(np.float32)
        thumb -= thumb.mean()  # a lamp that flickers is not a cut
        if before is not None:
            changes.append(float(np.abs(thumb - before).mean()))
        before = thumb
        if index == 0:
            turned = frame.quarters % 2
            wide, tall = frame.picture.width, frame.picture.height
            size = (tall, wide) if turned else (wide, tall)
        if index % stride == 0:
            probes[index] = frame.image()
            if len(probes) > _PROBES:
                stride *= 2
                probes = {place: image for place, image in probes.items() if place % stride == 0}
    cuts = np.flatnonzero(cuts_in(np.array(changes)))
    edges = [0, *cuts.tolist(), len(times)]
    known = np.array(times)
    ends = np.append(known, known[-1])
    lengths = [ends[end] - known[begin] for begin, end in itertools.pairwise(edges)]
    best = int(np.argmax(lengths))
    begin, end = edges[best], edges[best + 1]
    return Survey(
        times=known,
        shots=len(lengths),
        begin=begin,
        end=end,
        size=size,
        probes=[image for place, image in probes.items() if begin <= place < end],
        longest_rest_s=_longest_rest(known[begin:end], np.array(changes)[begin:end]),
    )


def cuts_in(changes: Floats) -> Flags:
    """Return where a new shot begins, from how much each frame differs from the one before it (grey levels)."""
    found = np.zeros(len(changes), bool)
    for index in np.flatnonzero(changes > _LIMITS["least_grey"]):
        around = np.delete(changes, index)[max(0, index - _AROUND) : index + _AROUND]
        found[index] = changes[index] > _LIMITS["times_around"] * np.percentile(around, 90) if len(around) else False
    return found


def _longest_rest(times: Floats, changes: NDArray[np.float64]) -> float:
    longest, since = 0.0, times[0]
    for time, change in zip(times[1:], changes[1:], strict=True):
        if change > 0:
            since = time
        longest = max(longest, float(time - since))
    return longest
