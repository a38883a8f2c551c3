"""How the face lies in the portrait, and the square around it that the networks see."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from faceorch_kit.faces import Points

# Height of the face, brows to chin, in the square's side: upstream asks for a face that fills 50 to 70 % of it.
_SHARE = 0.5
_MIDDLE = 0.55  # how far down in the square the face's middle lies


@dataclass(frozen=True, eq=False)
class Face:
    """A face: its `points` (n, 2), the `width` of its box in pixels, and how far it is turned and tilted."""

    points: Points
    width: float
    turn_degrees: float
    tilt_degrees: float


def measure(mesh: Points) -> Face:
    """Return the face of a mesh (478, 3)."""
    eyes = [mesh[list(ring)].mean(axis=0) for ring in ((33, 133, 159, 145), (362, 263, 386, 374))]
    across = eyes[1] - eyes[0]
    turn = np.degrees(np.arcsin(np.clip(abs(across[2]) / np.linalg.norm(across), 0.0, 1.0)))
    tilt = abs(np.degrees(np.arctan2(across[1], across[0])))
    return Face(mesh[:, :2], float(np.linalg.norm(mesh[454] - mesh[234])), float(turn), float(tilt))


def square(shape: tuple[int, ...], points: Points) -> tuple[slice, slice]:
    """Return rows and columns of the square around a face; never outside of a picture of `shape`."""
    height, width = shape[:2]
    (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
    side = int(min(round(max(bottom - top, right - left) / _SHARE), height, width))
    x = int(np.clip(round((left + right) / 2 - side / 2), 0, width - side))
    y = int(np.clip(round((top + bottom) / 2 - side * _MIDDLE), 0, height - side))
    return slice(y, y + side), slice(x, x + side)
