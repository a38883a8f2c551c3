"""Blinks and small movements of the eyes, drawn into the picture itself before anything else moves it."""

from __future__ import annotations

import cv2
import numpy as np

from .face import IRIS, LID_LOW, LID_TOP, Face
from .fields import Grid, fill, thin_plate, turn_round
from .pixels import Field, Image, Points, blend, blur, ramp, sample, smooth_line, to_bytes

_MEET = 0.80  # share of the opening that the upper lid crosses; the lower one rises through the rest
_LASHES = 0.008  # how far below the edge of the lid its lashes reach, in interocular distances
_EDGE = 0.006  # how far above the mesh's line the skin of the lid certainly begins

# Landmarks around each eye, from the picture's left to its right: two rings above, two below, the brow.
_ABOVE = (
    ((247, 30, 29, 27, 28, 56, 190), (113, 225, 224, 223, 222, 221, 189)),
    ((414, 286, 258, 257, 259, 260, 467), (413, 441, 442, 443, 444, 445, 342)),
)
_BELOW = (
    ((25, 110, 24, 23, 22, 26, 112), (31, 228, 229, 230, 231, 232, 233)),
    ((341, 256, 252, 253, 254, 339, 255), (453, 452, 451, 450, 449, 448, 261)),
)
_BROW = ((46, 53, 52, 65, 55), (285, 295, 282, 283, 276))
_FOLLOW = (0.38, 0.06)  # share of the lid's way that each ring goes


class Eye:
    """One eye of a portrait: its lids can shut and its iris can move."""

    def __init__(self, image: Image, face: Face, side: int) -> None:
        points = face.points
        self._image, self._span, self._face = image, face.span, face
        lift = _EDGE * face.span * face.axes[1, :2]
        self._top, self._low = points[list(LID_TOP[side])] - lift, points[list(LID_LOW[side])]
        above = [points[list(ring)] for ring in _ABOVE[side]]
        below = [points[list(ring)] for ring in _BELOW[side]]
        brow = points[list(_BROW[side])]
        around = np.concatenate([brow, *above, *below])
        size = (image.shape[1], image.shape[0])
        self.grid = Grid.around(around, 0.10 * face.span, max(1, round(face.span / 40)), size)
        self._meet = self._top + _MEET * (self._low - self._top)
        still = np.concatenate([self._frame_points(), brow])
        self._upper = self._sheet(self._top, above, np.concatenate([still, *below]))
        self._lower = self._sheet(self._low, below, np.concatenate([still, *above]))
        self._opening = fill(self.grid, np.concatenate([smooth_line(self._top), smooth_line(self._low)[::-1]]), 0.5)
        self._iris = points[IRIS[side][0]]
        self._radius = float(np.linalg.norm(points[list(IRIS[side][1:])] - self._iris, axis=1).mean())
        self._iris_place = ramp(np.linalg.norm(self.grid.positions() - self._iris, axis=2) / self._radius, 1.9, 0.9)
        rim = self._pixels(smooth_line(self._top))
        self._lash = np.percentile(rim, 10, axis=0).astype(np.float32) * 0.8

    def draw(self, shut: float, gaze: Points) -> Image:
        """Return the box `grid` of the picture with the lids `shut` (0..1) and the iris moved by `gaze` (2,)."""
        eye = self._look(gaze)
        if shut <= 0.0:
            return eye
        down = self._face.axes[1, :2] * self._span
        edge = smooth_line(self._top + (self._meet - self._top) * shut)
        base = smooth_line(self._low + (self._meet - self._low) * shut)
        feather = 0.009 * self._span
        picture = eye * (1.0 - 0.30 * shut * self._opening[..., None])
        picture = blend(picture, self._slide(self._lower, shut), _beyond(self.grid, base, 2.0 * down, feather))
        lid = _beyond(self.grid, edge + _LASHES * down, -2.0 * down, feather)
        picture = blend(picture, self._slide(self._upper, shut), lid)
        lashes = np.zeros((self.grid.height, self.grid.width), np.uint8)
        line = np.round((edge + 0.5 * _LASHES * down - (self.grid.left, self.grid.top)) * 16).astype(np.int32)
        cv2.polylines(lashes, [line], False, 255, max(1, round(0.016 * self._span)), cv2.LINE_AA, 4)
        stroke = blur(lashes.astype(np.float32) / np.float32(255), max(0.5, 0.010 * self._span))
        picture = blend(picture, self._lash, np.float32(0.75 * shut) * stroke)
        return to_bytes(picture)

    def _look(self, gaze: Points) -> Image:
        if not np.any(gaze):
            return self._image[self.grid.rows, self.grid.columns]
        way = (gaze @ self._face.axes[:2, :2] * self._span).astype(np.float32)
        source = self.grid.positions() - self._iris_place[..., None] * way
        moved = sample(self._image, self.grid.enlarge(source))
        still = self._image[self.grid.rows, self.grid.columns].astype(np.float32)
        return to_bytes(blend(still, moved, self._opening))

    def _slide(self, sheet: Field, shut: float) -> Image:
        source = self.grid.enlarge(turn_round(sheet * np.float32(shut), self.grid, 14, 0.5))
        return sample(self._image, source)

    def _sheet(self, line: Points, rings: list[Points], still: Points) -> Field:
        """Return the displacement (rows, columns, 2) of the skin that hangs on `line` when the lids are shut."""
        way = self._meet - line
        places, moves = [line, still], [way, np.zeros_like(still)]
        for ring, share in zip(rings, _FOLLOW, strict=True):
            places.append(ring)
            moves.append(share * way[1:8])
        return thin_plate(np.concatenate(places), np.concatenate(moves), self.grid, self._span, 1e-5)

    def _frame_points(self) -> Points:
        """Return points (n, 2) around the box, where nothing moves."""
        x = np.linspace(self.grid.left, self.grid.left + self.grid.width, 7)
        y = np.linspace(self.grid.top, self.grid.top + self.grid.height, 7)
        edges = [np.column_stack([x, np.full(7, end)]) for end in (y[0], y[-1])]
        edges += [np.column_stack([np.full(5, end), y[1:-1]]) for end in (x[0], x[-1])]
        return np.concatenate(edges)

    def _pixels(self, places: Points) -> Image:
        where = places.astype(np.float32)[:, None, :]
        return sample(self._image, where)[:, 0]


def _beyond(grid: Grid, line: Points, way: Points, feather: float) -> Field:
    """Return how much of each pixel lies on that side of a line (n, 2) to which `way` (2,) leads."""
    return fill(grid, np.concatenate([line, [line[-1] + way, line[0] + way]]), feather)
