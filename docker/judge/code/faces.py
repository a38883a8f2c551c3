"""Where the face is, and what its landmarks say: the geometry behind every metric."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .models import Models
from .signals import Floats
from .video import Image

# Landmarks of MediaPipe's face mesh; left and right are the picture's.
OVAL = (
    *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377),
    *(152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
)
EYE_CORNERS = (33, 263)  # the outer ones: their distance is the unit of length
# Those that speech and blinks move least.
STEADY = (10, 109, 338, 67, 297, 54, 284, 151, 9, 8, 168, 6, 197, 195, 5, 4, 33, 133, 362, 263, 127, 356, 234, 454)
_MIDDLE = (33, 263, 168, 6, 127, 356)
_EYES = ((33, 160, 158, 133, 153, 144), (362, 385, 387, 263, 373, 380))
_EYE_RINGS = (
    *(33, 246, 161, 160, 159, 158, 157, 173, 133, 7, 163, 144, 145, 153, 154, 155),
    *(362, 398, 384, 385, 386, 387, 388, 466, 263, 382, 381, 380, 374, 373, 390, 249),
)
_LIPS = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 146, 91, 181, 84, 17, 314, 405, 321, 375)
_SHAPES = {"blink": (9, 10), "jaw": (25,), "close": (27,), "pucker": (38,), "funnel": (32,)}

_CROP = 3.0  # side of what is looked at, in sides of the face's box
_APART = 0.3  # two boxes that overlap less are two faces


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels."""

    left: float
    top: float
    width: float
    height: float

    @property
    def middle(self) -> tuple[float, float]:
        """Its middle, right and down."""
        return self.left + self.width / 2, self.top + self.height / 2

    @classmethod
    def around(cls, points: Floats) -> Box:
        """Return the smallest one that holds `points` (n, 2 or 3)."""
        (left, top), (right, bottom) = points[:, :2].min(axis=0), points[:, :2].max(axis=0)
        return cls(float(left), float(top), float(right - left), float(bottom - top))

    def overlap(self, other: Box) -> float:
        """Return the area that both cover as a share of what either covers."""
        wide = min(self.left + self.width, other.left + other.width) - max(self.left, other.left)
        tall = min(self.top + self.height, other.top + other.height) - max(self.top, other.top)
        both = max(0.0, wide) * max(0.0, tall)
        return both / (self.width * self.height + other.width * other.height - both)


@dataclass(frozen=True, eq=False)
class Mesh:
    """A face: `points` (478, 3) in pixels, right, down and away; its `turn` (3, 3); the model's `shapes` (52,)."""

    points: Floats
    turn: Floats
    shapes: Floats

    @property
    def iod(self) -> float:
        """Distance of the outer corners of the eyes in the picture, in pixels."""
        one, other = self.points[list(EYE_CORNERS), :2]
        return float(np.linalg.norm(other - one))

    def facts(self) -> dict[str, float]:
        """Return what every metric needs of one frame."""
        points = self.points
        span = self._apart(*EYE_CORNERS)
        middle = points[list(_MIDDLE), :2].mean(axis=0)
        yaw, pitch, roll = self.angles()
        facts = {"yaw": yaw, "pitch": pitch, "roll": roll, "x": middle[0], "y": middle[1], "iod": self.iod}
        for side, (outer, top, top2, inner, low2, low) in zip(("left", "right"), _EYES, strict=True):
            width = self._flat(outer, inner)
            facts[f"eye_{side}"] = (self._flat(top, low) + self._flat(top2, low2)) / (2 * width)
            facts[f"width_{side}"] = width
        facts["open"] = (self._apart(13, 14) + self._apart(82, 87) + self._apart(312, 317)) / (3 * span)
        facts["wide"] = self._apart(61, 291) / span
        facts["lips"] = self._apart(0, 17) / span
        facts |= {name: float(self.shapes[list(places)].mean()) for name, places in _SHAPES.items()}
        for name, marks in (("face", OVAL), ("eyes", _EYE_RINGS), ("mouth", _LIPS)):
            box = Box.around(points[list(marks)])
            facts |= {f"{name}_left": box.left, f"{name}_top": box.top}
            facts |= {f"{name}_width": box.width, f"{name}_height": box.height}
        return {name: float(value) for name, value in facts.items()}

    def angles(self) -> tuple[float, float, float]:
        """Return yaw, pitch and roll in degrees."""
        turn = self.turn / np.cbrt(np.linalg.det(self.turn))
        yaw = np.arctan2(-turn[2, 0], np.hypot(turn[0, 0], turn[1, 0]))
        pitch, roll = np.arctan2(turn[2, 1], turn[2, 2]), np.arctan2(turn[1, 0], turn[0, 0])
        return float(np.degrees(yaw)), float(np.degrees(pitch)), float(np.degrees(roll))

    def _apart(self, one: int, other: int) -> float:
        return float(np.linalg.norm(self.points[one] - self.points[other]))

    def _flat(self, one: int, other: int) -> float:
        return float(np.linalg.norm(self.points[one, :2] - self.points[other, :2]))


