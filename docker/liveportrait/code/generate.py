"""From a clip to the motion of every frame: HuBERT hears it, JoyVASA's diffusion moves the head."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from faceorch_kit.graphed import Graphed
from faceorch_kit.voice import Samples
from faceorch_runner import BadInput, RunnerError

from .ddim import first_noises, sample, schedule
from .keypoints import VALUES, Array
from .models import Models

_AT_ONCE = 8  # windows of 4 s that HuBERT hears in one batch


@torch.no_grad()
def generate(
    models: Models,
    heard: Samples,
    seed: int,
    *,
    steps: int,
    eta: float,
    guidance: float,
    on_step: Callable[[int], None],
) -> Array:
    """Return the normalised motion (windows * frames, 70) for the clip's windows (windows, samples).

    The windows follow each other: each one continues the end of the one before. Each starts from noise of its own, but
    with eta 1, where all start from the same, as upstream does it. All noise is drawn on the CPU, so that a seed means
    the same on every device. `guidance` is the scale of classifier-free guidance (Ho and Salimans 2022):
    x0 = without + guidance * (with the clip - without).
    """
    model, device = models.motion, models.device
    highest = int(model.diffusion_sched.num_steps)
    if steps > highest:
        raise BadInput(f"steps is {steps}, the motion model has {highest} noise levels")
    plan = schedule(model.diffusion_sched.alpha_bars.double().cpu().tolist(), steps, eta)
    random = torch.Generator().manual_seed(seed % 2**63)
    frames = int(model.n_motions)

    def draw() -> torch.Tensor:
        return torch.randn((1, frames, model.motion_feat_dim), generator=random).to(device)

    def denoised(x: torch.Tensor, level: torch.Tensor, *known: torch.Tensor) -> tuple[torch.Tensor]:
        found = model.denoising_net(torch.cat([x, x]), *known, level)[:, -frames:]
        return (found[:1] + guidance * (found[1:] - found[:1]),)

    run = Graphed(denoised)  # of hundreds of small kernels, which take longer to start than to run
    every_level = torch.arange(highest + 1, device=device)[:, None].expand(-1, 2)

    def predict(x: torch.Tensor, level: int) -> torch.Tensor:
        return run(x, every_level[level], conditions, before_x, before_heard)[0]

    firsts, done = first_noises(draw, eta), 0
    last, last_heard = model.start_motion_feat, model.start_audio_feat
    kept: list[Array] = []

    def step() -> None:
        nonlocal done
        done += 1
        on_step(done)

    for start in range(0, len(heard), _AT_ONCE):
        part = torch.from_numpy(heard[start : start + _AT_ONCE]).to(device)
        for features in model.extract_audio_feature(part).split(1):
            conditions = torch.cat([model.null_audio_feat.expand(1, frames, -1), features])
            before_x, before_heard = last.expand(2, -1, -1), last_heard.expand(2, -1, -1)
            moved = sample(plan, predict, next(firsts), draw, step)
            last, last_heard = moved[:, -model.n_prev_motions :], features[:, -model.n_prev_motions :]
            kept.append(moved[0, :, :VALUES].float().cpu().numpy())
    motion = np.concatenate(kept)
    if not np.isfinite(motion).all():
        raise RunnerError("the motion model's values are not finite: are its weights whole?")
    return motion
