"""Frames at twice their size with sharpened faces: GFPGAN and its face parser over batches, pasted back by the cores."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import cv2
import numpy as np
import numpy.typing as npt
import torch
from facexlib.parsing.parsenet import ParseNet
from sadtalker_detect import FaceDetector, Image
from sadtalker_files import PARSER, RESTORER, WeightsFolder, fill
from sadtalker_paste import Box, Composer
from sadtalker_stream import Clock, batches
from spandrel.architectures.GFPGAN import GFPGAN

Matrix = npt.NDArray[np.float64]

SCALE = 2
SIDE = 512
_LEAST_EYES = 5.0  # pixels between the eyes; smaller faces are left as they are
# Where FFHQ, on which GFPGAN was trained, puts the five points of a face in a picture of 512 pixels.
_AT = ((192.98138, 239.94708), (318.90277, 240.1936), (256.63416, 314.01935), (201.26117, 371.41043), (313.08905, 371.15118))
_OUTSIDE = (132, 133, 135)  # RGB, what a face that leaves the picture is filled up with
# Of the parser's classes, those that stay as they are: background, neck wear, neck, cloth, ear rings.
_NOT_FACE = (0, 14, 16, 17, 18)
_SOFT, _SOFT_SIGMA = 101, 11.0
_BORDER = 10
_LANCZOS_REACH = 4


@dataclass
class Sharpened:
    """One frame and its restored faces: where each lies, its pixels, and which of them count."""

    index: int
    frame: Image
    faces: list[tuple[Matrix, Image, npt.NDArray[np.uint8]]] = field(default_factory=list)


class Enhancer:
    """The two networks; the detector is shared with the one that reads portraits."""

    def __init__(self, weights: WeightsFolder, detector: FaceDetector, device: str) -> None:
        self._detect, self._device = detector, device
        self._restore = fill(GFPGAN, weights.pickled(RESTORER, "params_ema"), device, RESTORER)
        self._parse = fill(
            lambda: ParseNet(in_size=SIDE, out_size=SIDE, parsing_ch=19), weights.pickled(PARSER), device, PARSER
        )
        self._stored = {name: noise.shape for name, noise in self._restore.stylegan_decoder.noises.named_buffers()}
        counts = torch.ones(19, dtype=torch.uint8, device=device)
        counts[list(_NOT_FACE)] = 0
        self._counts = counts * 255

    def sharpen(self, frames: Iterable[Image], batch: int, seed: int, clock: Clock) -> Iterator[Sharpened]:
        """Yield each frame with its restored faces; the noise of a face depends on seed, frame and face alone."""
        done = 0
        for group in batches(frames, batch):
            with clock("enhance_s"), torch.inference_mode():
                results = [Sharpened(done + offset, frame) for offset, frame in enumerate(group)]
                found = self._faces(results)
                for part in batches(found, batch):
                    self._restored(part, seed)
            done += len(group)
            yield from results

    def _faces(self, results: list[Sharpened]) -> list[tuple[Sharpened, int, Matrix]]:
        found = []
        for result, faces in zip(results, self._detect([r.frame[..., ::-1] for r in results]), strict=True):
            kept = [face[5:15].reshape(5, 2) for face in faces]
            kept = [points for points in kept if np.linalg.norm(points[0] - points[1]) >= _LEAST_EYES]
            found += [(result, number, aligned(points)) for number, points in enumerate(kept)]
        return found

    def _restored(self, part: list[tuple[Sharpened, int, Matrix]], seed: int) -> None:
        cut = [
            cv2.warpAffine(result.frame, matrix, (SIDE, SIDE), borderMode=cv2.BORDER_CONSTANT, borderValue=_OUTSIDE)
            for result, _, matrix in part
        ]
        pixels = torch.from_numpy(np.stack(cut)).to(self._device)
        self._draw_noise([(seed, result.index, number) for result, number, _ in part])
        sharp = self._restore(_centred(pixels), return_rgb=False, randomize_noise=False)[0]
        sharp = ((sharp.clamp(-1.0, 1.0) + 1.0) * 127.5).round_().to(torch.uint8).permute(0, 2, 3, 1).contiguous()
        kind = self._parse(_centred(sharp))[0].argmax(dim=1)
        masks = self._counts[kind].cpu().numpy()
        for (result, _, matrix), face, mask in zip(part, sharp.cpu().numpy(), masks, strict=True):
            result.faces.append((matrix, face, mask))

    def _draw_noise(self, keys: list[tuple[int, int, int]]) -> None:
        """Put the decoder's noise for each face where it reads its stored one."""
        generators = [
            torch.Generator(self._device).manual_seed(noise_seed(seed, frame, face)) for seed, frame, face in keys
        ]
        noises = self._restore.stylegan_decoder.noises
        for name, shape in self._stored.items():
            drawn = [torch.randn(shape, generator=g, device=self._device) for g in generators]
            setattr(noises, name, torch.cat(drawn))


