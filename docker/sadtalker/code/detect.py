"""Faces in pictures: facexlib's RetinaFace over whole batches, with its grid of anchors made once for each size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torchvision.extension  # noqa: F401 - adds torchvision's operators to torch.ops, without the rest of it
from facexlib.detection.retinaface import RetinaFace
from facexlib.detection.retinaface_utils import PriorBox, decode, decode_landm

from faceorch_kit.graphed import Graphed, Memory
from faceorch_kit.half import half, half_copy
from faceorch_kit.portrait import Image
from faceorch_kit.stream import Landing, sent
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
        # Told of no GPU: it would move itself there before it is filled.
        self._net = fill(lambda: RetinaFace("resnet50", device="cpu"), weights.pickled(DETECTOR), device, DETECTOR)
        self._device = device
        self._runs: dict[bool, Graphed] = {}  # tuned or not
        self.memory = Memory()  # of graphs that work on frames in turn: this one's, and the enhancer's
        self._mean = torch.tensor(_MEAN_BGR, device=device).view(1, 3, 1, 1)

    def __call__(self, pictures: Sequence[Image], *, as_bgr: bool = True) -> list[Faces]:
        """Return the faces of each picture (RGB), the surest first; the network sees them as BGR, or as they are."""
        return self._begin(lambda *known: self._candidates(self._net, *known, as_bgr=as_bgr), pictures)()

    def for_frames(self, *, tuned: bool) -> Callable[[Sequence[Image]], Callable[[], list[Faces]]]:
        """Return what finds faces as this does, quicker, in many pictures of one size; `tuned`: in half precision.

        It begins with the pictures that it is called with, and returns what waits for their faces.
        """
        if tuned not in self._runs:
            self._runs[tuned] = Graphed(self._searcher(tuned=tuned), self.memory)
        return lambda pictures: self._begin(self._runs[tuned], pictures)

    def _searcher(self, *, tuned: bool) -> Callable[..., tuple[torch.Tensor]]:
        net, precision = (half_copy(self._net), half) if tuned and self._device == "cuda" else (self._net, nullcontext)

        def candidates(*known: torch.Tensor) -> tuple[torch.Tensor]:
            with precision():
                return self._candidates(net, *known, as_bgr=True, tuned=tuned)

        return candidates

    def _begin(self, run: Callable[..., tuple[torch.Tensor]], pictures: Sequence[Image]) -> Callable[[], list[Faces]]:
        # The anchors go in with the pictures: a graph may outlive those that it was captured with.
        known = self._anchors(*pictures[0].shape[:2])
        with torch.inference_mode():
            landing = Landing(*run(sent(pictures, self._device), *known))

        def faces() -> list[Faces]:
            (found,) = landing.wait()
            return [_apart(near[near[:, 4] > _SURE]) for near in found.numpy()]

        return faces

    def _candidates(
        self,
        net: Any,
        stacked: torch.Tensor,
        anchors: torch.Tensor,
        scale: torch.Tensor,
        *,
        as_bgr: bool,
        tuned: bool = False,
    ) -> tuple[torch.Tensor]:
        """Return box, score and points (n, anchors, 15) at each anchor of pictures (n, height, width, 3)."""
        if as_bgr:
            stacked = stacked.flip(-1)  # not in numpy, which copies a picture backwards four times as slowly
        pixels = stacked.permute(0, 3, 1, 2).float() - self._mean
        if tuned:
            pixels = pixels.contiguous()  # its norms are quicker with one channel after the other
        boxes, scores, points = (values.float() for values in net(pixels))
        found = [
            torch.cat(
                [
                    decode(box, anchors, self._variance) * scale.repeat(2),
                    score.unsqueeze(1),
                    decode_landm(point, anchors, self._variance) * scale.repeat(5),
                ],
                dim=1,
            )
            for box, score, point in zip(boxes, scores[..., 1], points, strict=True)
        ]
        return (torch.stack(found),)

    @property
    def _variance(self) -> Any:
        return self._net.cfg["variance"]

    @lru_cache(maxsize=8)  # noqa: B019 - the detector lives as long as the process
    def _anchors(self, height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the anchors of a picture's size, and that size."""
        anchors = PriorBox(self._net.cfg, image_size=(height, width)).forward().to(self._device)
        return anchors, torch.tensor([width, height], dtype=torch.float32, device=self._device)


def _apart(faces: Faces) -> Faces:
    """Return the surest of those faces that overlap, the surest of all first."""
    boxes, scores = (torch.from_numpy(np.ascontiguousarray(part)) for part in (faces[:, :4], faces[:, 4]))
    return np.asarray(faces[torch.ops.torchvision.nms(boxes, scores, _OVERLAP).numpy()])


def largest(faces: Faces) -> Faces | None:
    """Return the face that covers most of the picture, None when there is none."""
    if not len(faces):
        return None
    areas = (faces[:, 2] - faces[:, 0]) * (faces[:, 3] - faces[:, 1])
    return np.asarray(faces[int(np.argmax(areas))])
