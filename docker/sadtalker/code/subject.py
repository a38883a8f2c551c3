"""What is found in a portrait."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from faceorch_kit.portrait import Image, small_face, which_face

from .paste import Box

LEAST_FACE, SMALL_FACE = 16, 32  # pixels: refused below the first, poor below the second


@dataclass(frozen=True)
class Subject:
    """What the renderer needs to know of a portrait.

    `square` is the part that it draws (RGB, size x size), `box` where that part lies in the portrait, `coefficients`
    the 64 of the expression, 3 angles, 3 of the translation, and 3 of how the face lies in the square. `points` (68, 2)
    are its landmarks and `face_width` its width, in pixels of the portrait; `faces` says of how many it is the largest.
    """

    square: Image
    box: Box
    coefficients: npt.NDArray[np.float32]
    points: npt.NDArray[np.float32]
    face_width: float
    faces: int = 1

    @property
    def parts(self) -> dict[str, npt.NDArray[np.float32]]:
        """Landmarks (n, 2) around the face, the eyes and the mouth, in pixels of the portrait."""
        return {"face": self.points, "eyes": self.points[36:48], "mouth": self.points[48:68]}


def refuse_small(name: str, width: float, shrunk: float) -> None:
    """Refuse a face of `width` pixels, of `shrunk` as many in the file, with next to nothing left of a mouth."""
    if width < LEAST_FACE:
        raise small_face(name, width, LEAST_FACE, shrunk)


def remarks(name: str, original: Image, portrait: Image, subject: Subject) -> list[str]:
    """Return what is to be said of an `original` that is animated as the `portrait`, and of the face in it."""
    size, worked_on = original.shape[1::-1], portrait.shape[1::-1]
    said = []
    if subject.faces > 1:
        said.append(which_face(subject.faces, (subject.box[0] + subject.box[2]) / 2, portrait))
    if max(worked_on) < max(size) - 1:  # an odd last row or column is cut off, which is not worth a word
        said.append(f"{name} is {size[0]}x{size[1]} and was scaled down to {worked_on[0]}x{worked_on[1]} (max_size)")
    if 0.0 < subject.face_width < SMALL_FACE:
        said.append(f"the face is {subject.face_width:.0f} px wide: below {SMALL_FACE} it is drawn from very little")
    return said
