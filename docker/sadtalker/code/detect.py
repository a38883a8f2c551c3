"""Faces in pictures: facexlib's RetinaFace over whole batches, with its grid of anchors made once for each size."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from facexlib.detection.retinaface import RetinaFace
from facexlib.detection.retinaface_utils import PriorBox, decode, decode_landm, py_cpu_nms

from faceorch_kit.portrait import Image
from faceorch_kit.weights import fill

from .files import DETECTOR, WeightsFolder

# x1, y1, x2, y2, score, then x and y of: left eye, right eye, nose, left and right corner of the mouth.
Faces = npt.NDArray[np.float32]

_SURE = 0.97
_OVERLAP = 0.4
_MEAN_BGR = (104.0, 117.0, 123.0)


class FaceDetector:
    """Finds the faces of many pictures of one size at once."""

    def __init__(self, weights: WeightsFolder, device: str) -> None:
        # Built with no device of its own: it would move itself there before it is filled.
        self._net = fill(lambda: RetinaFace("resnet50", device="meta"), weights.pickled(DETECTOR), device, DETECTOR)
        self._device = device
        self._mean = torch.tensor(_MEAN_BGR, device=device).view(1, 3, 1, 1)

    @torch.inference_mode()
    def __call__(self, pictures: Sequence[Image], *, as_bgr: bool = True) -> list[Faces]:
        """Return the faces of each picture (RGB), the surest first; the network sees them as BGR, or as they are."""
        stacked = torch.from_numpy(np.stack(pictures)).to(self._device)
        if as_bgr:
            stacked = stacked.flip(-1)  # not in numpy, which copies a picture backwards four times as slowly
        pixels = stacked.permute(0, 3, 1, 2).float() - self._mean
        height, width = pixels.shape[2:]
        boxes, scores, points = self._net(pixels)
        priors = self._priors(height, width)
        scale = torch.tensor([width, height], dtype=torch.float32, device=self._device)
        found = []
        for box, score, point in zip(boxes, scores[..., 1], points, strict=True):
            sure = score > _SURE
            near = priors[sure]
            kept = torch.cat(
                [
                    decode(box[sure], near, self._variance) * scale.repeat(2),
                    score[sure].unsqueeze(1),
                    decode_landm(point[sure], near, self._variance) * scale.repeat(5),
                ],
                dim=1,
            )
            faces = kept.cpu().numpy()
            found.append(faces[py_cpu_nms(faces[:, :5], _OVERLAP)] if len(faces) else faces)
        return found

    @property
    def _variance(self) -> Any:
        return self._net.cfg["variance"]

    @lru_cache(maxsize=8)  # noqa: B019 - the detector lives as long as the process
    def _priors(self, height: int, width: int) -> torch.Tensor:
        return PriorBox(self._net.cfg, image_size=(height, width)).forward().to(self._device)


def largest(faces: Faces) -> Faces | None:
    """Return the face that covers most of the picture, None when there is none."""
    if not len(faces):
        return None
    areas = (faces[:, 2] - faces[:, 0]) * (faces[:, 3] - faces[:, 1])
    return np.asarray(faces[int(np.argmax(areas))])
