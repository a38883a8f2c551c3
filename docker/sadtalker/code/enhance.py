"""Faces of frames, sharpened: GFPGAN and its face parser, over batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from facexlib.parsing.parsenet import ParseNet
from spandrel.architectures.GFPGAN import GFPGAN

from faceorch_kit.portrait import Image
from faceorch_kit.stream import Clock, batches
from faceorch_kit.weights import fill

from .blend import SIDE, Matrix, Sharpened, aligned, cut_out, noise_seed
from .detect import FaceDetector
from .files import PARSER, RESTORER, WeightsFolder

_LEAST_EYES = 5.0  # pixels between the eyes; smaller faces are left as they are
# Of the parser's classes, those that stay as they are: background, neck wear, neck, cloth, ear rings.
_NOT_FACE = (0, 14, 16, 17, 18)


class Enhancer:
    """The two networks; the detector is shared with the one that reads portraits."""

    def __init__(self, weights: WeightsFolder, detector: FaceDetector, device: str) -> None:
        self._detect, self._device, small = detector, device, weights.dimensions
        self._restore = fill(
            lambda: GFPGAN(**small.restorer), weights.pickled(RESTORER, "params_ema"), device, RESTORER
        )
        self._parse = fill(
            lambda: ParseNet(in_size=SIDE, out_size=SIDE, parsing_ch=19, **small.parser),
            weights.pickled(PARSER),
            device,
            PARSER,
        )
        self._stored = {name: noise.shape for name, noise in self._restore.stylegan_decoder.noises.named_buffers()}
        counts = torch.ones(19, dtype=torch.uint8, device=device)
        counts[list(_NOT_FACE)] = 0
        self._counts = counts * 255
        self.faces = 0

    def sharpen(self, frames: Iterable[Image], batch: int, seed: int, clock: Clock) -> Iterator[Sharpened]:
        """Yield each frame with its restored faces; the noise of a face depends on seed, frame and face alone."""
        done, self.faces = 0, 0
        for group in batches(frames, batch):
            with clock("enhance_s"), torch.inference_mode():
                results = [Sharpened(done + offset, frame) for offset, frame in enumerate(group)]
                found = self._faces(results)
                for part in batches(found, batch):
                    self._restored(part, seed)
            done += len(group)
            yield from results

    def _faces(self, results: list[Sharpened]) -> list[tuple[Sharpened, int, Matrix]]:
        found: list[tuple[Sharpened, int, Matrix]] = []
        for result, faces in zip(results, self._detect([result.frame for result in results]), strict=True):
            kept = [face[5:15].reshape(5, 2) for face in faces]
            kept = [points for points in kept if np.linalg.norm(points[0] - points[1]) >= _LEAST_EYES]
            found += [(result, number, aligned(points)) for number, points in enumerate(kept)]
        self.faces += len(found)
        return found

    def _restored(self, part: list[tuple[Sharpened, int, Matrix]], seed: int) -> None:
        cut = [cut_out(result.frame, matrix) for result, _, matrix in part]
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


def _centred(pixels: torch.Tensor) -> torch.Tensor:
    """Return uint8 pictures (batch, height, width, RGB) as the networks take them: channels first, -1 to 1."""
    return pixels.permute(0, 3, 1, 2).float().contiguous().div_(127.5).sub_(1.0)
