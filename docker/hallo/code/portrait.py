"""The portrait as the networks take it: a square around the face, the face's identity, and where its parts are."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from hallo.datasets.image_processor import ImageProcessor

from faceorch_kit.portrait import Image
from faceorch_runner import NoFace

from .clips import Look
from .models import FACES, FRAMES, LANDMARKER

# For upstream's code as patches.py leaves it.
LANDMARKER_VARIABLE = "HALLO_LANDMARKER"


class Eyes:
    """Upstream's processor of portraits."""

    def __init__(self, weights: Path) -> None:
        self._weights = weights
        os.environ[LANDMARKER_VARIABLE] = str(weights / LANDMARKER)
        self._processor: Any = None
        self._side = 0

    def look(self, name: str, image: Image, folder: Path, side: int, expand: float) -> Look:
        """Return what is seen in a square picture; `NoFace` when upstream's own models find no face in it."""
        if side != self._side:
            # Upstream fixes the size where it loads the models.
            self._processor, self._side = ImageProcessor((side, side), str(self._weights / FACES)), side
        path = folder / "square.png"
        cv2.imwrite(str(path), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        refusal = NoFace(f"no face found in the square around the face of {name}: one face seen from the front needed")
        try:
            picture, face, identity, *masks = self._processor.preprocess(str(path), str(folder), expand)
        except LookupError as error:
            raise refusal from error
        # Where its detector finds none, upstream goes on with an identity of zeros.
        if not np.any(identity):
            raise refusal
        return Look(
            picture=picture,
            identity=torch.as_tensor(identity).reshape(1, -1),
            face=face[None],
            masks=[[mask.repeat(FRAMES, 1) for mask in levels] for levels in masks],
        )
