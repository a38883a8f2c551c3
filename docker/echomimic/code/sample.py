"""From a portrait and a clip to latents, by upstream's sampler: six steps, each over all windows of the clip."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from src.utils.step_func import origin_by_velocity_and_sample, psuedo_velocity_wrt_noisy_and_timestep

from faceorch_kit.graphed import Graphed
from faceorch_kit.latent import SCALE
from faceorch_kit.portrait import Image

from .denoise import Denoiser, TunedDenoiser, spatial_layers
from .framing import Mask
from .hear import Sound
from .models import Models, scheduler
from .windows import windows

_NOISE_LIMIT = 1.5  # noise beyond is cut off
_UP = 8  # pixels of a latent's side
_TO_CLEAN = -1  # the time at which nothing is left of the noise

OnStep = Callable[[int, int], None]


@dataclass(frozen=True)
class Plan:
    """How a clip is sampled."""

    frames: int
    steps: int
    guidance: float
    size: int
    window: int
    overlap: int
    closed: bool
    seed: int
    batch: int = 1  # windows in one pass

    @property
    def passes(self) -> list[list[list[int]]]:
        """The windows of each step."""
        return [windows(self.frames, step, self.window, self.overlap, closed=self.closed) for step in range(self.steps)]


@dataclass(frozen=True, eq=False)
class Look:
    """What the networks know of a portrait."""

    banks: list[torch.Tensor]  # what each layer attends to, (1, places, channels)
    face: torch.Tensor  # what the mask means, (1, channels, 1, height, width)


@torch.no_grad()
def look(models: Models, square: Image, mask: Mask) -> Look:
    """Let the networks see the portrait's square and where in it the face is."""
    device, dtype = models.device, models.dtype
    pixels = torch.from_numpy(square.transpose(2, 0, 1)[None].astype(np.float32) / 255.0)
    latents = models.vae.encode((2.0 * pixels - 1.0).to(device, dtype)).latent_dist.mean * SCALE
    covered = torch.from_numpy(mask.astype(np.float32)).to(device, dtype)[None, None, None] / 255.0
    banks: dict[int, torch.Tensor] = {}
    layers = spatial_layers(models.reference, "BasicTransformerBlock")
    hooks = [layer.norm1.register_forward_hook(_kept(banks, index)) for index, layer in enumerate(layers)]
    try:
        models.reference(latents, torch.zeros((), dtype=torch.long, device=device), None, return_dict=False)
    finally:
        for hook in hooks:
            hook.remove()
    # Upstream keeps them in fp16 wherever it runs.
    return Look([banks[index].half().to(dtype) for index in range(len(layers))], models.locator(covered))


def _kept(banks: dict[int, torch.Tensor], index: int) -> Callable[[Any, Any, torch.Tensor], None]:
    def keep(_module: Any, _inputs: Any, output: torch.Tensor) -> None:
        banks[index] = output

    return keep


class Sampler:
    """Samples latents with one denoising network."""

    def __init__(self, models: Models, *, tuned: bool) -> None:
        self._models = models
        self._denoiser = (TunedDenoiser if tuned else Denoiser)(models.denoiser)

    @torch.no_grad()
    def sample(self, plan: Plan, seen: Look, sound: Sound, on_step: OnStep) -> torch.Tensor:
        """Return latents (frames, 4, height, width); `sound` is what the frames hear."""
        device, dtype = self._models.device, self._models.dtype
        steps = scheduler()
        steps.set_timesteps(plan.steps, device=device)
        latents = noise(plan, dtype).to(device) * steps.init_noise_sigma
        heard = sound.to(device, dtype)
        guided = plan.guidance > 1.0
        face = torch.cat([torch.zeros_like(seen.face), seen.face]) if guided else seen.face
        self._denoiser.begin(seen.banks, face, steps.timesteps)
        kept = steps.alphas_cumprod.to(device)
        passes = plan.passes
        total, done = sum(len(found) for found in passes), 0
        run = Graphed(lambda *inputs: (self._denoiser(*inputs),))
        pace = Pace(device)
        for index, (time, found) in enumerate(zip(steps.timesteps, passes, strict=True)):
            summed = torch.zeros((1 + guided, *latents.shape[1:]), dtype=dtype, device=device)
            often = torch.zeros((1, 1, plan.frames, 1, 1), dtype=dtype, device=device)
            for group in torch.tensor(found, device=device).split(plan.batch):
                noisy = torch.cat([latents[:, :, place] for place in group])
                (velocity,) = run(noisy, heard[group], self._denoiser.times[index])
                noisy = noisy.repeat(1 + guided, 1, 1, 1, 1)
                clean = origin_by_velocity_and_sample(velocity, noisy, kept, time)
                velocity = psuedo_velocity_wrt_noisy_and_timestep(
                    noisy, clean, kept, time, torch.full_like(time, _TO_CLEAN)
                )
                # One window after the other: sums of three in fp16 depend on their order.
                for place, part in zip(group, velocity.unflatten(0, (1 + guided, -1)).unbind(1), strict=True):
                    summed[:, :, place] = summed[:, :, place] + part
                    often[:, :, place] = often[:, :, place] + 1
                done += len(group)
                pace.keep()
                on_step(done, total)
            predicted = summed / often
            if guided:
                without, with_sound = predicted.chunk(2)
                predicted = without + plan.guidance * (with_sound - without)
            latents = steps.step(predicted, time, latents, eta=0.0).prev_sample
        return latents[0].transpose(0, 1)


class Pace:
    """Lets the host run ahead of a GPU, but not far: work is queued before it is needed, and progress stays true."""

    _AHEAD = 2

    def __init__(self, device: torch.device) -> None:
        self._marks: deque[torch.cuda.Event] | None = deque() if device.type == "cuda" else None

    def keep(self) -> None:
        """Wait until no more than two calls of this are ahead of the GPU."""
        if self._marks is None:
            return
        mark = torch.cuda.Event()
        mark.record()
        self._marks.append(mark)
        if len(self._marks) > self._AHEAD:
            self._marks.popleft().synchronize()


def noise(plan: Plan, dtype: torch.dtype) -> torch.Tensor:
    """Return the noise from which a clip is made (1, 4, frames, height, width), drawn on the CPU as upstream does."""
    side = plan.size // _UP
    drawn = torch.randn(
        (1, 4, plan.frames, side, side), generator=torch.Generator("cpu").manual_seed(plan.seed), dtype=dtype
    )
    return drawn.clamp(-_NOISE_LIMIT, _NOISE_LIMIT)
