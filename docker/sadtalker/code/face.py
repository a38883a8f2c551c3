"""The portrait: where its face is, which square of it is rendered, and its 3D face coefficients."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import torch
from facexlib.alignment import landmark_98_to_68
from PIL import Image as Pictures
from src.face3d.models import networks
from src.face3d.util.load_mats import load_lm3d
from src.face3d.util.my_awing_arch import FAN
from src.face3d.util.preprocess import align_img
from src.utils.croper import Preprocesser

from faceorch_kit.portrait import Image, check_points, check_upright, no_face
from faceorch_kit.weights import fill
from faceorch_runner import NoFace

from .detect import FaceDetector, Faces, largest
from .files import LANDMARKS, WeightsFolder, main_file
from .paste import Box
from .subject import LEAST_FACE, Subject, refuse_small
from .upstream import config

Points = npt.NDArray[np.float32]

_NEVER_SHRINK = 10**9
# Where the face coefficients lie among the 257 that the reconstruction network returns.
_EXPRESSION, _ANGLES, _TRANSLATION = slice(80, 144), slice(224, 227), slice(254, 257)


class FaceReader:
    """Reads portraits: detector, landmarks, and 3D face reconstruction."""

    def __init__(self, weights: WeightsFolder, detector: FaceDetector, size: int, device: str) -> None:
        self._detect, self._device = detector, device
        self.side = weights.dimensions.side or size
        self._points = fill(
            lambda: FAN(num_modules=4, num_landmarks=98, device=device),
            weights.pickled(LANDMARKS, "state_dict"),
            device,
            LANDMARKS,
        )
        name = main_file(size)
        self._solve = fill(
            lambda: networks.define_net_recon("resnet50", use_last_fc=False, init_path=""),
            weights.part(name, "face_3drecon"),
            device,
            name,
        )
        self._mean_face = load_lm3d(str(config("similarity_Lm3D_all.mat").parent))

    def read(self, name: str, portrait: Image, *, whole: bool, shrunk: float) -> Subject:
        """Return the subject of a portrait (RGB): its face's square, or all of it when `whole`.

        One pixel of the portrait is `shrunk` pixels of its file.
        """
        height, width = portrait.shape[:2]
        if whole:
            box: Box = (0, 0, width, height)
            points, face_width, count = None, 0.0, 1
        else:
            # Upstream shows the detector this picture as RGB and the square below as BGR; its results are kept.
            faces = self._detect([portrait], as_bgr=False)[0]
            face, count = largest(faces), len(faces)
            if face is None:
                raise no_face(name, portrait)
            self._check(name, portrait, face, as_bgr=False)
            points = self._landmarks(portrait, face)
            face_width = float(face[2] - face[0])
            refuse_small(name, face_width, shrunk)
            box = face_box(portrait, points)
        left, top, right, bottom = box
        square = resize_plainly(portrait[top:bottom, left:right], self.side)
        within = largest(self._detect([square])[0])
        if within is not None:
            if whole:
                self._check(name, square, within, as_bgr=True)
            points = self._landmarks(square, within)
            face_width = face_width or float(within[2] - within[0]) * width / self.side
        elif points is not None:
            # The detector can lose a face that fills the square: then what it found in the portrait still holds.
            scale = np.array([self.side / (right - left), self.side / (bottom - top)])
            points = ((points - (left, top)) * scale).astype(np.float32)
        else:
            raise no_face(name, portrait)
        scale = np.array([(right - left) / self.side, (bottom - top) / self.side])
        in_portrait = (points * scale + (left, top)).astype(np.float32)
        return Subject(square, box, self._coefficients(square, points), in_portrait, face_width, count)

    def _check(self, name: str, picture: Image, face: Faces, *, as_bgr: bool) -> None:
        """Refuse a face that is cut off by an edge, upside down or on its side."""
        left, top, right, bottom, sure = map(float, face[:5])
        box = (left, top, right, bottom)
        check_points(name, picture, box, face[5:15].reshape(5, 2))
        check_upright(
            name, picture, box, sure, lambda view: self._detect([view], as_bgr=as_bgr)[0][:, 4].max(initial=0.0)
        )

    @torch.inference_mode()
    def _landmarks(self, picture: Image, face: Faces) -> Points:
        """Return 68 points of one face; a box that leaves the picture is cut to it."""
        height, width = picture.shape[:2]
        left, top = (max(0, int(value)) for value in face[:2])
        right, bottom = min(width, int(face[2])), min(height, int(face[3]))
        if right - left < 2 or bottom - top < 2:
            raise NoFace("the only face found lies outside of the picture")
        points = landmark_98_to_68(self._points.get_landmarks(picture[top:bottom, left:right]))
        return np.asarray(points + np.array([left, top], np.float32), np.float32)

    @torch.inference_mode()
    def _coefficients(self, square: Image, points: Points) -> npt.NDArray[np.float32]:
        upward = points.copy()
        upward[:, 1] = square.shape[0] - 1 - upward[:, 1]  # the 3D face has its y axis upwards
        placed, aligned, _, _ = align_img(Pictures.fromarray(square), upward, self._mean_face)
        pixels = torch.from_numpy(np.asarray(aligned, np.float32) / 255.0).permute(2, 0, 1)[None]
        found = self._solve(pixels.to(self._device))[0].cpu().numpy()
        within = np.array([float(np.ravel(value)[0]) for value in placed[2:]], np.float32)
        return np.concatenate([found[_EXPRESSION], found[_ANGLES], found[_TRANSLATION], within]).astype(np.float32)


def face_box(portrait: Image, points: Points) -> Box:
    """Return the upright box around the face that is rendered, inside of the portrait."""
    picture = Pictures.fromarray(portrait)
    # Told that no face is too large, upstream measures in the portrait's own pixels, whatever the face's size.
    _, crop, corners = Preprocesser.align_face(None, picture, points.astype(np.float64), output_size=_NEVER_SHRINK)
    left, top, right, bottom = (int(value) for value in corners)
    box = (crop[0] + left, crop[1] + top, crop[0] + right, crop[1] + bottom)
    if box[2] - box[0] < LEAST_FACE or box[3] - box[1] < LEAST_FACE:
        raise NoFace("the face is cut off by the portrait's edge: a face with some room around it needed")
    return box


def resize_plainly(picture: Image, side: int) -> Image:
    """Return `picture` as a square, as upstream does it: linearly, also when it shrinks."""
    return np.asarray(cv2.resize(picture, (side, side)), np.uint8)
