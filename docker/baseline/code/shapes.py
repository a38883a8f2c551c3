"""What each control of the mouth and the brows does to the skin, as displacements of landmarks.

A mouth is a slit: the skin above it and the skin below it move apart. So there are two sheets, each smooth by itself.
The upper one ignores the lower lip and the lower one ignores the upper lip; they agree in the corners of the mouth and
along a seam that runs on from the corners to the cheeks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .face import LIP_LOW_INNER, LIP_LOW_OUTER, LIP_TOP_INNER, LIP_TOP_OUTER, Face
from .fields import Grid, border_window, thin_plate
from .motion import BARE, BROW, JAW, PRESS, ROUND, SPREAD
from .pixels import Field, Points

CONTROLS = 6

# Displacements in interocular distances (63 mm in an adult).
JAW_DROP = 0.19
_CORNER = 0.30  # how much of the jaw's way the corners of the mouth go
_SEAL = 0.012  # how far the lips press into each other when they close
MOST_GAP = 0.22  # that they close: a broad smile has 0.18

# Pairs of landmarks (right, left): the share of the jaw's way that they go.
_JAW = {
    (148, 377): 1.0,
    (171, 396): 1.0,
    (208, 428): 1.0,
    (201, 421): 1.0,
    (176, 400): 0.97,
    (149, 378): 0.91,
    (150, 379): 0.82,
    (136, 365): 0.68,
    (172, 397): 0.50,
    (58, 288): 0.30,
    (132, 361): 0.15,
    (93, 323): 0.03,
    (204, 424): 0.85,
    (210, 430): 0.68,
    (214, 434): 0.36,
    (202, 422): 0.60,
    (135, 364): 0.50,
    (192, 416): 0.22,
    (216, 436): 0.10,
    (207, 427): 0.08,
}
# (inwards by ROUND, outwards by SPREAD), in interocular distances, and how much rises with SPREAD
_CHEEKS = {
    (216, 436): (0.030, 0.022, 0.008),
    (207, 427): (0.012, 0.012, 0.006),
    (202, 422): (0.032, 0.014, 0.0),
    (214, 434): (0.016, 0.012, 0.004),
    (204, 424): (0.016, 0.006, 0.0),
    (92, 322): (0.026, 0.012, 0.004),
}
_CHIN = (152, 175, 199, 200, 18)
_STILL_PAIRS = (
    *((98, 327), (129, 358), (117, 346), (118, 347), (119, 348), (120, 349), (50, 280), (101, 330), (36, 266)),
    *((205, 425), (234, 454), (127, 356), (54, 284), (67, 297), (33, 263), (133, 362), (145, 374), (159, 386)),
    *((110, 339), (24, 254), (111, 340), (116, 345), (123, 352)),
)
_STILL = (1, 2, 4, 5, 195, 197, 6, 168, 10, *(mark for pair in _STILL_PAIRS for mark in pair))
# Landmarks of the brows and the skin around them: the share of the brows' way that they go.
_BROWS = {
    **dict.fromkeys((70, 63, 105, 66, 107, 300, 293, 334, 296, 336), 1.0),
    **dict.fromkeys((46, 53, 52, 65, 55, 276, 283, 282, 295, 285), 0.85),
    **dict.fromkeys((71, 301), 0.5),
    **dict.fromkeys((104, 69, 108, 151, 337, 299, 333), 0.45),
    **dict.fromkeys((27, 257), 0.10),
    9: 0.6,
}
_BROW_RAISE = 0.05
# Distance beyond the corner of the mouth, and the share of the corner's own displacement that is left there.
_SEAM = ((0.10, 0.78), (0.20, 0.50), (0.33, 0.24), (0.55, 0.04), (0.85, 0.0))


@dataclass(frozen=True)
class Sheets:
    """Displacement per control, (rows, columns, 2, controls), of the skin above the mouth and of that below it.

    `seam` (points, 2) runs from cheek to cheek through the corners of the mouth; its middle is left out.
    """

    grid: Grid
    upper: Field
    lower: Field
    seam_right: Points
    seam_left: Points

    def displace(self, controls: Field) -> tuple[Field, Field]:
        """Return the displacement fields (rows, columns, 2) in pixels for `controls` (6,)."""
        shape = self.upper.shape[:3]
        upper, lower = (sheet.reshape(-1, CONTROLS) @ controls for sheet in (self.upper, self.lower))
        return upper.reshape(shape), lower.reshape(shape)


class _Pins:
    """Places and their displacement (2, controls) in pixels."""

    def __init__(self, face: Face) -> None:
        self.face = face
        self.axes = face.span * face.axes[:2, :2]
        self.places: list[Points] = []
        self.moves: list[Points] = []

    def add(self, place: Points, **moves: tuple[float, float]) -> None:
        """Pin `place` (2,); moves are (right, down) in interocular distances by the control's name."""
        move = np.zeros((2, CONTROLS))
        for name, way in moves.items():
            move[:, _CONTROLS[name]] = np.asarray(way) @ self.axes
        self.places.append(place)
        self.moves.append(move)


