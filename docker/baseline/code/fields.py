"""Smooth displacement fields: interpolated from landmarks, turned round, and brought to full size."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from .pixels import Box, Field, Points, blur, look_up, ramp


@dataclass(frozen=True)
class Grid:
    """A part of the picture, `width` x `height` pixels at (`left`, `top`), sampled every `cell` pixels.

    Grids have one row and column more than needed on every side, so that they can be brought to full size without
    guessing at the borders.
    """

    left: int
    top: int
    width: int
    height: int
    cell: int

    @classmethod
    def around(cls, points: Points, margin: float, cell: int, size: tuple[int, int]) -> Grid:
        """Return the grid that holds `points` (n, 2) with a margin in pixels, within a picture (width, height)."""
        low = np.maximum(np.floor(points.min(axis=0) - margin), 0).astype(int)
        high = np.minimum(np.ceil(points.max(axis=0) + margin), size).astype(int)
        return cls(int(low[0]), int(low[1]), int(high[0] - low[0]), int(high[1] - low[1]), max(1, cell))

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the coarse grid."""
        return -(-self.height // self.cell) + 2, -(-self.width // self.cell) + 2

    @property
    def rows(self) -> slice:
        """Rows of the picture."""
        return slice(self.top, self.top + self.height)

    @property
    def columns(self) -> slice:
        """Columns of the picture."""
        return slice(self.left, self.left + self.width)

    def positions(self) -> Field:
        """Return the picture coordinates (rows, columns, 2) of the coarse grid."""
        rows, columns = self.shape
        x = self.left + (np.arange(columns, dtype=np.float32) - 0.5) * self.cell - 0.5
        y = self.top + (np.arange(rows, dtype=np.float32) - 0.5) * self.cell - 0.5
        return np.stack(np.meshgrid(x, y), axis=2)

    def enlarge(self, coarse: Field, box: Box | None = None) -> Field:
        """Return a coarse field (rows, columns, ...) at one value a pixel; only `box` of it when one is given."""
        (top, bottom), (left, right) = self._range(box, 0), self._range(box, 1)
        cell = self.cell
        row, column = top // cell, left // cell
        part = coarse[row : -(-bottom // cell) + 2, column : -(-right // cell) + 2]
        size = (part.shape[1] * cell, part.shape[0] * cell)
        full = np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_LINEAR), np.float32)
        top, left = top - (row - 1) * cell, left - (column - 1) * cell
        bottom, right = bottom - (row - 1) * cell, right - (column - 1) * cell
        return full[top:bottom, left:right]

    def _range(self, box: Box | None, axis: int) -> tuple[int, int]:
        return (0, (self.height, self.width)[axis]) if box is None else (box[axis].start, box[axis].stop)

    def look_up(self, field: Field, places: Points) -> Points:
        """Return the values (n, k) of a coarse field (rows, columns, k) at picture points (n, 2)."""
        where = ((places - (self.left, self.top) + 0.5) / self.cell + 0.5).astype(np.float32)
        return look_up(field, where[:, None, :]).reshape(len(places), -1).astype(np.float64)


def thin_plate(places: Points, values: Points, grid: Grid, unit: float, stiffness: float = 1e-4) -> Field:
    """Interpolate `values` (n, k) given at `places` (n, 2) over a coarse grid: (rows, columns, k).

    Thin-plate spline (Bookstein 1989): the smoothest surface through the values. `unit` is the length in pixels by
    which places are divided, `stiffness` lets the surface miss the values a little.
    """
    known = (places - places.mean(axis=0)) / unit
    count = len(known)
    plane = np.column_stack([np.ones(count), known])
    system = np.zeros((count + 3, count + 3))
    system[:count, :count] = _kernel(known, known) + stiffness * np.eye(count)
    system[:count, count:], system[count:, :count] = plane, plane.T
    weights = np.linalg.solve(system, np.vstack([values, np.zeros((3, values.shape[1]))]))
    rows, columns = grid.shape
    asked = (grid.positions().reshape(-1, 2) - places.mean(axis=0)) / unit
    surface = _kernel(asked, known) @ weights[:count] + np.column_stack([np.ones(len(asked)), asked]) @ weights[count:]
    return np.asarray(surface.reshape(rows, columns, -1), np.float32)


def _kernel(a: Points, b: Points) -> Points:
    squared = np.square(a[:, None, :] - b[None, :, :]).sum(axis=2)
    return np.asarray(0.5 * squared * np.log(squared + 1e-12), np.float64)


def turn_round(forward: Field, grid: Grid, steps: int = 6, pace: float = 0.8) -> Field:
    """Return, for every place, where what is seen there comes from: picture coordinates (rows, columns, 2).

    `forward` (rows, columns, 2) says how far each place moves. Solves p = x - forward(p) by repetition; each step goes
    `pace` of the way, which converges while nothing is stretched to more than 2 / `pace` times its size, or folded.
    """
    target = grid.positions()
    index = (target - (grid.left, grid.top) + 0.5) / grid.cell + 0.5
    source = target - forward
    for _ in range(steps - 1):
        where = (index + (source - target) / grid.cell).astype(np.float32)
        source += np.float32(pace) * (target - look_up(forward, where) - source)
    return source


def border_window(grid: Grid, size: tuple[int, int], width: float, *, frame: bool = True) -> Field:
    """Return weights (rows, columns) that fall to 0 over `width` pixels towards the edges of the grid.

    With `frame` false, edges that are edges of the picture (width, height) are left alone.
    """
    at = grid.positions()
    right, bottom = grid.left + grid.width, grid.top + grid.height
    window = np.ones(grid.shape, np.float32)
    # A cell of zeros at the edge itself: what lies next to it is not moved by a hair.
    start = min(float(grid.cell), 0.2 * width)
    if frame or grid.left > 0:
        window *= ramp(at[..., 0] - grid.left, start, width)
    if frame or grid.top > 0:
        window *= ramp(at[..., 1] - grid.top, start, width)
    if frame or right < size[0]:
        window *= ramp(right - 1 - at[..., 0], start, width)
    if frame or bottom < size[1]:
        window *= ramp(bottom - 1 - at[..., 1], start, width)
    return window


def fill(grid: Grid, outline: Points, feather: float = 0.0) -> Field:
    """Return how much of each pixel (height, width) of a grid lies inside an outline (n, 2), softened by `feather`."""
    mask = np.zeros((grid.height, grid.width), np.uint8)
    corners = np.round((outline - (grid.left, grid.top)) * 16).astype(np.int32)
    cv2.fillPoly(mask, [corners], (255,), lineType=cv2.LINE_AA, shift=4)
    return blur(mask.astype(np.float32) / np.float32(255), feather)
