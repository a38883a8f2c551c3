"""The portrait as an array: read, and brought to the size in which it is animated."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from faceorch_runner import BadInput

from .face import Image

_LEAST_SIDE = 32


def read(path: Path) -> Image:
    """Return a picture (height, width, 3) RGB."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise BadInput(f"{path.name} cannot be read as a picture")
    if min(image.shape[:2]) < _LEAST_SIDE:
        found = f"{image.shape[1]}x{image.shape[0]}"
        raise BadInput(f"{path.name} is {found}, {_LEAST_SIDE} px or more a side needed")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


def fit(image: Image, max_size: int) -> Image:
    """Return a picture with no side above `max_size` and even sides."""
    height, width = image.shape[:2]
    scale = max_size / max(height, width)
    if scale < 1.0:
        size = (max(2, round(width * scale)), max(2, round(height * scale)))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    height, width = image.shape[:2]
    return np.ascontiguousarray(image[: height - height % 2, : width - width % 2])
