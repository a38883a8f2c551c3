"""The second look at a video: landmarks and pixels of every frame, as series over its times."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from .faces import TURN, Head, Mesh, Place
from .models import Models
from .signals import Floats
from .survey import Survey
from .thresholds import THRESHOLDS
from .video import Image, Video

Progress = Callable[[float], None]
_CUTS, _POSE = THRESHOLDS["cuts"], THRESHOLDS["pose"]
# What a face in profile does not show.
_SEEN_FROM_THE_FRONT = ("eye_left", "eye_right", "blink", "open", "wide", "lips", "jaw", "close", "pucker", "funnel")


class Pixels(Protocol):
    """What looks at the picture itself, frame after frame."""

    columns: tuple[str, ...]

    def look(self, time: float, image: Image, mesh: Mesh | None) -> dict[str, float]:
        """Return values of `columns` for one frame; what is missing is not known."""


@dataclass(frozen=True, eq=False)
class Watched:
    """Series over the times of the frames, in seconds from the file's beginning; NaN where there is no face.

    Places are in pixels of `size`; `x` and `y` of the face's middle are in interocular distances.
    """

    times: Floats
    series: dict[str, Floats]
    size: tuple[int, int]
    jumps: int = 0

    @property
    def coverage(self) -> float:
        """The share of frames in which the face was found."""
        return float(np.isfinite(self.series["yaw"]).mean())


def watch(
    models: Models, video: Video, seen: Survey, place: Place, pixels: Pixels | None, progress: Progress
) -> Watched:
    """Read every frame of the longest shot, within `place`."""
    rows: list[dict[str, float]] = []
    size = (0, 0)
    head = Head(models)
    try:
        for index, frame in enumerate(video.frames()):
            if index < seen.begin:
                continue
            if index >= seen.end:
                break
            image = frame.image()
            size = (image.shape[1], image.shape[0])
            mesh, turn = head.look(place.cut(image), frame.time)
            if mesh is not None:
                mesh = replace(mesh, points=mesh.points + np.array([place.left, place.top, 0.0]))
            row = {} if mesh is None else mesh.facts() | turn
            if pixels is not None:
                row |= pixels.look(frame.time, image, mesh)
            rows.append(row)
            progress((index + 1 - seen.begin) / (seen.end - seen.begin))
    finally:
        head.close()
    names = sorted({name for row in rows for name in row} | {"yaw", *TURN})
    series = {name: np.array([row.get(name, np.nan) for row in rows], np.float64) for name in names}
    times = seen.times[seen.begin : seen.begin + len(rows)]
    return settled(Watched(times, series, size))


def settled(found: Watched) -> Watched:
    """Measure places in interocular distances, keep the longest part without a jump, and drop what profiles hide."""
    if "iod" not in found.series:
        return found
    series = dict(found.series)
    unit = float(np.nanmedian(series["iod"]))
    series["x"], series["y"] = series["x"] / unit, series["y"] / unit
    turn = np.stack([series[name] for name in ("yaw", "pitch", "roll")], axis=1)
    jumped = _steps(turn) > _CUTS["turn_deg"]
    jumped |= _steps(np.stack([series["x"], series["y"]], axis=1)) > _CUTS["shift_iod"]
    edges = [0, *(np.flatnonzero(jumped) + 1).tolist(), len(found.times)]
    begin, end = max(itertools.pairwise(edges), key=lambda part: part[1] - part[0])
    hidden = np.abs(series["yaw"]) > _POSE["profile_deg"]
    for name in _SEEN_FROM_THE_FRONT:
        series[name] = np.where(hidden, np.nan, series[name])
    kept = {name: values[begin:end] for name, values in series.items()}
    return Watched(found.times[begin:end], kept, found.size, len(edges) - 2)


def _steps(values: Floats) -> Floats:
    """Return how far each of `values` (n, k) is from the one before it (n - 1,); 0 where either is not known."""
    return np.asarray(np.nan_to_num(np.linalg.norm(np.diff(values, axis=0), axis=1)), np.float64)
