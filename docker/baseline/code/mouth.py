"""The inside of the mouth: teeth taken from the picture or drawn, the dark behind them, the tongue."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from .face import LIP_LOW_INNER, LIP_LOW_OUTER, LIP_TOP_INNER, Face
from .fields import Grid, fill
from .motion import BARE, BROW, JAW
from .pixels import Box, Field, Image, Points, blur, look_up, ramp, smooth_line
from .shapes import JAW_DROP

_MM = 1.0 / 63.0  # in interocular distances (adult mean)
_IVORY = np.array([234.0, 222.0, 200.0], np.float32)
_TONGUE = np.array([168.0, 84.0, 82.0], np.float32)
_GUM = np.array([176.0, 98.0, 96.0], np.float32)
_CAVITY = np.array([38.0, 15.0, 14.0], np.float32)
# Edges between teeth from the middle outwards, in mm as seen from the front, where the arch turns away (Wheeler).
_UPPER_EDGES_MM = (0.0, 8.5, 15.0, 21.0, 25.5, 29.0, 31.0)
_LOWER_EDGES_MM = (0.0, 5.2, 10.8, 16.6, 21.5, 25.5, 28.0)
_SHOWN_MM = 1.6  # how far the upper teeth stand below lips that are closed
_OVERBITE_MM = 1.5
_LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)  # ITU-R BT.709


@dataclass(frozen=True)
class Layer:
    """Colour (height, width, 3) in 0..255 and cover (height, width, 1) in 0..1."""

    colour: Field
    cover: Field


class Mouth:
    """Draws what is seen between the lips, in a box of the picture."""

    def __init__(self, image: Image, face: Face) -> None:
        self.face = face
        marks = [*LIP_TOP_INNER, *LIP_LOW_INNER, *LIP_LOW_OUTER]
        box = [face.points[mark] + face.span * down * face.axes[1, :2] for mark in marks for down in (-0.22, 0.34)]
        box += [face.points[mark] + face.span * side * face.axes[0, :2] for mark, side in ((61, -0.5), (291, 0.5))]
        self.grid = Grid.around(np.array(box), 2.0, 1, (image.shape[1], image.shape[0]))
        self.top = smooth_line(face.points[list(LIP_TOP_INNER)])
        self.low = smooth_line(face.points[list(LIP_LOW_INNER)])
        self.picture = image[self.grid.rows, self.grid.columns].astype(np.float32)
        light, colourful = _light(image, face)
        self.ivory, self.flesh, self.gum, self.cavity = (
            np.asarray(light * (colour @ _LUMA + (colour - colour @ _LUMA) * colourful), np.float32)
            for colour in (_IVORY, _TONGUE, _GUM, _CAVITY)
        )
        teeth = _find_teeth(self.picture, self.grid, face, self.top, self.low)
        self.teeth_seen = teeth is not None
        across, down = self._millimetres()
        if teeth is None:
            middle = (self.top + self.low) / 2
            self._edge_mm = self._fit_edge(middle) * (0, 1, 1) + (-0.008, 0, _SHOWN_MM)
            self.upper = self._draw_upper(across, down)
            tint = self.ivory
        else:
            layer, edge, tint = teeth
            self._edge_mm = self._fit_edge(edge)
            self.upper = layer
        self.lower = _stack(self._draw_lower(across, down, tint))
        self.tongue = _stack(self._draw_tongue(across, down))
        self._down = face.span * face.axes[1, :2]

    def draw(self, top: Points, low: Points, controls: Field) -> tuple[Field, Box]:
        """Return what is seen behind lips with the inner edges `top` and `low` (n, 2), RGB, and where it lies."""
        opening = fill(self.grid, np.concatenate([top, low[::-1]]))
        box = self._around(np.concatenate([top, low]))
        depth = blur(opening[box], 0.055 * self.face.span)[..., None]
        shade = 0.30 + 0.70 * ramp(depth, 0.12, 0.80)
        jaw = JAW_DROP * float(controls[JAW])
        inside = np.empty((*depth.shape[:2], 3), np.float32)
        inside[:] = self.cavity
        inside = _over(inside, self._shift(self.tongue, 0.45 * jaw, box))
        inside = _over(inside, self._shift(self.lower, 0.92 * jaw, box)) * shade
        cover = self.upper.cover[box]
        upper = self.upper.colour[box]
        inside = _over(inside, Layer(upper if self.teeth_seen else upper * (0.55 + 0.45 * shade), cover))
        # A mouth at rest is the picture itself.
        activity = float(max(controls[JAW], controls[BARE], controls[:BROW].max() * 0.6))
        rest = float(1.0 - ramp(np.array(activity), 0.02, 0.22))
        return inside + (self.picture[box] - inside) * np.float32(rest), box

    def _around(self, points: Points) -> Box:
        """Return the part of the box that holds points (n, 2) in picture coordinates, with some room."""
        room = 3.0 + 0.03 * self.face.span
        low = np.maximum(points.min(axis=0) - (self.grid.left, self.grid.top) - room, 0).astype(int)
        high = (points.max(axis=0) - (self.grid.left, self.grid.top) + room).astype(int) + 1
        return slice(low[1], min(high[1], self.grid.height)), slice(low[0], min(high[0], self.grid.width))

    def _shift(self, both: Field, down: float, box: Box) -> Layer:
        """Return part of a layer (height, width, 4) that has moved towards the chin."""
        way = self._down * down
        rows, columns = box
        matrix = np.array([[1.0, 0.0, way[0] - columns.start], [0.0, 1.0, way[1] - rows.start]])
        size = (columns.stop - columns.start, rows.stop - rows.start)
        moved = np.asarray(cv2.warpAffine(both, matrix, size, borderMode=cv2.BORDER_REPLICATE), np.float32)
        return Layer(moved[..., :3], moved[..., 3:])

    def _millimetres(self) -> tuple[Field, Field]:
        """Return how far each pixel lies to the left ear's side of, and below, the middle of the resting lips."""
        at = np.stack(
            np.meshgrid(np.arange(self.grid.width) + self.grid.left, np.arange(self.grid.height) + self.grid.top),
            axis=2,
        )
        flat = self._to_mm(at.reshape(-1, 2).astype(np.float64)).reshape(at.shape)
        return flat[..., 0].astype(np.float32), flat[..., 1].astype(np.float32)

    def _to_mm(self, places: Points) -> Points:
        middle = (self.top[len(self.top) // 2] + self.low[len(self.low) // 2]) / 2
        frame = self.face.axes[:2, :2] * self.face.span * _MM
        return np.asarray((places - middle) @ np.linalg.inv(frame))

    def _fit_edge(self, line: Points) -> NDArray[np.float64]:
        """Return the parabola in mm through a line of picture points (n, 2)."""
        across, down = self._to_mm(line).T
        return np.asarray(np.polyfit(across, down, 2), np.float64)

    def _draw_upper(self, across: Field, down: Field) -> Layer:
        edge = np.polyval(self._edge_mm, across).astype(np.float32)
        tooth, gap = _teeth(across, _UPPER_EDGES_MM)
        length = edge - 0.9 * np.abs(tooth) ** 4 - down
        cover = ramp(length, -0.35, 0.35) * ramp(np.abs(across), 31.0, 27.0)
        fall = 1.0 - 0.55 * ramp(np.abs(across), 6.0, 28.0)
        colour = self.ivory * (fall * (1.0 - 0.30 * gap) * (0.86 + 0.14 * ramp(length, 0.0, 3.0)))[..., None]
        gum = ramp(length, 8.5, 10.0)[..., None]
        colour += (self.gum * fall[..., None] - colour) * gum
        return self._soften(colour, cover)

    def _draw_lower(self, across: Field, down: Field, tint: Field) -> Layer:
        edge = np.polyval(self._edge_mm, across).astype(np.float32) - _OVERBITE_MM
        tooth, gap = _teeth(across, _LOWER_EDGES_MM)
        length = down - edge - 0.6 * np.abs(tooth) ** 4
        cover = ramp(length, -0.35, 0.35) * ramp(np.abs(across), 27.0, 20.0)
        fall = 0.80 - 0.62 * ramp(np.abs(across), 2.0, 19.0)
        fall *= (1.0 - 0.22 * gap) * (1.0 - 0.35 * ramp(length, 1.0, 8.0))
        # Light that has been in the mouth comes back redder.
        colour = tint * fall[..., None] ** np.array([0.9, 1.15, 1.3], np.float32)
        return self._soften(colour, cover)

    def _draw_tongue(self, across: Field, down: Field) -> Layer:
        centre = float(self._edge_mm[2]) + 5.0
        radius = np.hypot(across / 15.0, (down - centre) / 7.5)
        colour = self.flesh * (0.62 * (1.0 - 0.45 * ramp(radius, 0.0, 1.0)))[..., None]
        return Layer(colour, 0.85 * ramp(radius, 1.05, 0.55)[..., None])

    def _soften(self, colour: Field, cover: Field) -> Layer:
        sigma = max(0.4, 0.008 * self.face.span)
        soft = blur(_stack(Layer(colour, cover[..., None])), sigma)
        return Layer(soft[..., :3], soft[..., 3:])


def _over(below: Field, layer: Layer) -> Field:
    return below + (layer.colour - below) * layer.cover


def _stack(layer: Layer) -> Field:
    return np.dstack([layer.colour, layer.cover]).astype(np.float32)


def _teeth(across: Field, edges_mm: tuple[float, ...]) -> tuple[Field, Field]:
    """Return the place within a tooth (-1..1) and how much of a pixel is the gap between two."""
    edges = np.array(edges_mm, np.float32)
    distance = np.abs(across)
    index = np.clip(np.searchsorted(edges, distance, side="right") - 1, 0, len(edges) - 2)
    start, end = edges[index], edges[index + 1]
    place = np.clip(2.0 * (distance - start) / (end - start) - 1.0, -1.0, 1.0)
    nearest = np.minimum(distance - start, np.abs(end - distance))
    return place.astype(np.float32), np.exp(-0.5 * (nearest / 0.35) ** 2).astype(np.float32)


def _light(image: Image, face: Face) -> tuple[float, float]:
    """Return how brightly the face is lit, 1 when ivory would show as ivory, and how colourful the picture is, 0..1."""
    reach = max(1, round(0.06 * face.span))
    height, width = image.shape[:2]
    samples = []
    for mark in (50, 280, 205, 425):
        x, y = np.round(face.points[mark]).astype(int)
        patch = image[max(y - reach, 0) : min(y + reach, height), max(x - reach, 0) : min(x + reach, width)]
        samples.append(patch.reshape(-1, 3).mean(axis=0) if patch.size else np.array([180.0, 150.0, 130.0]))
    skin = np.median(samples, axis=0)
    luma = float(skin @ _LUMA)
    colourful = float((skin.max() - skin.min()) / max(skin.max(), 1.0))
    return float(np.clip(0.28 + 0.72 * luma / 190.0, 0.25, 1.0)), float(np.clip(colourful / 0.18, 0.0, 1.0))


def _find_teeth(picture: Field, grid: Grid, face: Face, top: Points, low: Points) -> tuple[Layer, Points, Field] | None:
    """Return the upper teeth that the picture shows, the line (n, 2) of their edge and their colour; None without."""
    span = face.span
    gap = (low - top) @ face.axes[1, :2]
    if gap.max() < 0.05 * span:
        return None
    lab = cv2.cvtColor(picture / 255.0, cv2.COLOR_RGB2Lab)
    inner = fill(grid, np.concatenate([top, low[::-1]])) > 0.5
    core = cv2.erode(inner.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    lip = fill(grid, np.concatenate([low, smooth_line(face.points[list(LIP_LOW_OUTER)])[::-1]])) > 0.9
    if core.sum() < 20 or lip.sum() < 20:
        return None
    bright = core & (lab[..., 0] >= np.percentile(lab[core][:, 0], 60))
    tooth, skin = np.median(lab[bright], axis=0), np.median(lab[lip], axis=0)
    grey = float(np.abs(skin[1:]).max()) < 4.0
    if tooth[0] < skin[0] + (12.0 if grey else 4.0) or (not grey and tooth[1] > skin[1] - 3.0):
        return None
    # From 0 (colour of the teeth) to 1 (colour of the lips), by redness above all where there are colours.
    weights = np.array([1.0, 0.0, 0.0]) if grey else np.array([0.25, 1.0, 0.6])
    way = (skin - tooth) * weights
    redness = ((lab - tooth) * weights) @ way / (way @ way)
    whiteness = ramp(redness, 0.62, 0.32) * ramp(lab[..., 0] / tooth[0], 0.45, 0.68)

    steps = np.linspace(0.0, 1.0, 33)[None, :, None]
    ways = (top[:, None] + (low - top)[:, None] * steps - (grid.left, grid.top)).astype(np.float32)
    seen = look_up(whiteness, ways) > 0.5
    share = np.where(seen.any(axis=1), 1.0 - seen[:, ::-1].argmax(axis=1) / 32.0, 0.0)
    shown = gap > 0.3 * gap.max()
    if (share[shown] > 0.15).mean() < 0.5:
        return None
    filled = np.interp(np.arange(len(share)), np.flatnonzero(share > 0.15), share[share > 0.15])
    filled = np.convolve(np.pad(filled, 3, mode="edge"), np.ones(7) / 7.0, mode="valid")
    edge = top + (low - top) * filled[:, None] - 0.008 * span * face.axes[1, :2]

    above = top - 0.10 * span * face.axes[1, :2]
    cover = fill(grid, np.concatenate([above, edge[::-1]]), feather=0.010 * span)
    # Lip that the outline took in; what is red above the teeth is gum and stays.
    deep = fill(grid, np.concatenate([0.5 * (top + low), (low + 0.1 * span * face.axes[1, :2])[::-1]])) > 0.5
    bad = (~core | (deep & (redness > 0.6) & (lab[..., 0] > 0.45 * tooth[0]))).astype(np.uint8)
    patched = cv2.inpaint(picture.astype(np.uint8), bad, 0.05 * span, cv2.INPAINT_TELEA).astype(np.float32)
    soft = blur(bad.astype(np.float32), max(0.6, 0.012 * span))[..., None]
    blurred = blur(patched, max(0.8, 0.02 * span))
    colour = patched + (blurred - patched) * np.minimum(2.0 * soft, 1.0)
    tint = np.median(picture[bright], axis=0).astype(np.float32)
    return Layer(colour, cover[..., None]), edge[shown], tint
