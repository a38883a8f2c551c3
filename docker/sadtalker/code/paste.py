"""Rendered faces to frames: into the portrait by Poisson blending, or as a picture of their own."""

from __future__ import annotations

from typing import Protocol

import cv2
import numpy as np

from faceorch_kit.portrait import Image

Box = tuple[int, int, int, int]  # left, top, right, bottom


class Composer(Protocol):
    """Makes a frame of what the renderer drew."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the frames."""
        ...

    @property
    def changing(self) -> Box:
        """The part that moves."""
        ...

    @property
    def still(self) -> Image | None:
        """The picture around it; None when all of it moves."""
        ...

    def __call__(self, rendered: Image) -> Image:
        """Return the frame for one rendered square (RGB)."""
        ...


class IntoPortrait:
    """Clones the face into the portrait; everything outside `box` stays as it is."""

    def __init__(self, portrait: Image, box: Box) -> None:
        left, top, right, bottom = box
        height, width = portrait.shape[:2]
        if not (0 <= left < right <= width and 0 <= top < bottom <= height):
            raise ValueError(f"box {box} leaves the {width}x{height} portrait")
        self.size, self.changing, self.still = (width, height), box, portrait
        self._centre = ((left + right) // 2, (top + bottom) // 2)
        self._mask = np.full((bottom - top, right - left, 3), 255, np.uint8)

    def __call__(self, rendered: Image) -> Image:
        """Return the portrait with the rendered face in it."""
        left, top, right, bottom = self.changing
        face = resize(rendered, right - left, bottom - top)
        return np.asarray(cv2.seamlessClone(face, self.still, self._mask, self._centre, cv2.NORMAL_CLONE), np.uint8)


class OnItsOwn:
    """The rendered square, at the shape of the part of the portrait that it was drawn from."""

    still = None

    def __init__(self, width: int, height: int, side: int) -> None:
        # Video needs even sides; the width is the renderer's, as upstream has it.
        self.size = (even(side), even(side * height // width))
        self.changing = (0, 0, *self.size)

    def __call__(self, rendered: Image) -> Image:
        """Return the rendered picture in its own proportions."""
        return resize(rendered, *self.size)


def even(length: int) -> int:
    """Return the even number of pixels at or below `length`, and 2 at least."""
    return max(2, length - length % 2)


def resize(image: Image, width: int, height: int) -> Image:
    """Return `image` at another size; averaged when it shrinks, so that nothing shimmers."""
    if image.shape[:2] == (height, width):
        return image
    shrinks = width < image.shape[1] and height < image.shape[0]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (width, height), interpolation=how), np.uint8)
