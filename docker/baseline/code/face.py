"""Finds the face of a portrait: 478 landmarks and the frame of reference in which everything else is measured."""

from __future__ import annotations

import sys
import types
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .pixels import Image, Points

# Landmarks of the MediaPipe face mesh, from the subject's right (left in the picture) to the left.
LIP_TOP_INNER = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)
LIP_LOW_INNER = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)
LIP_TOP_OUTER = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291)
LIP_LOW_OUTER = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291)
LID_TOP = ((33, 246, 161, 160, 159, 158, 157, 173, 133), (362, 398, 384, 385, 386, 387, 388, 466, 263))
LID_LOW = ((33, 7, 163, 144, 145, 153, 154, 155, 133), (362, 382, 381, 380, 374, 373, 390, 249, 263))
IRIS = ((468, 469, 470, 471, 472), (473, 474, 475, 476, 477))

_MESH_SIDE = 384  # pixels of the crop that the mesh model gets; it works on 192 itself
_CROP = 2.0  # side of that crop in face boxes
_TILE = 0.6  # side of the tiles in which smaller faces are looked for, in picture sides


@dataclass(frozen=True, eq=False)
class Face:
    """A face in picture coordinates: pixels, right and down; depth in pixels, away from the viewer.

    `points` has shape (478, 2), `depth` (478,).
    """

    points: Points
    depth: NDArray[np.float64]

    @cached_property
    def solid(self) -> Points:
        """The landmarks with their depth, shape (478, 3)."""
        return np.column_stack([self.points, self.depth])

    @cached_property
    def eyes(self) -> Points:
        """Middles of the two eyes, shape (2, 3)."""
        return np.stack([self.solid[[*LID_TOP[side], *LID_LOW[side]]].mean(axis=0) for side in range(2)])

    @cached_property
    def span(self) -> float:
        """The interocular distance in pixels, in space, so that turning the head does not shorten it."""
        return float(np.linalg.norm(self.eyes[1] - self.eyes[0]))

    @cached_property
    def axes(self) -> Points:
        """Unit vectors of the head in picture space, rows: to the left ear, to the chin, to the back."""
        right = self.eyes[1] - self.eyes[0]
        right /= np.linalg.norm(right)
        down = self.solid[152] - self.solid[10]
        down -= right * (down @ right)
        down /= np.linalg.norm(down)
        return np.stack([right, down, np.cross(right, down)])

    @property
    def turn_degrees(self) -> float:
        """How far the head is turned to a side, from frontal."""
        return float(np.degrees(np.arcsin(np.clip(abs(self.axes[0, 2]), 0.0, 1.0))))

    @property
    def tilt_degrees(self) -> float:
        """How far the head leans in the picture plane, from upright."""
        return float(abs(np.degrees(np.arctan2(self.axes[0, 1], self.axes[0, 0]))))

    @property
    def width(self) -> float:
        """Width of the face in pixels."""
        return float(np.linalg.norm(self.solid[454] - self.solid[234]))

    def place(self, right: float, down: float, origin: int = 168) -> Points:
        """Return the picture point (2,) that lies `right` and `down` interocular distances from a landmark."""
        return np.asarray(self.points[origin] + self.span * (right * self.axes[0, :2] + down * self.axes[1, :2]))


class FaceFinder:
    """The face models that ship inside the mediapipe wheel."""

    def __init__(self) -> None:
        solutions = _solutions()
        self._near = solutions.face_detection.FaceDetection(model_selection=0, min_detection_confidence=0.5)
        self._far = solutions.face_detection.FaceDetection(model_selection=1, min_detection_confidence=0.5)
        self._mesh = solutions.face_mesh.FaceMesh(
            static_image_mode=True, max_num_faces=1, refine_landmarks=True, min_detection_confidence=0.3
        )

    def find(self, image: Image) -> Face | None:
        """Return the largest face of `image` (height, width, 3) RGB, or None."""
        for box in sorted(self._boxes(image), key=lambda found: -found[2]):
            face = self._landmarks(image, box)
            if face is not None:
                return face
        return None

    def _boxes(self, image: Image) -> list[tuple[float, float, float, float]]:
        """Return centre, side (pixels) and lean (radians) of each face."""
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
    def _detect(model: Any, image: Image, left: int, top: int) -> list[tuple[float, float, float, float]]:
        height, width = image.shape[:2]
        boxes = []
        for found in model.process(image).detections or ():
            area = found.location_data.relative_bounding_box
            right_eye, left_eye = found.location_data.relative_keypoints[:2]
            lean = np.arctan2((left_eye.y - right_eye.y) * height, (left_eye.x - right_eye.x) * width)
            middle = (left + (area.xmin + area.width / 2) * width, top + (area.ymin + area.height / 2) * height)
            boxes.append((*middle, max(area.width * width, area.height * height), float(lean)))
        return boxes

    def _landmarks(self, image: Image, box: tuple[float, float, float, float]) -> Face | None:
        x, y, side, lean = box
        zoom = _MESH_SIDE / (_CROP * side)
        upright = np.asarray(cv2.getRotationMatrix2D((x, y), float(np.degrees(lean)), zoom), np.float64)
        upright[:, 2] += (_MESH_SIDE / 2 - x, _MESH_SIDE / 2 - y)
        crop = cv2.warpAffine(
            image,
            upright,
            (_MESH_SIDE, _MESH_SIDE),
            flags=cv2.INTER_AREA if zoom < 1 else cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REPLICATE,
        )
        found = self._mesh.process(crop).multi_face_landmarks
        if not found:
            return None
        marks = np.array([(mark.x, mark.y, mark.z) for mark in found[0].landmark]) * _MESH_SIDE
        back = cv2.invertAffineTransform(upright)
        points = marks[:, :2] @ back[:, :2].T + back[:, 2]
        # Sixteenths of a pixel: far below what can be seen, and above what the models' threads could make uncertain.
        return Face(np.round(points * 16) / 16, np.round(marks[:, 2] / zoom * 16) / 16)


def _solutions() -> Any:
    """Import mediapipe without matplotlib, which it wants only for drawing: half a second and 60 MB saved."""
    if "matplotlib" not in sys.modules:
        stand_in = types.ModuleType("matplotlib")
        stand_in.pyplot = types.ModuleType("matplotlib.pyplot")  # type: ignore[attr-defined]
        sys.modules.update({"matplotlib": stand_in, "matplotlib.pyplot": stand_in.pyplot})
        try:
            import mediapipe  # type: ignore[import-not-found, unused-ignore]
        finally:
            del sys.modules["matplotlib"], sys.modules["matplotlib.pyplot"]
    else:
        import mediapipe
    return mediapipe.solutions