_CONTROLS = {"jaw": JAW, "round": ROUND, "spread": SPREAD, "bare": BARE, "press": PRESS, "brow": BROW}


def make_sheets(face: Face, size: tuple[int, int]) -> Sheets:
    """Return the sheets of a face in a picture of `size` (width, height)."""
    common = _Pins(face)
    seam = _pin_common(common)
    sheets = []
    frame = np.concatenate([face.points[:468], common.places])
    grid = Grid.around(frame, 0.25 * face.span, max(2, round(face.span / 22)), size)
    window = border_window(grid, size, 0.3 * face.span, frame=False)
    for pin_lip in (_pin_upper_lip, _pin_lower_lip):
        pins = _Pins(face)
        pin_lip(pins)
        places = np.array(common.places + pins.places)
        moves = np.array(common.moves + pins.moves).reshape(len(places), -1)
        field = thin_plate(places, moves, grid, face.span, stiffness=4e-4) * window[..., None]
        sheets.append(field.reshape(*grid.shape, 2, CONTROLS))
    return Sheets(grid, sheets[0], sheets[1], seam[0], seam[1])


def _pin_common(pins: _Pins) -> tuple[Points, Points]:
    face = pins.face
    gap = closable(face, 5)
    for mark in _STILL:
        pins.add(face.points[mark])
    for mark, share in _BROWS.items():
        pins.add(face.points[mark], brow=(0.0, -_BROW_RAISE * share))
    for mark in _CHIN:
        near = {18: 1.0, 200: 0.5, 199: 0.25}.get(mark, 0.1)
        pins.add(face.points[mark], jaw=(0, JAW_DROP), bare=(0, 0.022 * near), press=(0, -0.42 * gap * near))
    for (right, left), share in _JAW.items():
        inwards, outwards, rise = _CHEEKS.get((right, left), (0.0, 0.0, 0.0))
        for mark, side in ((right, 1.0), (left, -1.0)):
            pins.add(
                face.points[mark],
                jaw=(0, JAW_DROP * share),
                round=(side * inwards, 0),
                spread=(-side * outwards, -rise),
            )
    pins.add(face.points[92], round=(0.026, 0), spread=(-0.012, -0.004))
    pins.add(face.points[322], round=(-0.026, 0), spread=(0.012, -0.004))
    _pin_surroundings(pins)
    return _pin_seam(pins, 61, 1.0), _pin_seam(pins, 291, -1.0)


def _pin_surroundings(pins: _Pins) -> None:
    """Hold still what lies around the face: neck, ears, hair."""
    face = pins.face
    middle = face.points[[5]].mean(axis=0)
    for mark in (10, 297, 284, 389, 454, 361, 397, 379, 400, 152, 176, 150, 172, 132, 234, 162, 54, 67):
        outwards = face.points[mark] - middle
        outwards /= np.linalg.norm(outwards)
        below = max(0.0, float(outwards @ face.axes[1, :2]))
        pins.add(face.points[mark] + outwards * face.span * (0.5 + 0.35 * below))
        pins.add(face.points[mark] + outwards * face.span * (0.9 + 0.40 * below))


