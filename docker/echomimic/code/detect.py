"""Where the face is, by the detector that upstream uses: MTCNN, whose weights are in its package."""

from __future__ import annotations

from typing import Any

import numpy as np

from faceorch_kit.portrait import LEAST_WIDTH, Image, no_face, small_face

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
        boxes, confidences = self._model.detect(image)
        return choose(name, image, boxes, confidences)


def choose(name: str, image: Image, boxes: Any, confidences: Any) -> tuple[Box, int]:
    """Return the largest of the confident boxes (left, top, right, bottom), in whole pixels, and their number."""
    found = []
    if boxes is not None:
        found = [box for box, sure in zip(boxes, confidences, strict=True) if sure > _CONFIDENT]
    if not found:
        raise no_face(name, image)
    largest = max(found, key=lambda box: (box[3] - box[1]) * (box[2] - box[0]))
    left, top, right, bottom = (int(edge) for edge in np.round(np.asarray(largest[:4], np.float64)))
    face = Box(left, top, right, bottom)
    if face.width < LEAST_WIDTH:
        raise small_face(name, face.width, LEAST_WIDTH)
    return face, len(found)
