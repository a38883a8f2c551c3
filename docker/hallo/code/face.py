"""The square around the face that the networks see."""

from __future__ import annotations

import numpy as np

from faceorch_kit.faces import Points

# Height of the face, brows to chin, in the square's side: upstream asks for a face that fills 50 to 70 % of it.
_SHARE = 0.5
_MIDDLE = 0.55  # how far down in the square the face's middle lies


def square(shape: tuple[int, ...], points: Points) -> tuple[slice, slice]:
    """Return rows and columns of the square around a face; never outside of a picture of `shape`."""
    height, width = shape[:2]
    (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
    side = int(min(round(max(bottom - top, right - left) / _SHARE), height, width))
    x = int(np.clip(round((left + right) / 2 - side / 2), 0, width - side))
    y = int(np.clip(round((top + bottom) / 2 - side * _MIDDLE), 0, height - side))
    return slice(y, y + side), slice(x, x + side)
