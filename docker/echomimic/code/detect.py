"""Where the face is, by the detector that upstream uses: MTCNN, whose weights are in its package."""

from __future__ import annotations

from typing import Any

import numpy as np

from faceorch_kit.portrait import LEAST_WIDTH, Image, check_points, check_upright, no_face, small_face

from .framing import Box

_CONFIDENT = 0.8


class FaceDetector:
    """Finds faces; on the CPU, where one portrait takes a moment."""

    def __init__(self) -> None:
        from facenet_pytorch import MTCNN

        self._model = MTCNN(
            image_size=320,
            margin=0,
            min_face_size=20,
            thresholds=[0.6, 0.7, 0.7],
            factor=0.709,
            post_process=True,
            device="cpu",
        )

    def find(self, name: str, image: Image) -> tuple[Box, int]:
        """Return the largest face of which the detector is confident, and of how many; `NoFace` when there is none."""
        face, faces, sure = choose(name, image, *self._model.detect(image, landmarks=True))
        check_upright(name, image, (face.left, face.top, face.right, face.bottom), sure, self._surest)
        return face, faces

    def _surest(self, image: Image) -> float:
        boxes, confidences = self._model.detect(image)
        return 0.0 if boxes is None else float(max(confidences))


def choose(name: str, image: Image, boxes: Any, confidences: Any, points: Any) -> tuple[Box, int, float]:
    """Return the largest of the confident boxes in whole pixels, of how many, and how sure the detector is of it.

    `points` (faces, 5, 2) are the eyes, the nose and the corners of the mouth of each.
    """
    found = []
    if boxes is not None:
        faces = zip(boxes, points, confidences, strict=True)
        found = [(box, five, sure) for box, five, sure in faces if sure > _CONFIDENT]
    if not found:
        raise no_face(name, image)
    largest, five, sure = max(found, key=lambda face: (face[0][3] - face[0][1]) * (face[0][2] - face[0][0]))
    check_points(name, image, tuple(largest[:4]), np.asarray(five, np.float64))
    left, top, right, bottom = (int(edge) for edge in np.round(np.asarray(largest[:4], np.float64)))
    face = Box(left, top, right, bottom)
    if face.width < LEAST_WIDTH:
        raise small_face(name, face.width, LEAST_WIDTH)
    return face, len(found), float(sure)
