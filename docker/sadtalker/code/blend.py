"""Restored faces to frames of twice the size: where a face lies, which of its pixels count, and how it goes back."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
import numpy.typing as npt

from faceorch_kit.portrait import Image

from .paste import Box, Composer

Matrix = npt.NDArray[np.float64]

SCALE = 2
SIDE = 512
# Where FFHQ, on which GFPGAN was trained, puts the five points of a face in a picture of 512 pixels.
_AT = (
    (192.98138, 239.94708),
    (318.90277, 240.1936),
    (256.63416, 314.01935),
    (201.26117, 371.41043),
    (313.08905, 371.15118),
)
_OUTSIDE = (132, 133, 135)  # RGB, what a face that leaves the picture is filled up with
_SOFT, _SOFT_SIGMA = 101, 11.0
_BORDER = 10
_LANCZOS_REACH = 4


@dataclass
class Sharpened:
    """One frame and its restored faces: where each lies, its pixels, and which of them count."""

    index: int
    frame: Image
    faces: list[tuple[Matrix, Image, npt.NDArray[np.uint8]]] = field(default_factory=list)


def noise_seed(seed: int, frame: int, face: int) -> int:
    """Return one number for each seed, frame and face, within what torch takes."""
    return ((seed * 1_000_003 + frame) * 64 + face) % 2**63


def cut_out(frame: Image, matrix: Matrix) -> Image:
    """Return the face that `matrix` moves to the square, in SIDE x SIDE pixels."""
    side = (SIDE, SIDE)
    return np.asarray(
        cv2.warpAffine(frame, matrix, side, borderMode=cv2.BORDER_CONSTANT, borderValue=_OUTSIDE), np.uint8
    )


def aligned(points: npt.NDArray[np.float32]) -> Matrix:
    """Return the matrix that moves the five points of a face to where GFPGAN wants them."""
    matrix, _ = cv2.estimateAffinePartial2D(points, np.array(_AT), method=cv2.LMEDS)
    return np.asarray(matrix, np.float64)


class PasteBack:
    """Frames at twice their size with the restored faces in them; what never moves is enlarged once."""

    def __init__(self, composer: Composer) -> None:
        width, height = composer.size
        self.size = (width * SCALE, height * SCALE)
        self._changing = composer.changing
        self._still = None if composer.still is None else enlarge(composer.still)

    def __call__(self, sharpened: Sharpened) -> Image:
        """Return the finished frame."""
        if self._still is None:
            canvas = enlarge(sharpened.frame)
        else:
            canvas = self._still.copy()
            enlarge_part(sharpened.frame, self._changing, canvas)
        for matrix, face, mask in sharpened.faces:
            blend(canvas, matrix, face, mask)
        return canvas


def enlarge(image: Image) -> Image:
    """Return a picture at twice its size."""
    size = (image.shape[1] * SCALE, image.shape[0] * SCALE)
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_LANCZOS4), np.uint8)


def enlarge_part(image: Image, part: Box, canvas: Image) -> None:
    """Enlarge only `part` of `image` into `canvas`, with the same pixels as if all of it were enlarged."""
    height, width = image.shape[:2]
    reach = 2 * _LANCZOS_REACH
    left, top = max(0, part[0] - reach), max(0, part[1] - reach)
    right, bottom = min(width, part[2] + reach), min(height, part[3] + reach)
    piece = enlarge(image[top:bottom, left:right])
    # Pixels near a cut were made without their neighbours; those near the picture's own edge were not.
    skip_left, skip_top = (_LANCZOS_REACH if left else 0), (_LANCZOS_REACH if top else 0)
    skip_right, skip_bottom = (_LANCZOS_REACH if right < width else 0), (_LANCZOS_REACH if bottom < height else 0)
    canvas[
        (top + skip_top) * SCALE : (bottom - skip_bottom) * SCALE,
        (left + skip_left) * SCALE : (right - skip_right) * SCALE,
    ] = piece[
        skip_top * SCALE : piece.shape[0] - skip_bottom * SCALE,
        skip_left * SCALE : piece.shape[1] - skip_right * SCALE,
    ]


def blend(canvas: Image, matrix: Matrix, face: Image, mask: npt.NDArray[np.uint8]) -> None:
    """Blend one restored face into `canvas`, through its softened mask; only the pixels under it are touched."""
    back = np.asarray(cv2.invertAffineTransform(matrix), np.float64) * SCALE
    back[:, 2] += SCALE / 2  # from the corner of an enlarged pixel to its centre
    corners = np.array([[0, 0, 1], [SIDE, 0, 1], [0, SIDE, 1], [SIDE, SIDE, 1]]) @ back.T
    left, top = np.maximum(np.floor(corners.min(axis=0)).astype(int) - 1, 0)
    right, bottom = np.minimum(np.ceil(corners.max(axis=0)).astype(int) + 1, (canvas.shape[1], canvas.shape[0]))
    if right <= left or bottom <= top:
        return
    back[:, 2] -= (left, top)
    size = (int(right - left), int(bottom - top))
    soft = cv2.warpAffine(soften(mask), back, size)[..., None]
    drawn = cv2.warpAffine(face, back, size)
    under = canvas[top:bottom, left:right]
    canvas[top:bottom, left:right] = np.rint(soft * drawn + (1.0 - soft) * under)


def soften(mask: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Return the mask from 0 to 1 with soft edges, and nothing at the border of the square."""
    soft = mask.astype(np.float32)
    for _ in range(2):
        soft = np.asarray(cv2.GaussianBlur(soft, (_SOFT, _SOFT), _SOFT_SIGMA), np.float32)
    framed = np.zeros_like(soft)
    inner = slice(_BORDER, -_BORDER)
    framed[inner, inner] = soft[inner, inner] / np.float32(255.0)
    return framed
