"""From keypoints to pictures: batches through the warping network and the decoder, and back into the portrait."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as functional
from numpy.typing import NDArray
from src.utils.camera import headpose_pred_to_degree

from faceorch_kit.finite import only_of_finite
from faceorch_kit.portrait import Image
from faceorch_kit.stream import Landing
from faceorch_runner import RunnerError

from .crop import SIDE
from .keypoints import KEYPOINTS, Array, Portrait
from .models import Models

Blocks = Callable[[Image], None]


@dataclass(frozen=True, eq=False)
class Look:
    """What a portrait looks like to the networks: its feature `volume` and its keypoints."""

    volume: torch.Tensor
    portrait: Portrait


class Paste:
    """Puts the painted squares back where they came from, on the device that painted them.

    A pixel p of the portrait lies at M^-1 p in the square; there the square and the mask, which fades towards its
    edges, are sampled bilinearly: out = mask * square + (1 - mask) * portrait. Only the mask's bounding box, `rows` and
    `columns`, is worked on.
    """

    def __init__(self, portrait: Image, back: NDArray[np.floating], mask: Image, device: torch.device) -> None:
        height, width = portrait.shape[:2]
        grid = _grid(back, height, width).to(device)
        shade = torch.from_numpy(mask[..., 0].astype(np.float32) / 255.0).to(device)[None, None]
        covered = _look_up(shade, grid[None])[0, 0]
        inside = covered > 0.5 / 255.0
        rows, columns = torch.nonzero(inside.any(dim=1)), torch.nonzero(inside.any(dim=0))
        if not len(rows):
            raise RunnerError("the face's square lies outside the portrait")
        self.rows = slice(int(rows[0]), int(rows[-1]) + 1)
        self.columns = slice(int(columns[0]), int(columns[-1]) + 1)
        self._grid = grid[self.rows, self.columns].clone()
        self._mask = covered[self.rows, self.columns].clone()
        still = torch.from_numpy(portrait[self.rows, self.columns].astype(np.float32)).permute(2, 0, 1).to(device)
        self._still = (1.0 - self._mask) * still

    def __call__(self, squares: torch.Tensor) -> torch.Tensor:
        """Return the boxes (n, 3, rows, columns) in 0..255 for squares (n, 3, 512, 512) in 0..255."""
        moved = _look_up(squares, self._grid.expand(len(squares), -1, -1, -1))
        return self._mask * moved + self._still


def _grid(back: NDArray[np.floating], height: int, width: int) -> torch.Tensor:
    """Return where each pixel of the portrait lies in the square (height, width, 2), in -1..1 between outer pixels."""
    to_square = np.linalg.inv(np.asarray(back, np.float64))[:2]
    x, y = np.meshgrid(np.arange(width, dtype=np.float64), np.arange(height, dtype=np.float64))
    places = np.stack([x, y, np.ones_like(x)], axis=-1) @ to_square.T
    return torch.from_numpy((places * (2.0 / (SIDE - 1)) - 1.0).astype(np.float32))


def _look_up(pictures: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
    return functional.grid_sample(pictures, grid, mode="bilinear", padding_mode="zeros", align_corners=True)


class Renderer:
    """Renders one portrait; `half` computes in fp16 as far as autocast allows, as upstream's networks run on GPUs.

    `tuned` paints frames with half weights and fused kernels: a little quicker still, and not the same pixels.
    """

    def __init__(self, models: Models, *, half: bool, tuned: bool = False) -> None:
        self.models = models
        self._half = half and models.device.type == "cuda"
        self._features: Callable[..., torch.Tensor]
        self._decode: Callable[[torch.Tensor], torch.Tensor]
        if tuned:
            self._features, self._decode = models.tuned
        else:
            warp, self._decode = models.painters(half=self._half)
            self._features = partial(_warped, warp)

    def _precision(self) -> contextlib.AbstractContextManager[object]:
        return torch.autocast("cuda", dtype=torch.float16) if self._half else contextlib.nullcontext()

    @torch.no_grad()
    def look(self, picture: Image) -> Look:
        """Describe a portrait's square (side, side, 3)."""
        pixels = torch.from_numpy(picture).to(self.models.device).permute(2, 0, 1)[None].float() / 255.0
        with self._precision():
            found = {name: value.float() for name, value in self.models.keypoints(pixels).items()}
            volume = self.models.appearance(pixels).float()
        angles = [headpose_pred_to_degree(found[name]).reshape(-1)[0] for name in ("pitch", "yaw", "roll")]
        numbers = {name: found[name].cpu().numpy() for name in ("kp", "exp", "t", "scale")}
        return Look(
            volume,
            Portrait(
                kp=numbers["kp"].reshape(KEYPOINTS, 3),
                exp=numbers["exp"].reshape(KEYPOINTS, 3),
                scale=float(numbers["scale"].reshape(-1)[0]),
                shift=numbers["t"].reshape(3),
                angles=torch.stack(angles).cpu().numpy(),
            ),
        )

    @torch.no_grad()
    def stitched(self, still: Array, moved: Array) -> Array:
        """Return keypoints (frames, 21, 3) shifted so that neck and shoulders stay where the portrait has them."""
        here = torch.from_numpy(moved).to(self.models.device)
        source = torch.from_numpy(still).to(self.models.device).expand(len(here), -1, -1)
        change = self.models.stitch(torch.cat([source.flatten(1), here.flatten(1)], dim=1))
        points, shift = change[:, : 3 * KEYPOINTS].view(-1, KEYPOINTS, 3), change[:, 3 * KEYPOINTS :]
        here = here + points
        here[..., :2] += shift[:, None]
        return np.asarray(here.cpu().numpy(), np.float32)

    @torch.no_grad()
    def shut_eyes(self, still: Array, eyes_open: tuple[float, float]) -> Array:
        """Return how the keypoints (21, 3) change when both eyes, which are open that far, close."""
        ratios = torch.tensor([[*eyes_open, 0.0]], device=self.models.device)
        flat = torch.from_numpy(still).to(self.models.device).view(1, -1)
        change = self.models.eyes(torch.cat([flat, ratios], dim=1))
        return np.asarray(change.view(KEYPOINTS, 3).cpu().numpy(), np.float32)

    @torch.no_grad()
    def render(self, look: Look, moved: Array, batch: int, paste: Paste | None, write: Blocks) -> None:
        """Paint every frame (frames, 21, 3) and hand it to `write` in order: the square, or the box of `paste`.

        While `write` takes the frames of one batch, the device paints the next.
        """
        device = self.models.device
        still = torch.from_numpy(look.portrait.keypoints()).to(device)
        # All at once (252 bytes a frame): a copy to the device in every batch would wait for the batch before.
        points = torch.from_numpy(moved).to(device)
        waiting: Landing | None = None
        # One autocast region for all: inside it, torch casts every weight once and no more.
        with self._precision():
            for part in points.split(batch):
                landing = Landing(*self._paint(look.volume, still, part, paste))
                if waiting is not None:
                    _write(waiting, write)
                waiting = landing
        if waiting is not None:
            _write(waiting, write)

    def _paint(
        self, volume: torch.Tensor, still: torch.Tensor, points: torch.Tensor, paste: Paste | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the pictures (n, rows, columns, 3) as bytes, and whether the decoder's values were finite."""
        squares = self._decode(self._features(volume, still[None], points)).float()
        finite = torch.isfinite(squares).all()
        if squares.shape[-1] != SIDE:  # small stand-in networks
            squares = functional.interpolate(squares, (SIDE, SIDE), mode="bilinear", align_corners=False)
        pictures = squares * 255.0 if paste is None else paste(squares * 255.0)
        return (pictures + 0.5).clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous(), finite


def _warped(warp: Any, volume: torch.Tensor, still: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """Return what the decoder takes: features (n, channels, height, width) moved along the keypoints."""
    count = len(points)
    volumes, stills = volume.expand(count, -1, -1, -1, -1), still.expand(count, -1, -1)
    found = warp(volumes, kp_source=stills, kp_driving=points)
    return only_of_finite(found["out"], found["deformation"])


def _write(landing: Landing, write: Blocks) -> None:
    pictures, finite = landing.wait()
    if not bool(finite):
        raise RunnerError("the painted picture is not finite: set precision to fp32, with speed at exact")
    for picture in pictures.numpy():
        write(picture)