def noise_seed(seed: int, frame: int, face: int) -> int:
    """Return one number for each seed, frame and face, within what torch takes."""
    return ((seed * 1_000_003 + frame) * 64 + face) % 2**63


def aligned(points: npt.NDArray[np.float32]) -> Matrix:
    """Return the matrix that moves the five points of a face to where GFPGAN wants them."""
    matrix, _ = cv2.estimateAffinePartial2D(points, np.array(_AT), method=cv2.LMEDS)
    return np.asarray(matrix, np.float64)


def _centred(pixels: torch.Tensor) -> torch.Tensor:
    """Return uint8 pictures (batch, height, width, RGB) as the networks take them: channels first, -1 to 1."""
    return pixels.permute(0, 3, 1, 2).float().contiguous().div_(127.5).sub_(1.0)


class PasteBack:
    """Frames at twice their size with the restored faces in them; what never moves is enlarged once."""

    def __init__(self, composer: Composer) -> None:
        width, height = composer.size
        self.size = (width * SCALE, height * SCALE)
        self._changing = composer.changing
        self._still = None if composer.still is None else enlarge(composer.still)

    def __call__(self, sharpened: Sharpened) -> Image:
        """Return the finished frame."""
        if self._still is None:
            canvas = enlarge(sharpened.frame)
        else:
            canvas = self._still.copy()
            enlarge_part(sharpened.frame, self._changing, canvas)
        for matrix, face, mask in sharpened.faces:
            blend(canvas, matrix, face, mask)
        return canvas


def enlarge(image: Image) -> Image:
    """Return a picture at twice its size."""
    size = (image.shape[1] * SCALE, image.shape[0] * SCALE)
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_LANCZOS4), np.uint8)


def enlarge_part(image: Image, part: Box, canvas: Image) -> None:
    """Enlarge only `part` of `image` into `canvas`, with the same pixels as if all of it were enlarged."""
    height, width = image.shape[:2]
    reach = 2 * _LANCZOS_REACH
    left, top = max(0, part[0] - reach), max(0, part[1] - reach)
    right, bottom = min(width, part[2] + reach), min(height, part[3] + reach)
    piece = enlarge(image[top:bottom, left:right])
    # Pixels near a cut were made without their neighbours; those near the picture's own edge were not.
    skip_left, skip_top = (_LANCZOS_REACH if left else 0), (_LANCZOS_REACH if top else 0)
    skip_right, skip_bottom = (_LANCZOS_REACH if right < width else 0), (_LANCZOS_REACH if bottom < height else 0)
    canvas[
        (top + skip_top) * SCALE : (bottom - skip_bottom) * SCALE,
        (left + skip_left) * SCALE : (right - skip_right) * SCALE,
    ] = piece[
        skip_top * SCALE : piece.shape[0] - skip_bottom * SCALE,
        skip_left * SCALE : piece.shape[1] - skip_right * SCALE,
    ]


def blend(canvas: Image, matrix: Matrix, face: Image, mask: npt.NDArray[np.uint8]) -> None:
    """Blend one restored face into `canvas`, through its softened mask; only the pixels under it are touched."""
    back = cv2.invertAffineTransform(matrix) * SCALE
    back[:, 2] += SCALE / 2  # from the corner of an enlarged pixel to its centre
    corners = np.array([[0, 0, 1], [SIDE, 0, 1], [0, SIDE, 1], [SIDE, SIDE, 1]]) @ back.T
    left, top = np.maximum(np.floor(corners.min(axis=0)).astype(int) - 1, 0)
    right, bottom = np.minimum(np.ceil(corners.max(axis=0)).astype(int) + 1, (canvas.shape[1], canvas.shape[0]))
    if right <= left or bottom <= top:
        return
    back[:, 2] -= (left, top)
    size = (int(right - left), int(bottom - top))
    soft = cv2.warpAffine(soften(mask), back, size)[..., None]
    drawn = cv2.warpAffine(face, back, size)
    under = canvas[top:bottom, left:right]
    canvas[top:bottom, left:right] = soft * drawn + (1.0 - soft) * under


def soften(mask: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Return the mask from 0 to 1 with soft edges, and nothing at the border of the square."""
    soft = mask.astype(np.float32)
    for _ in range(2):
        soft = cv2.GaussianBlur(soft, (_SOFT, _SOFT), _SOFT_SIGMA)
    framed = np.zeros_like(soft)
    inner = slice(_BORDER, -_BORDER)
    framed[inner, inner] = soft[inner, inner] / np.float32(255.0)
    return framed
