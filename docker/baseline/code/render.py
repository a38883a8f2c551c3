"""Puts one frame together: eyes, then mouth, then the head as a whole."""

from __future__ import annotations

import numpy as np

from .eyes import Eye
from .face import Face
from .fields import Grid, fill, turn_round
from .head import make_head_field
from .motion import BROW, Motion
from .mouth import Mouth
from .pixels import CUBIC, LINEAR, Box, Field, Image, Points, blend, blur, look_up, sample, to_bytes
from .shapes import make_sheets

# Larger areas get bilinear interpolation: bicubic takes three times as long, and large faces have softer pixels anyway.
_SHARP_PIXELS = 200_000
_STILL = 0.05  # pixels: a smaller displacement is none
_BROW_STILL = 0.02


class Renderer:
    """Renders frames of one portrait."""

    def __init__(self, image: Image, face: Face) -> None:
        """Prepare everything that does not change; `image` is (height, width, 3) RGB with even sides."""
        self._size = (image.shape[1], image.shape[0])
        self._face = face
        self._eyes = [Eye(image, face, side) for side in range(2)]
        self._sheets = make_sheets(face, self._size)
        self._mouth = Mouth(image, face)
        self._mouth_box = _within(self._mouth.grid, self._sheets.grid)
        self._head = make_head_field(face, self._size)
        self._head_box = self._sharp_box()
        self._below = self._share_below()
        self._talking, self._frowning = self._moving(slice(0, BROW)), self._moving(slice(0, None))
        # The portrait with its eyes moved; that with the mouth moved too; that with the head moved too.
        self._plain: Image = image.copy()
        self._skin: Image = image.copy()
        self._frame: Image = image.copy()

    def draw(self, motion: Motion, index: int) -> Image:
        """Return frame `index` (height, width, 3) RGB; the next call overwrites it."""
        for eye in self._eyes:
            patch = eye.draw(float(motion.lids[index]), motion.gaze[index].astype(np.float64))
            self._plain[eye.grid.rows, eye.grid.columns] = patch
        self._draw_face(motion.face[index])
        self._draw_head(motion.head[index])
        return self._frame

    def _draw_face(self, controls: Field) -> None:
        sheets, grid = self._sheets, self._sheets.grid
        upper, lower = sheets.displace(controls)
        upper_source, lower_source = turn_round(upper, grid), turn_round(lower, grid)
        box = self._frowning if controls[BROW] > _BROW_STILL else self._talking
        mixed = grid.enlarge(upper_source + (lower_source - upper_source) * self._below, box)
        part = self._skin[grid.rows, grid.columns]
        part[:] = self._plain[grid.rows, grid.columns]
        part[box] = _sharp(self._plain, mixed)

        box = self._mouth_box
        above = _sharp(self._plain, grid.enlarge(upper_source, box))
        below = _sharp(self._plain, grid.enlarge(lower_source, box))
        part[box] = self._draw_mouth(controls, upper, lower, above, below)

    def _draw_mouth(self, controls: Field, upper: Field, lower: Field, above: Image, below: Image) -> Image:
        """Put the lips of both sheets and what lies between them together, from back to front."""
        sheets, mouth, grid = self._sheets, self._mouth, self._sheets.grid
        top = mouth.top + grid.look_up(upper, mouth.top)
        low = mouth.low + grid.look_up(lower, mouth.low)
        right, left = (seam + grid.look_up(lower, seam) for seam in (sheets.seam_right, sheets.seam_left))
        feather = 0.007 * self._face.span
        # The opening goes on behind the lower lip, so that no skin of the upper sheet shines through the lip's edge.
        behind = low + 0.03 * self._face.span * self._face.axes[1, :2]
        opening = fill(mouth.grid, np.concatenate([top, behind[::-1]]), feather)
        front = fill(mouth.grid, self._under(np.concatenate([right[::-1], low, left])), feather)
        picture = above.astype(np.float32)
        inside, where = mouth.draw(top, low, controls)
        picture[where] = blend(picture[where], inside, opening[where])
        return to_bytes(blend(picture, below, front))

    def _draw_head(self, motion: Field) -> None:
        grid, box = self._head.grid, self._head_box
        source = grid.enlarge(self._head.source(motion))
        part = self._frame[grid.rows, grid.columns]
        part[:] = sample(self._skin, source, LINEAR)
        if box is not None:
            part[box] = sample(self._skin, source[box])

    def _under(self, line: Points) -> Points:
        """Return an outline of everything below a line (n, 2) that runs from left to right."""
        right, down = self._face.axes[0, :2] * self._face.span, self._face.axes[1, :2] * self._face.span
        start, end = line[0] - 6 * right, line[-1] + 6 * right
        return np.concatenate([[start], line, [end, end + 9 * down, start + 9 * down]])

    def _share_below(self) -> Field:
        """Return how much each place of the sheets' grid (rows, columns, 1) belongs to the lower one, at rest."""
        grid, sheets = self._sheets.grid, self._sheets
        line = np.concatenate([sheets.seam_right[::-1], self._mouth.low, sheets.seam_left])
        mask = fill(grid, self._under(line))
        where = grid.positions() - np.array([grid.left, grid.top], np.float32)
        return blur(look_up(mask, where), 1.0)[..., None]

    def _moving(self, controls: slice) -> Box:
        """Return the part of the sheets' grid, in pixels, that some of the controls displace."""
        grid = self._sheets.grid
        both = np.stack([self._sheets.upper, self._sheets.lower])[..., controls]
        rows, columns = np.nonzero(np.abs(both).max(axis=(0, 3, 4)) > _STILL)
        top, left = ((int(index.min()) - 2) * grid.cell for index in (rows, columns))
        bottom, right = ((int(index.max()) + 1) * grid.cell for index in (rows, columns))
        return slice(max(top, 0), min(bottom, grid.height)), slice(max(left, 0), min(right, grid.width))

    def _sharp_box(self) -> Box | None:
        """Return the part of the head's grid, in pixels, to draw with bicubic interpolation: the head or the face."""
        face = self._face
        head = np.array([face.place(x, y) for x in (-1.75, 1.75) for y in (-2.3, 2.4)])
        for points in (head, face.points):
            box = Grid.around(points, 0.0, 1, self._size)
            if box.width * box.height <= _SHARP_PIXELS:
                return _within(box, self._head.grid)
        return None


def _within(inner: Grid, outer: Grid) -> Box:
    """Return where a grid lies in a larger one, in pixels."""
    rows = slice(max(inner.top - outer.top, 0), min(inner.top + inner.height - outer.top, outer.height))
    columns = slice(max(inner.left - outer.left, 0), min(inner.left + inner.width - outer.left, outer.width))
    return rows, columns


def _sharp(picture: Image, where: Field) -> Image:
    return sample(picture, where, CUBIC if where.shape[0] * where.shape[1] <= _SHARP_PIXELS else LINEAR)