class Landmarks:
    """Finds one face's landmarks in picture after picture; `moving`: they are the frames of one video."""

    def __init__(self, models: Models, *, moving: bool) -> None:
        self._model, self._moving = models.landmarker(moving=moving), moving
        import mediapipe  # which the model has imported in its own way

        self._image, self._format = mediapipe.Image, mediapipe.ImageFormat.SRGB
        self._last_ms = -1

    def look(self, image: Image, time_s: float = 0.0) -> Mesh | None:
        """Return the face in a picture; None where there is none."""
        height, width = image.shape[:2]
        packed = self._image(image_format=self._format, data=np.ascontiguousarray(image))
        if self._moving:
            self._last_ms = max(self._last_ms + 1, round(time_s * 1000))
            found = self._model.detect_for_video(packed, self._last_ms)
        else:
            found = self._model.detect(packed)
        if not found.face_landmarks:
            return None
        points = np.array([(mark.x * width, mark.y * height, mark.z * width) for mark in found.face_landmarks[0]])
        shapes = np.array([shape.score for shape in found.face_blendshapes[0]])
        return Mesh(points, np.asarray(found.facial_transformation_matrixes[0][:3, :3], np.float64), shapes)

    def close(self) -> None:
        """Let go of the model."""
        self._model.close()


TURN = ("still_yaw", "still_pitch", "still_roll")
_APART_S = 0.08 - 1e-3  # heads move slowly: every second frame will do


class Head:
    """Looks at the face in frame after frame of a video, for all that is measured of it.

    The landmark model follows a face from frame to frame and lags behind small turns of the head, by up to 0.8 degrees.
    So how the head is turned comes from frames that are looked at each by itself: of a drawn roll of 7.9 degrees
    that finds 7.5 to 7.8, where following finds 6.9 to 7.4; of 2.0 degrees, 1.8 and not 1.5.
    """

    def __init__(self, models: Models) -> None:
        self._followed, self._single = Landmarks(models, moving=True), Landmarks(models, moving=False)
        self._next_s = -np.inf

    def look(self, image: Image, time_s: float) -> tuple[Mesh | None, dict[str, float]]:
        """Return the face; and for some frames TURN, in degrees."""
        mesh = self._followed.look(image, time_s)
        if mesh is None or time_s < self._next_s:
            return mesh, {}
        self._next_s = time_s + _APART_S
        alone = self._single.look(image)
        return mesh, {} if alone is None else dict(zip(TURN, alone.angles(), strict=True))

    def close(self) -> None:
        """Let go of the models."""
        self._followed.close()
        self._single.close()


@dataclass(frozen=True, eq=False)
class Place:
    """The part of a picture that is looked at, around the face; `faces`: how many there are in the picture."""

    left: int
    top: int
    side_x: int
    side_y: int
    faces: int
    score: float

    def cut(self, image: Image) -> Image:
        """Return that part."""
        return image[self.top : self.top + self.side_y, self.left : self.left + self.side_x]


def find_place(models: Models, images: list[Image], near: tuple[float, float] | None = None) -> Place | None:
    """Return where in pictures of one size the face is; None when there is none.

    Of several it is the one nearest to `near` (shares of width and height), or the largest.
    """
    height, width = images[0].shape[:2]
    chosen: list[tuple[Box, float]] = []
    most = 0
    for image in images:
        boxes = _boxes(models, image)
        if not boxes:
            continue
        most = max(most, len(_distinct(boxes)))
        if near is None:
            chosen.append(max(boxes, key=lambda found: found[0].width))
        else:
            wanted = (near[0] * width, near[1] * height)
            chosen.append(min(boxes, key=lambda found: float(np.hypot(*np.subtract(found[0].middle, wanted)))))
    if not chosen:
        return None
    left, top, wide, tall = np.median([(b.left, b.top, b.width, b.height) for b, _ in chosen], axis=0)
    score = float(np.median([score for _, score in chosen]))
    half = _CROP * max(wide, tall) / 2
    x, y = left + wide / 2, top + tall / 2
    first_x, first_y = max(0, round(x - half)), max(0, round(y - half))
    last_x, last_y = min(width, round(x + half)), min(height, round(y + half))
    return Place(first_x, first_y, last_x - first_x, last_y - first_y, most, score)


def _boxes(models: Models, image: Image) -> list[tuple[Box, float]]:
    height, width = image.shape[:2]
    for detector in (models.detector, models.near_detector):
        boxes = []
        for found in detector.process(image).detections or ():
            area = found.location_data.relative_bounding_box
            box = Box(area.xmin * width, area.ymin * height, area.width * width, area.height * height)
            if min(box.width, box.height) > 0:
                boxes.append((box, float(found.score[0])))
        if boxes:
            return boxes
    return []


def _distinct(boxes: list[tuple[Box, float]]) -> list[Box]:
    apart: list[Box] = []
    for box, _ in boxes:
        if all(box.overlap(other) < _APART for other in apart):
            apart.append(box)
    return apart
