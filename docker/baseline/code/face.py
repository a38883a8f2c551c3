"""The face of a portrait: 478 landmarks and the frame of reference in which everything else is measured."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from .pixels import Points

# Landmarks of the MediaPipe face mesh, from the subject's right (left in the picture) to the left.
LIP_TOP_INNER = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)
LIP_LOW_INNER = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)
LIP_TOP_OUTER = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291)
LIP_LOW_OUTER = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291)
LID_TOP = ((33, 246, 161, 160, 159, 158, 157, 173, 133), (362, 398, 384, 385, 386, 387, 388, 466, 263))
LID_LOW = ((33, 7, 163, 144, 145, 153, 154, 155, 133), (362, 382, 381, 380, 374, 373, 390, 249, 263))
IRIS = ((468, 469, 470, 471, 472), (473, 474, 475, 476, 477))


@dataclass(frozen=True, eq=False)
class Face:
    """A face in picture coordinates: pixels, right and down; depth in pixels, away from the viewer.

    `points` has shape (478, 2), `depth` (478,).
    """

    points: Points
    depth: NDArray[np.float64]

    @classmethod
    def of(cls, mesh: Points) -> Face:
        """Return the face of a mesh (478, 3)."""
        # Sixteenths of a pixel: far below what can be seen, and above what the models' threads could make uncertain.
        rounded = np.round(mesh * 16) / 16
        return cls(np.ascontiguousarray(rounded[:, :2]), np.ascontiguousarray(rounded[:, 2]))

    @cached_property
    def solid(self) -> Points:
        """The landmarks with their depth, shape (478, 3)."""
        return np.column_stack([self.points, self.depth])

    @cached_property
    def eyes(self) -> Points:
        """Middles of the two eyes, shape (2, 3)."""
        return np.stack([self.solid[[*LID_TOP[side], *LID_LOW[side]]].mean(axis=0) for side in range(2)])

    @cached_property
    def span(self) -> float:
        """The interocular distance in pixels, in space, so that turning the head does not shorten it."""
        return float(np.linalg.norm(self.eyes[1] - self.eyes[0]))

    @cached_property
    def axes(self) -> Points:
        """Unit vectors of the head in picture space, rows: to the left ear, to the chin, to the back."""
        right = self.eyes[1] - self.eyes[0]
        right /= np.linalg.norm(right)
        down = self.solid[152] - self.solid[10]
        down -= right * (down @ right)
        down /= np.linalg.norm(down)
        return np.stack([right, down, np.cross(right, down)])

    def place(self, right: float, down: float, origin: int = 168) -> Points:
        """Return the picture point (2,) that lies `right` and `down` interocular distances from a landmark."""
        return np.asarray(self.points[origin] + self.span * (right * self.axes[0, :2] + down * self.axes[1, :2]))
