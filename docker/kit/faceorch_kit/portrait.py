"""The portrait as an array: read, brought to the size in which it is animated, and refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from faceorch_runner import BadInput, NoFace

Box = tuple[float, float, float, float]  # left, top, right, bottom, in pixels
Image = NDArray[np.uint8]  # (height, width, 3) RGB

LEAST_WIDTH = 64  # pixels of a face; below, lips are thinner than two pixels
MOST_DEGREES = 45.0  # that a face may be turned or tilted

_LEAST_SIDE = 32
_OUTSIDE = 0.1  # of a face's width or height that may lie outside of the picture
_POINT_OUTSIDE = 0.02  # the same of its eyes, nose and mouth: as far as a detector may err
_SURER = 0.3  # by how much in -log10(1 - score) a detector must be surer of a face once it is turned
_FOREHEAD = 0.15  # and as much more above it: nothing of a forehead moves


def read(path: Path) -> Image:
    """Return a picture (height, width, 3) RGB; `BadInput` when it is none, or too small to show a face."""
    # Not by its name: OpenCV crashes on one that is not UTF-8.
    content = np.frombuffer(path.read_bytes(), np.uint8)
    image = cv2.imdecode(content, cv2.IMREAD_COLOR) if len(content) else None
    if image is None:
        raise BadInput(f"{path.name} cannot be read as a picture")
    height, width = image.shape[:2]
    if min(height, width) < _LEAST_SIDE:
        raise BadInput(f"{path.name} is {width}x{height}, {_LEAST_SIDE} px or more a side needed")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


def fit(image: Image, max_size: int) -> Image:
    """Return a picture with no side above `max_size` and even sides, as video needs them."""
    height, width = image.shape[:2]
    scale = max_size / max(height, width)
    if scale < 1.0:
        size = (max(2, round(width * scale)), max(2, round(height * scale)))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    height, width = image.shape[:2]
    return np.ascontiguousarray(image[: height - height % 2, : width - width % 2])


def no_face(name: str, image: Image) -> NoFace:
    """Return the error for a portrait in which no face is found."""
    height, width = image.shape[:2]
    return NoFace(f"no face found in {name} ({width}x{height}): one face seen from the front needed")


def small_face(name: str, width: float, least: int, shrunk: float = 1.0) -> BadInput:
    """Return the error for a face that is `width` pixels wide where `least` are needed: the limit of one network.

    `shrunk` says how many pixels of the file became one before the face was measured.
    """
    if shrunk > 1.0:
        found = f"{width:.0f} px wide at the size of the video ({width * shrunk:.0f} px in {name})"
        return BadInput(f"face is {found}, {least} px or more needed: crop closer to it, or raise max_size")
    return BadInput(f"face is {width:.0f} px wide in {name}, {least} px or more needed: crop closer to it")


def which_face(faces: int, middle: float, image: Image) -> str:
    """Return the note on a portrait with several `faces`, of which the largest has its middle at column `middle`."""
    part = min(2, max(0, int(3 * middle / image.shape[1])))
    where = ("on the left", "in the middle", "on the right")[part]
    return f"{faces} faces found in the portrait; the largest, {where}, is used"


def check_whole(name: str, image: Image, box: Box) -> None:
    """Raise `NoFace` when the face in a `box` is cut off by an edge of the picture."""
    outside = _outside(image, box, box)
    _check_edges(name, {**outside, "upper": outside["upper"] - _FOREHEAD}, _OUTSIDE)


def check_points(name: str, image: Image, box: Box, points: NDArray[np.floating]) -> None:
    """Raise `NoFace` when a face that a detector has found is cut off by an edge, upside down or on its side.

    `points` (5, 2) are what detectors tell beside a `box`: two eyes, the nose, two corners of the mouth. They lie
    outside of the picture when half a face is missing, while the box of what is left often ends at the edge.
    """
    check_whole(name, image, box)
    (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
    _check_edges(name, _outside(image, (left, top, right, bottom), box), _POINT_OUTSIDE)
    right_of, below = points[3:].mean(axis=0) - points[:2].mean(axis=0)
    degrees = abs(float(np.degrees(np.arctan2(right_of, below))))
    if degrees > MOST_DEGREES:
        raise turned_face(name, 2 if degrees > 180.0 - MOST_DEGREES else 1)


def check_upright(name: str, image: Image, box: Box, sure: float, surest: Callable[[Image], float]) -> None:
    """Raise `NoFace` when a detector is surer of a face once the picture around it is turned.

    `surest` returns the score (0..1) of the surest face of a picture; `sure` is that of the face as it is. For
    detectors of upright faces, which give an upside-down one the points of an upright one. Measured with MTCNN on the
    58 pictures of `FaceFinder`: the right position is always the surest; -log10(1 - score) is larger by 0.01 or more
    when that is the picture's own, and by 0.58 or more (of 56 found) when it is another.
    """
    sureness = [_nines(surest(view)) for view in views(image, box)]
    sureness[0] = max(sureness[0], _nines(sure))
    best = int(np.argmax(sureness))
    if sureness[best] > sureness[0] + _SURER:
        raise turned_face(name, best)


def views(image: Image, box: Box) -> list[Image]:
    """Return the surroundings of a face, as they are and turned counter-clockwise by one, two and three quarters."""
    left, top, right, bottom = box
    x, y, reach = (left + right) / 2, (top + bottom) / 2, 1.5 * max(right - left, bottom - top)
    height, width = image.shape[:2]
    rows = slice(max(0, round(y - reach)), min(height, round(y + reach)))
    columns = slice(max(0, round(x - reach)), min(width, round(x + reach)))
    return [np.ascontiguousarray(np.rot90(image[rows, columns], quarters)) for quarters in range(4)]


def _nines(score: float) -> float:
    """Return -log10(1 - score): how sure a detector is, where its scores crowd below 1."""
    return -float(np.log10(max(1.0 - score, 1e-7)))


def turned_face(name: str, quarters: int) -> NoFace:
    """Return the error for a face that must be turned by so many quarters (1 to 3) before it is upright."""
    how = "upside down" if quarters == 2 else "on its side"
    return NoFace(f"the face in {name} is {how}: an upright one needed")


def _outside(image: Image, part: Box, face: Box) -> dict[str, float]:
    """Return how far a part of a face lies beyond each edge of the picture, in widths and heights of the face."""
    height, width = image.shape[:2]
    wide, tall = face[2] - face[0], face[3] - face[1]
    left, top, right, bottom = part
    return {
        "left": -left / wide,
        "right": (right - width) / wide,
        "upper": -top / tall,
        "lower": (bottom - height) / tall,
    }


def _check_edges(name: str, outside: dict[str, float], most: float) -> None:
    edge = max(outside, key=lambda edge: outside[edge])
    if outside[edge] > most:
        raise NoFace(f"the face in {name} is cut off by the {edge} edge: a whole face needed")
