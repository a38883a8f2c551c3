"""What the pixels say, frame after frame: flow of hair and background, light, sharpness, and likeness to the portrait.

Motion is looked at in grey pictures in which the outer corners of the eyes are FACE_PX apart, so that a network's
resolution does not change what is found. Everything that costs much is done a few times a second only.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .faces import EYE_CORNERS, OVAL, STEADY, Landmarks, Mesh, find_place
from .models import Models
from .signals import Floats
from .video import WORK_SIDE, Image

Grey = NDArray[Any]  # rows, columns: uint8
Mask = NDArray[Any]  # the same, 1 where something is
Complex = NDArray[np.complex128]  # places in a picture: right, and down as the imaginary part

FACE_PX = 64.0
_MOST_SIDE = 512  # pixels of the grey pictures, where the face is a small part of them
_SPAN_S, _SPAN_WITHIN_S = 0.2, 0.1  # between the two pictures that flow is looked for in
# Seconds from one look to the next. The first is two frames at 25 or 30 frames per second.
_PAUSES = {"flow": 0.06, "person": 0.12, "grain": 0.48, "sharpness": 0.48, "identity": 0.5}
_GRADIENT = 12  # of Sobel's filter; where there is less, flow is a guess
_LEAST_PIXELS = 60
_ABOVE, _ASIDE = 0.9, 0.6  # how far hair is looked for around the face's oval, in its heights and widths
_NEAR_FACE, _NEAR_PERSON = 9, 33  # sides of what masks are widened by, in pixels of the grey pictures
_STRIDE = 2  # of the pixels of the background that are looked at

# Where the corners of the eyes stand in the crop whose sharpness is measured, and its width and height.
_LEVEL, _CROP = (38 + 64j, 138 + 64j), (176, 190)
_MEAN_OVER = 9  # pixels: the strong blur that a picture is compared with

# Where outer and inner corners of the eyes and the foot of the nose stand in dlib's own chips (150 pixels, padding
# 0.25), which its embedder was trained on: medians over 87 faces that dlib's predictor of five points had aligned.
_CHIP = 150
_CHIP_MARKS = (33, 133, 362, 263, 2)
_CHIP_PLACES = (37.1 + 47.0j, 59.9 + 48.5j, 89.0 + 48.6j, 111.7 + 46.9j, 74.9 + 85.1j)


@dataclass(frozen=True, eq=False)
class _Shot:
    """One frame in grey, with the landmarks that move as the head does, and where face, hair and background are.

    `near` is the face with a rim around it, where what flows may be the face's.
    """

    time: float
    grey: Grey
    steady: Complex
    face: Mask
    near: Mask
    hair: Mask
    behind: Mask


class Pictures:
    """Looks at the frames of one video, in order; `portrait` is what they are compared with, RGB.

    `blur` is the portrait's, NaN without one; `no_identity` says why likeness is not measured, empty when it is.
    """

    columns: tuple[str, ...] = (
        *("hair_px_s", "hair_expected_px_s", "hair_along", "hair_square", "hair_px"),
        *("background_px_s", "background_along", "background_square", "background_share", "background_texture"),
        *("grain", "grey", "blur", "identity"),
    )

    def __init__(self, models: Models, portrait: Image | None) -> None:
        self._models = models
        self._zoom = 0.0  # from the video's pixels to the grey pictures', once a face is seen
        self._shots: deque[_Shot] = deque()
        self._person: Mask | None = None
        self._last: dict[str, float] = {}
        self._dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        shown = None if portrait is None else _with_face(models, portrait)
        self.blur = np.nan if shown is None else sharpness(*shown)
        self._likeness: Floats | None = None
        if portrait is None:
            self.no_identity = "there is no portrait to compare with"
        elif models.embedder is None:
            self.no_identity = "its model is missing: faceorch weights pull judge"
        elif shown is None:
            self.no_identity = "no face was found in the portrait"
        else:
            self.no_identity = ""
            self._likeness = embedding(models.embedder, *shown)

    def look(self, time: float, image: Image, mesh: Mesh | None) -> dict[str, float]:
        """Return what one frame shows, by `columns`; NaN where it is not looked for, or not there.

        `image` is the whole frame and `mesh` the face in its pixels. Speeds are in pixels of it per second, areas in
        its pixels, products of speeds in (pixels per second)^2.
        """
        found = dict.fromkeys(self.columns, np.nan)
        if mesh is None:
            return found
        if self._due("sharpness", time):
            found["blur"] = sharpness(image, mesh)
        if self._likeness is not None and self._due("identity", time):
            likeness = embedding(self._models.embedder, image, mesh)
            found["identity"] = float(np.linalg.norm(likeness - self._likeness))
        shot = self._shot(time, image, mesh)
        found["grey"] = cv2.mean(shot.grey, shot.face)[0]
        if self._shots and self._due("grain", time):
            found["grain"] = self._grain(self._shots[-1], shot)
        before = min(self._shots, key=lambda old: abs(time - _SPAN_S - old.time), default=None)
        if before is not None and abs(time - _SPAN_S - before.time) <= _SPAN_WITHIN_S and self._due("flow", time):
            found |= self._motion(before, shot)
        self._shots.append(shot)
        while time - self._shots[0].time > _SPAN_S + _SPAN_WITHIN_S:
            self._shots.popleft()
        return found

    def _due(self, name: str, time: float) -> bool:
        if time - self._last.get(name, -np.inf) < _PAUSES[name] - 1e-6:
            return False
        self._last[name] = time
        return True

    def _shot(self, time: float, image: Image, mesh: Mesh) -> _Shot:
        height, width = image.shape[:2]
        if not self._zoom:
            self._zoom = min(FACE_PX / mesh.iod, _MOST_SIDE / max(height, width))
        size = (max(8, round(width * self._zoom)), max(8, round(height * self._zoom)))
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA if self._zoom < 1 else cv2.INTER_CUBIC)
        grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
        if self._person is None or self._due("person", time):
            seen = self._models.segmenter.process(np.ascontiguousarray(small)).segmentation_mask
            self._person = (seen > 0.5).astype(np.uint8)
        points = mesh.points[:, :2] * self._zoom
        face = np.zeros_like(grey)
        cv2.fillPoly(face, [np.round(points[list(OVAL)]).astype(np.int32)], (1,))
        near = cv2.dilate(face, np.ones((_NEAR_FACE, _NEAR_FACE), np.uint8))
        behind = 1 - cv2.dilate(self._person | face, np.ones((_NEAR_PERSON, _NEAR_PERSON), np.uint8))
        return _Shot(time, grey, _places(points, STEADY), face, near, _hair(self._person, near, points), behind)

    def _grain(self, before: _Shot, now: _Shot) -> float:
        """Return the mean difference of the background to the last frame's, moved to where it now is (grey levels)."""
        mask = (now.behind & before.behind).astype(bool)
        if int(mask.sum()) < _LEAST_PIXELS:
            return np.nan
        flow = self._flow(now, before)
        rows, columns = np.mgrid[0 : flow.shape[0], 0 : flow.shape[1]].astype(np.float32)
        moved = cv2.remap(
            before.grey, columns + flow[..., 0], rows + flow[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        return float(cv2.absdiff(now.grey, moved)[mask].mean())

    def _flow(self, now: _Shot, before: _Shot) -> NDArray[np.float32]:
        """Return by how much each pixel (rows, columns, 2) of `now` was further right and down `before`."""
        return np.asarray(self._dis.calc(now.grey, before.grey, None), np.float32)  # type: ignore[call-overload]

    def _motion(self, before: _Shot, now: _Shot) -> dict[str, float]:
        flow = self._flow(now, before)
        turn, shift = similarity(now.steady, before.steady)
        unit = 1 / (self._zoom * (now.time - before.time))  # from grey pixels to the video's per second
        across, down = cv2.Sobel(now.grey, cv2.CV_32F, 1, 0), cv2.Sobel(now.grey, cv2.CV_32F, 0, 1)
        textured = np.hypot(across, down) > _GRADIENT
        hair = now.hair.astype(bool) & ~before.near.astype(bool)
        found = {"hair_px": float(hair.sum()) / self._zoom**2}
        hair &= textured
        if int(hair.sum()) >= _LEAST_PIXELS:
            speed, expected, along, square = _beside(flow, hair, turn, shift, unit)
            found |= {"hair_px_s": speed, "hair_expected_px_s": expected, "hair_along": along, "hair_square": square}
        behind = np.zeros_like(hair)
        behind[::_STRIDE, ::_STRIDE] = (now.behind & before.behind)[::_STRIDE, ::_STRIDE]
        count = int(behind.sum())
        found["background_share"] = count * _STRIDE**2 / behind.size
        if count >= _LEAST_PIXELS:
            speed, _, along, square = _beside(flow, behind, turn, shift, unit)
            found |= {"background_px_s": speed, "background_along": along, "background_square": square}
            found["background_texture"] = float(textured[behind].mean())
        return found


def similarity(start: Complex, end: Complex) -> tuple[complex, complex]:
    """Return `turn` and `shift` for which `turn * start + shift` comes closest to `end`, in the least squares.

    A turn is a rotation and a zoom at once.
    """
    middle, target = start.mean(), end.mean()
    turn = complex(np.vdot(start - middle, end - target) / np.vdot(start - middle, start - middle))
    return turn, complex(target - turn * middle)


def sharpness(image: Image, mesh: Mesh) -> float:
    """Return how blurred a face is, 0 sharp to 1, with its eyes level and 100 pixels apart.

    Crete, Dolmiere, Ladret and Nicolas 2007, "The blur effect: perception and estimation with a new no-reference
    perceptual blur metric": a picture that blurring changes little was blurred before. It is the share of the
    differences between neighbours that is left once the picture is averaged along a line, for the worse direction.
    """
    grey = cv2.cvtColor(_aligned(image, mesh, EYE_CORNERS, _LEVEL, _CROP), cv2.COLOR_RGB2GRAY).astype(np.float64)
    worst = 0.0
    for axis, box in ((0, (1, _MEAN_OVER)), (1, (_MEAN_OVER, 1))):
        steps = np.abs(np.diff(grey, axis=axis))
        left = np.abs(np.diff(cv2.blur(grey, box, borderType=cv2.BORDER_REFLECT), axis=axis))
        total = float(steps.sum())
        if total > 0:
            worst = max(worst, 1.0 - float(np.maximum(0.0, steps - left).sum()) / total)
    return worst if worst > 0 else np.nan


def embedding(embedder: Any, image: Image, mesh: Mesh) -> Floats:
    """Return what dlib's embedder makes of a face (128,): the same person's lie closer than about 0.6."""
    chip = _aligned(image, mesh, _CHIP_MARKS, _CHIP_PLACES, (_CHIP, _CHIP))
    return np.asarray(embedder.compute_face_descriptor(chip), np.float64)


def _aligned(image: Image, mesh: Mesh, marks: Sequence[int], places: Sequence[complex], size: tuple[int, int]) -> Image:
    """Return a picture of `size` (width, height), shifted, turned and zoomed until `marks` come closest to `places`."""
    turn, shift = similarity(_places(mesh.points, marks), np.array(places))
    corners = (np.array([0, size[0], 1j * size[1], size[0] + 1j * size[1]]) - shift) / turn
    margin = 4 + 2 / abs(turn)
    left, right = int(max(0, corners.real.min() - margin)), int(max(1, corners.real.max() + margin))
    top, bottom = int(max(0, corners.imag.min() - margin)), int(max(1, corners.imag.max() + margin))
    part = image[top:bottom, left:right]
    if part.size == 0:
        return np.zeros((size[1], size[0], 3), np.uint8)
    if abs(turn) < 1:  # what is finer than a pixel would turn into patterns
        part = np.asarray(cv2.GaussianBlur(part, (0, 0), 0.45 * (1 / abs(turn) - 1) + 0.01), np.uint8)
    shift += turn * complex(left, top)
    matrix = np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])
    made = cv2.warpAffine(part, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(made, np.uint8)


def _with_face(models: Models, portrait: Image) -> tuple[Image, Mesh] | None:
    """Return a portrait, no larger than the frames of a video, and the face in it; None where there is none."""
    zoom = WORK_SIDE / max(portrait.shape[:2])
    if zoom < 1:
        portrait = np.asarray(cv2.resize(portrait, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_AREA), np.uint8)
    place = find_place(models, [portrait])
    if place is None:
        return None
    landmarks = Landmarks(models, moving=False)
    mesh = landmarks.look(place.cut(portrait))
    landmarks.close()
    if mesh is None:
        return None
    return portrait, replace(mesh, points=mesh.points + np.array([place.left, place.top, 0.0]))


def _places(points: Floats, marks: Sequence[int]) -> Complex:
    chosen = points[list(marks)]
    return np.asarray(chosen[:, 0] + 1j * chosen[:, 1], np.complex128)


def _hair(person: Mask, near: Mask, points: Floats) -> Mask:
    """Return what of a person is around what is `near` the face, down to the chin: hair, hat and ears alike."""
    oval = points[list(OVAL)]
    (left, top), (right, bottom) = oval.min(axis=0), oval.max(axis=0)
    wide, tall = _ASIDE * (right - left), _ABOVE * (bottom - top)
    around = np.zeros_like(person)
    rows = slice(max(0, int(top - tall)), max(0, int(bottom)))
    around[rows, max(0, int(left - wide)) : max(0, int(right + wide))] = 1
    hair = person & around & (1 - near)
    return np.asarray(cv2.erode(hair, np.ones((3, 3), np.uint8)), np.uint8)


def _beside(
    flow: NDArray[np.float32], mask: NDArray[np.bool_], turn: complex, shift: complex, unit: float
) -> tuple[float, float, float, float]:
    """Return what flows within `mask` beside what would, were it one piece with the face.

    Mean speeds of both, and the means of their product and of the second one's square.
    """
    rows, columns = np.nonzero(mask)
    place = columns + 1j * rows
    expected = turn * place + shift - place
    seen = flow[rows, columns, 0] + 1j * flow[rows, columns, 1]
    along = float((seen * np.conj(expected)).real.mean())
    square = float((np.abs(expected) ** 2).mean())
    return (
        float(np.abs(seen).mean()) * unit,
        float(np.abs(expected).mean()) * unit,
        along * unit**2,
        square * unit**2,
    )
