"""The portrait as an array: read, brought to the size in which it is animated, and refused."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from faceorch_runner import BadInput, NoFace

Image = NDArray[np.uint8]  # (height, width, 3) RGB

LEAST_WIDTH = 64  # pixels of a face; below, lips are thinner than two pixels

_LEAST_SIDE = 32


def read(path: Path) -> Image:
    """Return a picture (height, width, 3) RGB; `BadInput` when it is none, or too small to show a face."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
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


def small_face(name: str, width: float, least: int) -> BadInput:
    """Return the error for a face that is `width` pixels wide where `least` are needed: the limit of one network."""
    return BadInput(f"face is {width:.0f} px wide in {name}, {least} px or more needed: crop closer to it")


def which_face(faces: int, middle: float, image: Image) -> str:
    """Return the note on a portrait with several `faces`, of which the largest has its middle at column `middle`."""
    part = min(2, max(0, int(3 * middle / image.shape[1])))
    where = ("on the left", "in the middle", "on the right")[part]
    return f"{faces} faces found in the portrait; the largest, {where}, is used"
