"""A job's clips, one after the other: each goes on from the last frames of the one before."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from faceorch_kit import latent
from faceorch_runner import RunnerError

from . import decoder
from .denoise import HALVES, Conditions, Denoiser
from .fused import Fused
from .hear import windows
from .models import FRAMES, MOTION_FRAMES, Models, scheduler
from .tuned import Tuned

_DOWN = 8  # pixels of a latent's side


@dataclass(frozen=True, eq=False)
class Look:
    """What is seen in the portrait."""

    picture: torch.Tensor  # (3, side, side) in -1..1
    identity: torch.Tensor  # (1, 512)
    face: torch.Tensor  # (1, 3, side, side): 1 where the face is
    masks: Sequence[Sequence[torch.Tensor]]  # of pose, face and lips: (frames, places) a level


class Animator:
    """Upstream's pipeline, driven step by step."""

    def __init__(self, models: Models) -> None:
        self._models = models
        self._sampler = scheduler()
        self._walkers: dict[str, Denoiser] = {}
        self._fast: Any = None

    @torch.no_grad()
    def prepare(
        self, look: Look, *, steps: int, guidance: float, seed: int, weights: Sequence[float], speed: str = "exact"
    ) -> None:
        """Compute what all clips of a job share."""
        models = self._models
        self._denoiser = self._walker(speed)
        self._decoder = self._tuned_decoder() if speed == "tuned" else None
        self._guidance = guidance
        # The sampler's times stay on the CPU: it looks its noise levels up there, and would wait for the GPU each step.
        self._sampler.set_timesteps(steps, device="cpu")
        # Upstream's noise is drawn on the CPU, so that every GPU starts from the same.
        self._noise = torch.Generator().manual_seed(seed)
        identity = look.identity.to(models.device, models.dtype)
        self._tokens = torch.cat([models.identity(torch.zeros_like(identity)), models.identity(identity)])
        face = look.face.to(models.device, models.dtype).unsqueeze(2).expand(-1, -1, FRAMES, -1, -1)
        where = models.locator(face)[0].transpose(0, 1)
        masks = [[mask.to(models.device, models.dtype).repeat(HALVES, 1) for mask in levels] for levels in look.masks]
        self._denoiser.prepare(
            Conditions(
                tokens=self._tokens,
                face=torch.cat([torch.zeros_like(where), where]),
                masks=masks,
                weights=weights,
                times=self._sampler.timesteps.to(models.device),
                frames=FRAMES,
            )
        )
        self._side = look.picture.shape[-1]

    @torch.no_grad()
    def animate(
        self, look: Look, heard: torch.Tensor, frames: int, on_step: Callable[[int, int], None]
    ) -> Iterator[NDArray[np.uint8]]:
        """Yield `frames` pictures (side, side, 3) RGB; `heard` is (frames, layers, values)."""
        voice, steps = self._models.voice, len(self._sampler.timesteps)
        clips = -(-frames // FRAMES)
        source = look.picture[None].to(self._models.device)
        before = source.expand(MOTION_FRAMES, -1, -1, -1)
        for clip in range(clips):
            sound = voice(windows(heard, clip * FRAMES).to(self._models.device, self._models.dtype))
            done = clip * steps
            pictures = self.clip(
                torch.cat([source, before]), sound, lambda step, done=done: on_step(done + step, clips * steps)
            )
            if not bool(torch.isfinite(pictures).all()):
                raise RunnerError("the decoded picture is not finite: if speed is tuned, set it to exact")
            before = motion(pictures)
            yield from latent.to_bytes(pictures)[: frames - clip * FRAMES].cpu().numpy()

    @torch.no_grad()
    def clip(self, pictures: torch.Tensor, sound: torch.Tensor, on_step: Callable[[int], None]) -> torch.Tensor:
        """Return the next pictures (frames, 3, side, side) in 0..1.

        `pictures` are the portrait and the frames to go on from (1 + motion frames, 3, side, side) in -1..1, `sound`
        is (1, frames, tokens, values).
        """
        side = self._side // _DOWN
        noise = torch.randn((1, 4, FRAMES, side, side), generator=self._noise, dtype=self._models.dtype).to(
            self._models.device
        )
        self._denoiser.begin(self._remembered(pictures), torch.cat([torch.zeros_like(sound), sound]))
        latents = noise * self._sampler.init_noise_sigma
        for index, time in enumerate(self._sampler.timesteps):
            unconditional, conditional = self._denoiser.step(latents, index).chunk(HALVES)
            predicted = unconditional + self._guidance * (conditional - unconditional)
            latents = self._sampler.step(predicted, time, latents, return_dict=False)[0]
            on_step(index + 1)
        # One picture at a time, as upstream does: in a batch a GPU takes other kernels.
        vae, batch = (self._models.vae, 1) if self._decoder is None else (self._decoder, decoder.BATCH)
        return torch.cat(list(latent.decode(vae, latents[0].transpose(0, 1), batch)))

    def _walker(self, speed: str) -> Denoiser:
        """Return what computes a step; made on first use, since it may pack weights anew."""
        if speed not in self._walkers:
            exact = Fused if self._models.device.type == "cuda" else Denoiser
            self._walkers[speed] = (Tuned if speed == "tuned" else exact)(self._models.denoiser)
        return self._walkers[speed]

    def _tuned_decoder(self) -> Any:
        if self._fast is None:
            self._fast = decoder.tuned(self._models.vae)
        return self._fast

    def _remembered(self, pictures: torch.Tensor) -> list[torch.Tensor]:
        """Return what the reference network leaves behind of pictures, layer by layer, largest first."""
        models = self._models
        found = models.vae.encode(pictures.to(models.device, models.dtype)).latent_dist.mean * latent.SCALE
        models.reference(
            found.repeat(HALVES, 1, 1, 1),
            torch.zeros((), dtype=torch.int64, device=models.device),
            encoder_hidden_states=self._tokens,
            return_dict=False,
        )
        layers = [m for m in models.reference.modules() if type(m).__name__ == "BasicTransformerBlock"]
        layers.sort(key=lambda layer: -layer.norm1.normalized_shape[0])
        # Upstream hands them over in fp16, whatever it computes in.
        banks = [layer.bank[0].to(torch.float16).to(models.dtype) for layer in layers]
        models.writer.clear()
        return banks


def motion(pictures: torch.Tensor) -> torch.Tensor:
    """Return the last of a clip's pictures (frames, 3, side, side) in 0..1 as the next clip takes them, in -1..1."""
    return pictures[-MOTION_FRAMES:].float() * 2.0 - 1.0
