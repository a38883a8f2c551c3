"""Faces of frames, sharpened: GFPGAN and its face parser, over batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from facexlib.parsing.parsenet import ParseNet
from spandrel.architectures.GFPGAN import GFPGAN

from faceorch_kit.graphed import Graphed
from faceorch_kit.half import half, half_copy
from faceorch_kit.portrait import Image
from faceorch_kit.stream import Clock, Landing, batches, sent
from faceorch_kit.weights import fill
from faceorch_runner import RunnerError

from .blend import SIDE, Matrix, Sharpened, aligned, cut_out, noise_seed
from .detect import FaceDetector, Faces
from .files import PARSER, RESTORER, WeightsFolder

_LEAST_EYES = 5.0  # pixels between the eyes; smaller faces are left as they are
# Of the parser's classes, those that stay as they are: background, neck wear, neck, cloth, ear rings.
_NOT_FACE = (0, 14, 16, 17, 18)


_Found = tuple[Sharpened, int, Matrix]  # a frame, which of its faces, and what moves the face to the square


@dataclass(frozen=True, eq=False)
class _Restoring:
    """Frames whose faces the GPU restores."""

    results: list[Sharpened]
    begun: list[tuple[list[_Found], Landing]]

    def finished(self, clock: Clock) -> list[Sharpened]:
        """Return the frames with their faces, once these are there."""
        with clock("enhance_s"):
            for part, landing in self.begun:
                faces, masks, finite = landing.wait()
                if not bool(finite):
                    raise RunnerError("the restored face is not finite: are the enhancer's weights whole?")
                for (result, _, matrix), face, mask in zip(part, faces.numpy(), masks.numpy(), strict=True):
                    result.faces.append((matrix, face, mask))
        return self.results


class Enhancer:
    """The two networks; the detector is shared with the one that reads portraits."""

    def __init__(self, weights: WeightsFolder, detector: FaceDetector, device: str) -> None:
        self._detector, self._device, small = detector, device, weights.dimensions
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
        self._restorers: dict[bool, Graphed] = {}  # tuned or not

    def sharpen(
        self, frames: Iterable[Image], batch: int, seed: int, clock: Clock, *, tuned: bool = False
    ) -> Iterator[Sharpened]:
        """Yield each frame with its restored faces; the noise of a face depends on seed, frame and face alone.

        `tuned`: detector and parser compute in half precision, which moves masks and faces by fractions of a pixel.
        """
        done, self.faces = 0, 0
        detect = self._detector.for_frames(tuned=tuned)
        if tuned not in self._restorers:
            self._restorers[tuned] = Graphed(self._restorer(tuned=tuned), self._detector.memory)
        restored = self._restorers[tuned]
        before: _Restoring | None = None
        for group in batches(frames, batch):
            with clock("enhance_s"):
                results = [Sharpened(done + offset, frame) for offset, frame in enumerate(group)]
                # Begun before the faces of the frames before are waited for: the GPU always has something to do.
                seen = detect([result.frame for result in results])
            if before is not None:
                yield from before.finished(clock)
            with clock("enhance_s"), torch.inference_mode():
                found = self._found(seen(), results)
                before = _Restoring(results, [self._begin(restored, part, seed) for part in batches(found, batch)])
            done += len(group)
        if before is not None:
            yield from before.finished(clock)

    def _found(self, seen: list[Faces], results: list[Sharpened]) -> list[_Found]:
        found: list[_Found] = []
        for result, faces in zip(results, seen, strict=True):
            kept = [face[5:15].reshape(5, 2) for face in faces]
            kept = [points for points in kept if np.linalg.norm(points[0] - points[1]) >= _LEAST_EYES]
            found += [(result, number, aligned(points)) for number, points in enumerate(kept)]
        self.faces += len(found)
        return found

    def _begin(self, restored: Graphed, part: list[_Found], seed: int) -> tuple[list[_Found], Landing]:
        cut = [cut_out(result.frame, matrix) for result, _, matrix in part]
        noises = self._noises([(seed, result.index, number) for result, number, _ in part])
        return part, Landing(*restored(sent(cut, self._device), *noises))

    def _restorer(self, *, tuned: bool) -> Callable[..., tuple[torch.Tensor, ...]]:
        """Return what restores faces (n, SIDE, SIDE, RGB) with some noises.

        They come back with a mask (n, SIDE, SIDE), and whether all is finite.
        """
        on_gpu = tuned and self._device == "cuda"
        parse, precision = (half_copy(self._parse), half) if on_gpu else (self._parse, nullcontext)
        holder = self._restore.stylegan_decoder.noises

        def restored(pixels: torch.Tensor, *noises: torch.Tensor) -> tuple[torch.Tensor, ...]:
            for name, noise in zip(self._stored, noises, strict=True):
                setattr(holder, name, noise)  # where the decoder reads its stored one
            sharp = self._restore(_centred(pixels), return_rgb=False, randomize_noise=False)[0]
            finite = torch.isfinite(sharp).all()
            sharp = ((sharp.clamp(-1.0, 1.0) + 1.0) * 127.5).round_().to(torch.uint8).permute(0, 2, 3, 1).contiguous()
            with precision():
                kind = parse(_centred(sharp))[0].argmax(dim=1)
            return sharp, self._counts[kind], finite

        return restored

    def _noises(self, keys: list[tuple[int, int, int]]) -> list[torch.Tensor]:
        """Return the decoder's noises for some faces, a tensor (faces, ...) for each of its layers."""
        generators = [
            torch.Generator(self._device).manual_seed(noise_seed(seed, frame, face)) for seed, frame, face in keys
        ]
        return [
            torch.cat([torch.randn(shape, generator=g, device=self._device) for g in generators])
            for shape in self._stored.values()
        ]


def _centred(pixels: torch.Tensor) -> torch.Tensor:
    """Return uint8 pictures (batch, height, width, RGB) as the networks take them: channels first, -1 to 1."""
    return pixels.permute(0, 3, 1, 2).float().contiguous().div_(127.5).sub_(1.0)
