"""What the network gets of a portrait: a square around the face, and a mask of where the face is."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from faceorch_kit.portrait import Image

Mask = NDArray[np.uint8]  # (height, width), 255 where the face is


@dataclass(frozen=True)
class Box:
    """A rectangle of whole pixels, the right and lower edges outside of it."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        """Width in pixels."""
        return self.right - self.left

    @property
    def height(self) -> int:
        """Height in pixels."""
        return self.bottom - self.top

    def grown(self, ratio: float) -> Box:
        """Return the box, larger by `ratio` of its size on each side."""
        across, down = int(self.width * ratio), int(self.height * ratio)
        return Box(self.left - across, self.top - down, self.right + across, self.bottom + down)

    def within(self, image: Image) -> Box:
        """Return the part of the box that lies in the picture."""
        height, width = image.shape[:2]
        return Box(max(0, self.left), max(0, self.top), min(width, self.right), min(height, self.bottom))

    def square(self) -> Box:
        """Return the square in the middle of the box, as wide as its shorter side."""
        side = min(self.width, self.height)
        left = max(0, (self.left + self.right) // 2 - side // 2)
        top = max(0, (self.top + self.bottom) // 2 - side // 2)
        return Box(left, top, left + side, top + side)

    def of(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return this part of a picture."""
        return image[self.top : self.bottom, self.left : self.right]


def frame(image: Image, face: Box, size: int, crop: float, mask: float) -> tuple[Image, Mask, Box]:
    """Return the square of the portrait at `size`, the mask of the face in it, and the square's place.

    The square is the face's box grown by `crop` on each side, as far as the picture reaches; the mask is the face's
    box grown by `mask`.
    """
    place = face.grown(crop).within(image).square()
    covered = np.zeros(image.shape[:2], np.uint8)
    face.grown(mask).within(image).of(covered)[:] = 255
    return _resized(place.of(image), size), _resized(place.of(covered), size), place


def _resized(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    return np.asarray(cv2.resize(image, (size, size)), np.uint8)
