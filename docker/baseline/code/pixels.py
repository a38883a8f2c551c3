"""Arrays of pixels: their types, and the few operations that everything else is made of."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]  # (height, width, 3) RGB
Field = NDArray[np.float32]  # (rows, columns, ...)
Points = NDArray[np.float64]  # (n, 2): right and down, in pixels
Box = tuple[slice, slice]  # rows and columns

LINEAR, CUBIC = cv2.INTER_LINEAR, cv2.INTER_CUBIC


def sample(picture: Image, where: Field, how: int = CUBIC) -> Image:
    """Return the pixels (height, width, 3) of a picture at places (height, width, 2); its edges go on for ever."""
    taken: Image = cv2.remap(picture, where, None, how, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[call-overload]
    return taken


def look_up(field: Field, where: Field) -> Field:
    """Return the values of a field at places (height, width, 2), counted in its rows and columns."""
    taken: Field = cv2.remap(field, where, None, LINEAR, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[call-overload]
    return taken


def blur(field: Field, sigma: float) -> Field:
    """Return a field blurred with a Gaussian of `sigma` pixels; as it is when that is too small to see."""
    return field if sigma < 0.25 else np.asarray(cv2.GaussianBlur(field, (0, 0), sigma), np.float32)


def blend(below: Field, above: Field | Image, share: Field) -> Field:
    """Return `below` covered by `above` as far as `share` (height, width) says."""
    return np.asarray(below + (above - below) * share[..., None], np.float32)


def to_bytes(picture: Field) -> Image:
    """Return a picture in 0..255 as bytes."""
    return np.asarray(np.clip(picture + 0.5, 0, 255), np.uint8)


def ramp(values: NDArray[np.floating], start: float, end: float) -> Field:
    """Rise from 0 at `start` to 1 at `end` with no corner (or fall, when `end` is the smaller)."""
    share = np.clip((values - start) / (end - start), 0.0, 1.0)
    return np.asarray(share**3 * (share * (6.0 * share - 15.0) + 10.0), np.float32)


def smooth_line(places: Points, parts: int = 4) -> Points:
    """Return a Catmull-Rom spline (m, 2) through `places` (n, 2), with `parts` pieces between neighbours."""
    padded = np.concatenate([2 * places[:1] - places[1:2], places, 2 * places[-1:] - places[-2:-1]])
    before, start, end, after = (padded[i : len(padded) - 3 + i, None] for i in range(4))
    t = (np.arange(parts) / parts)[None, :, None]
    bend = (2 * before - 5 * start + 4 * end - after) + t * (3 * (start - end) + after - before)
    curve = start + 0.5 * t * ((end - before) + t * bend)
    return np.concatenate([curve.reshape(-1, 2), places[-1:]])
