"""Finds the face of a portrait with the freely licensed models inside the mediapipe wheel.

Nothing here needs weights, so that a portrait without a face is refused before any model is read. LivePortrait's own
landmark model starts from these points.
"""

from __future__ import annotations

import sys
import types
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from faceorch_runner import NoFace

Image = NDArray[np.uint8]  # (height, width, 3) RGB
Points = NDArray[np.float64]  # (n, 2): right and down, in pixels

LEAST_WIDTH = 64  # pixels of a face; the renderer sees it enlarged to about 110 of its 256 pixels
MOST_DEGREES = 45.0

# Where the mesh of 468 points has the 68 of the iBUG scheme: jaw, brows, nose, eyes, lips.
_IBUG = (
    *(162, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 389),
    *(71, 63, 105, 66, 107, 336, 296, 334, 293, 301),
    *(168, 197, 5, 4, 75, 97, 2, 326, 305),
    *(33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380),
    *(61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181),
    *(78, 82, 13, 312, 308, 317, 14, 87),
)
_MESH_SIDE = 384  # pixels of the crop that the mesh model gets; it works on 192 itself
_CROP = 2.0  # side of that crop in face boxes
_TILE = 0.6  # side of the tiles in which smaller faces are looked for, in picture sides


@dataclass(frozen=True, eq=False)
class Face:
    """A face: 68 `points` (68, 2), the `width` of its box in pixels, and how far it is turned and tilted."""

    points: Points
    width: float
    turn_degrees: float
    tilt_degrees: float


def refuse(name: str, image: Image, face: Face | None) -> Face:
    """Return the face; raise what is wrong with it, if anything is."""
    height, width = image.shape[:2]
    if face is None:
        raise NoFace(f"no face found in {name} ({width}x{height}): one face seen from the front needed")
    if face.width < LEAST_WIDTH:
        raise NoFace(f"face is {face.width:.0f} px wide in {name}, {LEAST_WIDTH} px or more needed: crop closer to it")
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

    def find(self, image: Image) -> Face | None:
        """Return the largest face of `image`, or None."""
        for box in sorted(self._boxes(image), key=lambda found: -found[2]):
            mesh = self._landmarks(image, box)
            if mesh is not None:
                return measure(mesh)
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

    def _landmarks(self, image: Image, box: tuple[float, float, float, float]) -> Points | None:
        """Return the mesh (478, 3) in pixels of the picture, depth away from the viewer; None when there is none."""
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


def measure(mesh: Points) -> Face:
    """Return the face of a mesh (478, 3)."""
    eyes = [mesh[list(ring)].mean(axis=0) for ring in ((33, 133, 159, 145), (362, 263, 386, 374))]
    across = eyes[1] - eyes[0]
    turn = np.degrees(np.arcsin(np.clip(abs(across[2]) / np.linalg.norm(across), 0.0, 1.0)))
    tilt = abs(np.degrees(np.arctan2(across[1], across[0])))
    width = float(np.linalg.norm(mesh[454] - mesh[234]))
    return Face(mesh[list(_IBUG), :2].astype(np.float64), width, float(turn), float(tilt))


def _solutions() -> Any:
    """Import mediapipe without matplotlib, which it wants only for drawing."""
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
