"""Finds the face of a portrait with the freely licensed models inside the mediapipe wheel.

Nothing here needs weights, so that a portrait without a face is refused before any model is read.
"""

from __future__ import annotations

import sys
import types
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from faceorch_runner import NoFace, Progress

from .portrait import (
    LEAST_WIDTH,
    MOST_DEGREES,
    Image,
    check_whole,
    no_face,
    small_face,
    turned_face,
    views,
    which_face,
)

Points = NDArray[np.float64]  # (n, 2) or (n, 3): right, down, away from the viewer, in pixels

# Corners and lids of the eyes, the one that is left in the picture first.
_EYES = ((33, 133, 159, 145), (362, 263, 386, 374))
# Landmarks around the parts of a face.
_PARTS = {
    "face": range(468),
    "eyes": (
        *(33, 246, 161, 160, 159, 158, 157, 173, 133, 7, 163, 144, 145, 153, 154, 155),
        *(362, 398, 384, 385, 386, 387, 388, 466, 263, 382, 381, 380, 374, 373, 390, 249),
    ),
    "mouth": (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 146, 91, 181, 84, 17, 314, 405, 321, 375),
}
_MESH_SIDE = 384  # pixels of the crop that the mesh model gets; it works on 192 itself
_CROP = 2.0  # side of that crop in face boxes
# By how much a detector must be surer of a face once the picture is turned: by quarters (1 and 3), and by half.
_SURER = (0.0, 0.16, 0.1, 0.16)
_APART = 0.5  # two boxes are two faces when their middles are this far apart, in sides of the larger one
_TILE = 0.6  # side of the tiles in which smaller faces are looked for, in picture sides

_Box = tuple[float, float, float, float]  # x and y of the middle, side, all in pixels; lean in radians


@dataclass(frozen=True, eq=False)
class Found:
    """The largest face of a picture: its `mesh` (478, 3), how many quarters it is `turned`, and of how many faces."""

    mesh: Points
    turned: int
    faces: int

    @property
    def width(self) -> float:
        """Width of the face in pixels."""
        return float(np.linalg.norm(self.mesh[454] - self.mesh[234]))

    @property
    def turn_degrees(self) -> float:
        """How far the head is turned to a side, from frontal."""
        across = self._across_the_eyes()
        return float(np.degrees(np.arcsin(np.clip(abs(across[2]) / np.linalg.norm(across), 0.0, 1.0))))

    @property
    def tilt_degrees(self) -> float:
        """How far the head leans in the picture plane, from upright."""
        across = self._across_the_eyes()
        return float(abs(np.degrees(np.arctan2(across[1], across[0]))))

    def _across_the_eyes(self) -> Points:
        one, other = (self.mesh[list(ring)].mean(axis=0) for ring in _EYES)
        return np.asarray(other - one)

    @property
    def parts(self) -> dict[str, Points]:
        """Points (n, 3) around the face, the eyes and the mouth."""
        return {name: self.mesh[list(marks)] for name, marks in _PARTS.items()}

    def tell(self, progress: Progress, image: Image) -> None:
        """Report where the face is in the picture and how wide, and which one it is when there are several."""
        height, width = image.shape[:2]
        progress.boxes("portrait", self.parts, (0, 0, width, height))
        progress.metric("face_width", round(self.width, 1), "pixels")
        if self.faces > 1:
            progress.note(which_face(self.faces, float(self.mesh[:468, 0].mean()), image))


def find_face(finder: FaceFinder, name: str, original: Image, shown: Image | None = None) -> Found:
    """Return the face of a portrait as it is `shown` (by default as it is); raise what is wrong with it.

    A face that is large enough in the `original`, and not once it is shown, is the limit of one network only.
    """
    shown = original if shown is None else shown
    found, measured = find_largest(finder, name, original, shown)
    if measured is not shown:
        shrunk = original.shape[1] / shown.shape[1]
        raise small_face(name, found.width / shrunk, LEAST_WIDTH, shrunk)
    return found


def find_largest(finder: FaceFinder, name: str, original: Image, shown: Image) -> tuple[Found, Image]:
    """Return the face of a portrait and the picture it was found in; raise what is wrong with it.

    That picture is the one that is `shown`, or the `original` when the face is too small in the other: for networks
    that cut out the face by themselves, which can do so at any size.
    """
    found, picture = finder.look(shown), shown
    if (found is None or found.width < LEAST_WIDTH) and original.shape[1] > shown.shape[1] + 1:
        found, picture = finder.look(original), original
    if found is None:
        raise no_face(name, picture)
    (left, top), (right, bottom) = found.mesh[:468, :2].min(axis=0), found.mesh[:468, :2].max(axis=0)
    check_whole(name, picture, (left, top, right, bottom))
    # After the edges: of half a face, a detector is not sure which way is up.
    if found.turned:
        raise turned_face(name, found.turned)
    if found.width < LEAST_WIDTH:
        raise small_face(name, found.width, LEAST_WIDTH)
    for what, degrees in (("turned aside", found.turn_degrees), ("tilted", found.tilt_degrees)):
        if degrees > MOST_DEGREES:
            raise NoFace(f"face is {what} by {degrees:.0f} degrees in {name}, {MOST_DEGREES:.0f} or less needed")
    return found, picture


class FaceFinder:
    """The face detectors and the face mesh of mediapipe."""

    def __init__(self) -> None:
        mediapipe = solutions()
        self._near = mediapipe.face_detection.FaceDetection(model_selection=0, min_detection_confidence=0.5)
        self._far = mediapipe.face_detection.FaceDetection(model_selection=1, min_detection_confidence=0.5)
        self._mesh = mediapipe.face_mesh.FaceMesh(
            static_image_mode=True, max_num_faces=1, refine_landmarks=True, min_detection_confidence=0.3
        )

    def look(self, image: Image) -> Found | None:
        """Return the largest face, in pixels of the picture; None when there is none."""
        boxes = sorted(self._boxes(image), key=lambda found: -found[2])
        for box in boxes:
            mesh = self._landmarks(image, box)
            if mesh is not None:
                return Found(mesh, self._turned(image, box), _faces(boxes))
        return None

    def _turned(self, image: Image, box: _Box) -> int:
        """Return by how many quarters the picture must be turned (counter-clockwise) before its face is upright.

        Told by the scores of the detector for the face in all four positions, for the mesh takes an upside-down face
        for an upright one. `_SURER` comes from 58 faces (photographs, paintings, drawings, statues) that SadTalker,
        LivePortrait and JoyVASA ship as examples. Upright, or tilted by up to 40 degrees, another position scored at
        most 0.04 (half) and 0.13 (quarters) higher; upside down 0.15 or more, and on a side that the mesh missed, 0.19
        or more. So none of 406 upright ones was refused, and of 174 turned ones none passed (quarters that the scores
        miss are tilted by 45 degrees and more in the mesh, which `find_largest` refuses).
        """
        x, y, side, _ = box
        half = side / 2
        scores = []
        for view in views(image, (x - half, y - half, x + half, y + half)):
            found = self._near.process(view).detections or ()
            scores.append(max((one.score[0] for one in found), default=0.0))
        best = int(np.argmax(scores))
        return best if scores[best] > scores[0] + _SURER[best] else 0

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


def _faces(boxes: list[_Box]) -> int:
    """Return how many faces the boxes stand for: neighbouring tiles find the same one again."""
    apart: list[_Box] = []
    for x, y, side, lean in boxes:
        if all(np.hypot(x - other[0], y - other[1]) > _APART * max(side, other[2]) for other in apart):
            apart.append((x, y, side, lean))
    return len(apart)


def solutions() -> Any:
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
