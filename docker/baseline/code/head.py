"""Head motion and breathing as one smooth field: full strength on the head, nothing at the borders of the picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .face import Face
from .fields import Grid, border_window, thin_plate
from .motion import BREATH, DOWN, NOD, RIGHT, ROLL, YAW
from .pixels import Field, Points, ramp

MOTIONS = 6

# All in interocular distances, from the point between the eyes: the ellipse that a head with its hair fills, and how
# many times larger the ellipse is beyond which nothing moves.
_HEAD_RADII = (1.75, 2.35)
_REACH = 2.3
_NECK = 2.4  # the point about which a head leans, below the eyes
# Between these, below the eyes, the neck gives way; what lies further down (a collar, a badge, a microphone) stays.
_CHIN, _COLLAR = 1.75, 2.65


@dataclass(frozen=True)
class HeadField:
    """Displacement per motion, (rows, columns, 2, motions); motions are the columns of `Motion.head`."""

    grid: Grid
    basis: Field
    positions: Field

    def source(self, motion: Field) -> Field:
        """Return where each place of the grid is seen from, (rows, columns, 2) in picture coordinates."""
        return self.positions - (self.basis.reshape(-1, MOTIONS) @ motion).reshape(self.positions.shape)


def make_head_field(face: Face, size: tuple[int, int]) -> HeadField:
    """Return the field of a face in a picture of `size` (width, height)."""
    span, right, down = face.span, face.axes[0, :2], face.axes[1, :2]
    reach = np.array([face.place(x, y) for x in (-4.2, 4.2) for y in (-5.4, 7.0)])
    grid = Grid.around(reach, 0.0, max(2, round(span / 8)), size)
    at = grid.positions().astype(np.float64)
    offset = (at - face.place(0.0, 0.0)) / span
    x, y = offset @ (right / (right @ right)), offset @ (down / (down @ down))

    radius = np.hypot(x / _HEAD_RADII[0], y / _HEAD_RADII[1])
    window = border_window(grid, size, 0.9 * span)
    head = (ramp(radius, _REACH, 1.0) * ramp(y, _COLLAR, _CHIN) * window)[..., None]
    near = _nearness(face, grid)[..., None] * head
    pivot = at - face.place(0.0, _NECK)
    chest = ramp(y, 1.6, 3.4) * ramp(np.abs(x), 4.4, 2.2) * ramp(y, 7.0, 4.5) * window

    basis = np.zeros((*grid.shape, 2, MOTIONS), np.float32)
    basis[..., RIGHT] = span * right * head
    basis[..., DOWN] = span * down * head
    basis[..., ROLL] = np.stack([-pivot[..., 1], pivot[..., 0]], axis=2) * head
    basis[..., YAW] = right * near
    basis[..., NOD] = down * near
    basis[..., BREATH] = -span * down * np.maximum(chest[..., None], 0.35 * head)
    return HeadField(grid, basis, grid.positions())


def _nearness(face: Face, grid: Grid) -> Field:
    """Return how far each place is in front of the neck's axis, in pixels: turning the head moves near things more."""
    marks = [10, 151, 9, 168, 6, 5, 4, 1, 2, 0, 17, 199, 152, 148, 377, 172, 397, 58, 288, 93, 323, 234, 454, 127]
    marks += [356, 162, 389, 54, 284, 67, 297, 50, 280, 205, 425, 61, 291, 105, 334, 159, 386, 33, 263, 214, 434]
    axis = float(face.depth[[234, 454]].mean()) + 0.5 * face.span
    height = np.maximum(axis - face.depth[marks], 0.0)
    places, heights = [face.points[marks]], [height]
    for turn in np.linspace(0.0, 2.0 * np.pi, 14, endpoint=False):
        for radius, level in ((1.25, 0.55), (2.4, 0.3)):
            spot: Points = face.place(np.sin(turn) * _HEAD_RADII[0] * radius, np.cos(turn) * _HEAD_RADII[1] * radius)
            places.append(spot[None])
            heights.append(np.array([level * face.span]))
    known = np.concatenate(places)
    surface = thin_plate(known, np.concatenate(heights)[:, None], grid, face.span, stiffness=3e-2)[..., 0]
    return np.clip(surface, 0.0, 2.5 * face.span).astype(np.float32)
