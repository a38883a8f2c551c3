"""What LivePortrait's landmark model starts from: 68 points of the face."""

from __future__ import annotations

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


def landmarks(mesh: Points) -> Points:
    """Return the 68 points (68, 2) of a mesh (478, 3), in pixels."""
    return mesh[list(_IBUG), :2].astype(np.float64)
