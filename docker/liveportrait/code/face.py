"""What LivePortrait's landmark model starts from: 68 points of the face, and how the head is held."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from faceorch_kit.faces import Points

# Where the mesh of 468 points has the 68 of the iBUG scheme: jaw, brows, nose, eyes, lips.
_IBUG = (
    *(162, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 389),
    *(71, 63, 105, 66, 107, 336, 296, 334, 293, 301),
    *(168, 197, 5, 4, 75, 97, 2, 326, 305),
    *(33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380),
    *(61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181),
    *(78, 82, 13, 312, 308, 317, 14, 87),
)


@dataclass(frozen=True, eq=False)
class Face:
    """A face: 68 `points` (68, 2), the `width` of its box in pixels, and how far it is turned and tilted."""

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
    width = float(np.linalg.norm(mesh[454] - mesh[234]))
    return Face(mesh[list(_IBUG), :2].astype(np.float64), width, float(turn), float(tilt))