def _pin_seam(pins: _Pins, corner: int, side: float) -> Points:
    face = pins.face
    places = [face.points[corner]]
    _add_corner(pins, places[0], side, 1.0)
    for distance, share in _SEAM:
        place = face.points[corner] - side * distance * face.span * face.axes[0, :2]
        _add_corner(pins, place, side, share)
        places.append(place)
    return np.array(places)


def _add_corner(pins: _Pins, place: Points, side: float, share: float) -> None:
    pins.add(
        place,
        jaw=(side * 0.014 * share, JAW_DROP * _CORNER * share),
        round=(side * 0.085 * share, 0.0),
        spread=(-side * 0.042 * share, -0.014 * share),
    )


def _pin_upper_lip(pins: _Pins) -> None:
    for index in range(1, 10):
        towards = 1.0 - abs(index - 5) / 5.0  # 0 in the corner of the mouth, 1 in its middle
        side = float(np.sign(5 - index))
        middle = float(np.sin(0.5 * np.pi * towards))
        gap = closable(pins.face, index)
        aside = (1.0 - towards) ** 1.2
        sag = JAW_DROP * _CORNER * (1.0 - middle) ** 1.5
        for marks, lift, seal, plump in (
            (LIP_TOP_OUTER, 0.012, 0.24 * gap + 0.003, -0.008),
            (LIP_TOP_INNER, 0.018, 0.40 * gap + _SEAL * middle, 0.010),
        ):
            pins.add(
                pins.face.points[marks[index]],
                jaw=(side * 0.014 * aside, sag - lift * middle),
                round=(side * 0.085 * aside, plump * middle),
                spread=(-side * 0.042 * aside, -0.014 * aside),
                bare=(0.0, -1.4 * lift * middle),
                press=(0.0, seal),
            )
    pins.add(pins.face.points[78], **_inner_corner(1.0))
    pins.add(pins.face.points[308], **_inner_corner(-1.0))


def _pin_lower_lip(pins: _Pins) -> None:
    for index in range(1, 10):
        towards = 1.0 - abs(index - 5) / 5.0
        side = float(np.sign(5 - index))
        middle = float(np.sin(0.5 * np.pi * towards))
        gap = closable(pins.face, index)
        aside = (1.0 - towards) ** 1.2
        for marks, bare, seal, plump in (
            (LIP_LOW_OUTER, 0.036, 0.46 * gap + 0.004, 0.012),
            (LIP_LOW_INNER, 0.050, 0.60 * gap + _SEAL * middle, -0.010),
        ):
            pins.add(
                pins.face.points[marks[index]],
                jaw=(side * 0.014 * aside, JAW_DROP * (_CORNER + (1.0 - _CORNER) * middle**0.9)),
                round=(side * 0.085 * aside, plump * middle),
                spread=(-side * 0.042 * aside, -0.014 * aside),
                bare=(0.0, bare * middle),
                press=(0.0, -seal),
            )
    pins.add(pins.face.points[78], **_inner_corner(1.0))
    pins.add(pins.face.points[308], **_inner_corner(-1.0))


def _inner_corner(side: float) -> dict[str, tuple[float, float]]:
    return {
        "jaw": (side * 0.014, JAW_DROP * _CORNER),
        "round": (side * 0.085, 0.0),
        "spread": (-side * 0.042, -0.014),
    }


def closable(face: Face, index: int) -> float:
    """Return how much of the gap in one place lips can close: skin that is drawn over a wide open mouth would fold."""
    widest = lip_gap(face)
    return lip_gap(face, index) * min(1.0, MOST_GAP / widest) if widest else lip_gap(face, index)


def lip_gap(face: Face, index: int = 5) -> float:
    """Return how far the lips are apart at rest, in interocular distances, in one of 11 places (5 is the middle)."""
    way = face.points[LIP_LOW_INNER[index]] - face.points[LIP_TOP_INNER[index]]
    return max(0.0, float(way @ face.axes[1, :2]) / face.span)
