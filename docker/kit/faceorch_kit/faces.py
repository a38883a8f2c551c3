"""Finds the face of a portrait with the freely licensed models inside the mediapipe wheel.

Nothing here needs weights, so that a portrait without a face is refused before any model is read.
"""

from __future__ import annotations

import sys
import types
from typing import Any, Protocol, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from faceorch_runner import NoFace

from .portrait import Image, no_face, small_face

Points = NDArray[np.float64]  # (n, 2) or (n, 3): right, down, away from the viewer, in pixels

LEAST_WIDTH = 64  # pixels of a face; below, lips are thinner than two pixels
MOST_DEGREES = 45.0

_MESH_SIDE = 384  # pixels of the crop that the mesh model gets; it works on 192 itself
_CROP = 2.0  # side of that crop in face boxes
_TILE = 0.6  # side of the tiles in which smaller faces are looked for, in picture sides

_Box = tuple[float, float, float, float]  # x and y of the middle, side, all in pixels; lean in radians


class Measured(Protocol):
    """A face whose `width` is known in pixels, and how far it is turned and tilted."""

    @property
    def width(self) -> float:
        """Width of the face in pixels."""

    @property
    def turn_degrees(self) -> float:
        """How far the head is turned to a side, from frontal."""

    @property
    def tilt_degrees(self) -> float:
        """How far the head leans in the picture plane, from upright."""


_Face = TypeVar("_Face", bound=Measured)


def refuse(name: str, image: Image, face: _Face | None) -> _Face:
    """Return the face; raise what is wrong with it, if anything is."""
    if face is None:
        raise no_face(name, image)
    if face.width < LEAST_WIDTH:
        raise small_face(name, face.width, LEAST_WIDTH)
    for what, found in (("turned aside", face.turn_degrees), ("tilted", face.tilt_degrees)):
        if found > MOST_DEGREES:
            raise NoFace(f"face is {what} by {found:.0f} degrees in {name}, {MOST_DEGREES:.0f} or less needed")
    return face


class FaceFinder:
    """The face detectors and the face mesh of mediapipe."""

    def __init__(self) -> None:
        solutions = _solutions()
        self._near = solutions.face_detection.FaceDetection(model_selection=0, min_detection_confidence=0.5)
        self._far = solutions.face_detection.FaceDetection(model_selection=1, min_detection_confidence=0.5)
        self._mesh = solutions.face_mesh.FaceMesh(
            static_image_mode=True, max_num_faces=1, refine_landmarks=True, min_detection_confidence=0.3
        )

    def find(self, image: Image) -> Points | None:
        """Return the mesh (478, 3) of the largest face, in pixels of the picture; None when there is no face."""
        for box in sorted(self._boxes(image), key=lambda found: -found[2]):
            mesh = self._landmarks(image, box)
            if mesh is not None:
                return mesh
        return None

    def _boxes(self, image: Image) -> list[_Box]:
        height, width = image.shape[:2]
        boxes = self._detect(self._far, image, 0, 0) or self._detect(self._near, image, 0, 0)
        if boxes or max(height, width) < 256:
            return boxes
        tall, wide = int(height * _TILE), int(width * _TILE)
        for top in (0, (height - tall) // 2, height - tall):
            for left in (0, (width - wide) // 2, width - wide):
                tile = np.ascontiguousarray(image[top : top + tall, left : left + wide])
                boxes += self._detect(self._far, tile, left, top)
        return boxes

    @staticmethod
    def _detect(model: Any, image: Image, left: int, top: int) -> list[_Box]:
        height, width = image.shape[:2]
        boxes = []
        for found in model.process(image).detections or ():
            area = found.location_data.relative_bounding_box
            right_eye, left_eye = found.location_data.relative_keypoints[:2]
            lean = np.arctan2((left_eye.y - right_eye.y) * height, (left_eye.x - right_eye.x) * width)
            middle = (left + (area.xmin + area.width / 2) * width, top + (area.ymin + area.height / 2) * height)
            boxes.append((*middle, max(area.width * width, area.height * height), float(lean)))
        return boxes

    def _landmarks(self, image: Image, box: _Box) -> Points | None:
        x, y, side, lean = box
        zoom = _MESH_SIDE / (_CROP * side)
        upright = np.asarray(cv2.getRotationMatrix2D((x, y), float(np.degrees(lean)), zoom), np.float64)
        upright[:, 2] += (_MESH_SIDE / 2 - x, _MESH_SIDE / 2 - y)
        shrink = cv2.INTER_AREA if zoom < 1 else cv2.INTER_CUBIC
        size = (_MESH_SIDE, _MESH_SIDE)
        crop = cv2.warpAffine(image, upright, size, flags=shrink, borderMode=cv2.BORDER_REPLICATE)
        found = self._mesh.process(crop).multi_face_landmarks
        if not found:
            return None
        marks = np.array([(mark.x, mark.y, mark.z) for mark in found[0].landmark]) * _MESH_SIDE
        back = cv2.invertAffineTransform(upright)
        return np.column_stack([marks[:, :2] @ back[:, :2].T + back[:, 2], marks[:, 2] / zoom])


def _solutions() -> Any:
    """Import mediapipe without matplotlib, which it wants only for drawing: half a second and 60 MB saved."""
    if "matplotlib" not in sys.modules:
        stand_in = types.ModuleType("matplotlib")
        stand_in.pyplot = types.ModuleType("matplotlib.pyplot")  # type: ignore[attr-defined]
        sys.modules.update({"matplotlib": stand_in, "matplotlib.pyplot": stand_in.pyplot})
        try:
            import mediapipe
        finally:
            del sys.modules["matplotlib"], sys.modules["matplotlib.pyplot"]
    else:
        import mediapipe
    return mediapipe.solutions
