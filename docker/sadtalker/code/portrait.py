"""A portrait's pixels, and what was found in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from faceorch_runner import BadInput

from .paste import Box, Image, resize

_LEAST_SIDE = 32


@dataclass(frozen=True)
class Subject:
    """What the renderer needs to know of a portrait.

    `square` is the part that it draws (RGB, size x size), `box` where that part lies in the portrait, `coefficients`
    the 64 of the expression, 3 angles, 3 of the translation, and 3 of how the face lies in the square.
    """

    square: Image
    box: Box
    coefficients: npt.NDArray[np.float32]
    face_width: float


def read_portrait(path: Path, max_size: int) -> Image:
    """Return a portrait (RGB) with even sides, none above `max_size`."""
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise BadInput(f"{path.name} cannot be read as a picture")
    height, width = picture.shape[:2]
    if min(height, width) < _LEAST_SIDE:
        raise BadInput(f"{path.name} is {width}x{height}, {_LEAST_SIDE} px or more a side needed")
    scale = min(1.0, max_size / max(height, width))
    picture = resize(np.asarray(picture, np.uint8), max(2, round(width * scale)), max(2, round(height * scale)))
    height, width = picture.shape[:2]
    return np.ascontiguousarray(picture[: height - height % 2, : width - width % 2, ::-1])
