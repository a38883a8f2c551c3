"""The square around a face in which LivePortrait works: landmarks and crops by upstream's own code."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from faceorch_kit.faces import Points
from faceorch_kit.portrait import Image, no_face
from faceorch_kit.weights import present, whole

SIDE = 512  # of the crop, and of the pictures that the decoder paints
LANDMARKS = "liveportrait/landmark.onnx"
INSIGHTFACE = "insightface"
_DETECTORS = ("models/buffalo_l/det_10g.onnx", "models/buffalo_l/2d106det.onnx")


@dataclass(frozen=True)
class Framing:
    """Which square is cut out: `scale` faces wide, moved by parts of its side to the right and down."""

    scale: float
    right: float
    down: float


@dataclass(frozen=True, eq=False)
class Crop:
    """`picture` (512, 512, 3), the matrix `back` (3, 3) from it to the portrait, and `marks` (203, 2) there.

    All in pixels; the marks are those of LivePortrait's landmark model.
    """

    picture: Image
    back: Points
    marks: Points

    def eyes_open(self) -> tuple[float, float]:
        """Return height by width of the opening of each eye: about 0.3 to 0.4 when open, 0 when shut."""
        from src.utils.retargeting_utils import calc_eye_close_ratio

        left, right = calc_eye_close_ratio(self.marks[None])[0]
        return float(left), float(right)

    def parts(self, *, within: bool = False) -> dict[str, Points]:
        """Return marks (n, 2) of the face, the eyes and the mouth, in the portrait or `within` the crop."""
        marks = self.marks
        if within:
            marks = (np.column_stack([marks, np.ones(len(marks))]) @ np.linalg.inv(self.back).T)[:, :2]
        return {"face": marks, "eyes": marks[:48], "mouth": marks[48:108]}

    def onto(self, scale: float) -> Crop:
        """Return the same crop out of the portrait at another size, `scale` of the one it is from."""
        middle = (scale - 1.0) / 2.0  # pixels are counted from their middles
        resized = np.array([[scale, 0.0, middle], [0.0, scale, middle], [0.0, 0.0, 1.0]])
        return replace(self, back=resized @ self.back, marks=self.marks * scale + middle)


class Cropper:
    """Crops faces that mediapipe has found; needs LivePortrait's own landmark model only."""

    def __init__(self, weights: Path) -> None:
        from src.utils.human_landmark_runner import LandmarkRunner

        self._marks: Any = whole(
            present(weights / LANDMARKS), lambda file: LandmarkRunner(ckpt_path=str(file), onnx_provider="cpu")
        )

    def crop(self, image: Image, points: Points, framing: Framing) -> Crop:
        """Return the crop around a face; `points` (68, 2) say where it is."""
        from src.utils.crop import crop_image

        # The second pass starts from the model's own points, which no longer depend on who found the face.
        marks = self._marks.run(image, self._marks.run(image, points))
        found = crop_image(image, marks, dsize=SIDE, scale=framing.scale, vx_ratio=framing.right, vy_ratio=framing.down)
        return Crop(found["img_crop"], found["M_c2o"], marks)


class InsightfaceCropper:
    """Upstream's whole cropper, with the insightface detectors; for non-commercial use only."""

    def __init__(self, weights: Path) -> None:
        # insightface fetches its models from the network when their folder is missing.
        for name in _DETECTORS:
            present(weights / INSIGHTFACE / name)
        from src.config.crop_config import CropConfig
        from src.utils.cropper import Cropper as UpstreamCropper

        self._config = CropConfig(
            insightface_root=str(weights / INSIGHTFACE), landmark_ckpt_path=str(present(weights / LANDMARKS))
        )
        # On the CPU: onnxruntime's GPU builds want another cuDNN than torch brings, and one portrait takes no time.
        self._cropper: Any = whole(
            weights / INSIGHTFACE, lambda _: UpstreamCropper(crop_cfg=self._config, flag_force_cpu=True)
        )

    def crop(self, image: Image, name: str, framing: Framing) -> Crop:
        """Return the crop around the largest face of the portrait called `name`; `NoFace` when there is none."""
        self._config.scale = framing.scale
        self._config.vx_ratio, self._config.vy_ratio = framing.right, framing.down
        found = self._cropper.crop_source_image(image, self._config)
        if found is None:
            raise no_face(name, image)
        return Crop(found["img_crop"], found["M_c2o"], found["lmk_crop"])


def shrink(picture: Image, side: int) -> Image:
    """Return the square picture with `side` pixels a side, as the networks take it."""
    return np.asarray(cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA), np.uint8)
