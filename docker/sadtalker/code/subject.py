"""What is found in a portrait."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from faceorch_kit.portrait import Image

from .paste import Box


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
