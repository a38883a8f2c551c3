"""DDIM: from noise to a sample in a few steps, over the noise levels of a model that predicts the clean sample.

Song, Meng and Ermon 2021, "Denoising Diffusion Implicit Models", equations 12 and 16, written for a model that predicts
x0 instead of the noise. Level t of the model holds x_t = sqrt(a_t) x0 + sqrt(1 - a_t) e with e ~ N(0, 1); a_0 is 1.
A step from level t to an earlier level s is

    e     = (x_t - sqrt(a_t) x0) / sqrt(1 - a_t)
    sigma = eta sqrt((1 - a_s) / (1 - a_t)) sqrt(1 - a_t / a_s)
    x_s   = sqrt(a_s) x0 + sqrt(1 - a_s - sigma^2) e + sigma z,   z ~ N(0, 1)

With eta 0 nothing is random after the first noise. With eta 1 and every level visited it is the ancestral sampler of
Ho, Jain and Abbeel 2020, "Denoising Diffusion Probabilistic Models", equations 6 and 7.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

Array = TypeVar("Array")  # whatever has + and *: numpy or torch


@dataclass(frozen=True)
class Step:
    """One step from `level` to the level `earlier`: x_s = clean * x0 + noisy * x_t + noise * z."""

    level: int
    earlier: int
    clean: float
    noisy: float
    noise: float


def levels(highest: int, steps: int) -> list[int]:
    """Return `steps` + 1 noise levels from `highest` down to 0, as evenly spaced as whole numbers can be."""
    if not 1 <= steps <= highest:
        raise ValueError(f"{steps} steps, 1 to {highest} possible")
    return [round(highest * (steps - index) / steps) for index in range(steps + 1)]


def schedule(alpha_bars: Sequence[float], steps: int, eta: float = 0.0) -> list[Step]:
    """Return the steps of the sampler; `alpha_bars` holds a_0 = 1, a_1, ... of the model."""
    visited = levels(len(alpha_bars) - 1, steps)
    return [_step(alpha_bars, level, earlier, eta) for level, earlier in itertools.pairwise(visited)]


def _step(alpha_bars: Sequence[float], level: int, earlier: int, eta: float) -> Step:
    now, then = float(alpha_bars[level]), float(alpha_bars[earlier])
    sigma = eta * math.sqrt((1.0 - then) / (1.0 - now)) * math.sqrt(max(0.0, 1.0 - now / then))
    noisy = math.sqrt(max(0.0, 1.0 - then - sigma**2)) / math.sqrt(1.0 - now)
    return Step(level, earlier, math.sqrt(then) - noisy * math.sqrt(now), noisy, sigma)


def first_noises(draw: Callable[[], Array], eta: float) -> Iterator[Array]:
    """Yield the noise from which each window of a clip starts.

    With eta below 1 it is new for each window: what the conditions leave open, the head's pose above all, is decided by
    it, and one noise for all windows would make the motion repeat itself. The ancestral sampler (eta 1) forgets it, and
    upstream starts every window from the same: so that the two stay comparable, that is kept.
    """
    first = draw()
    while True:
        yield first
        if eta < 1.0:
            first = draw()


def sample(
    steps: Sequence[Step],
    predict: Callable[[Array, int], Array],
    noise: Array,
    draw: Callable[[], Array],
    on_step: Callable[[], None] = lambda: None,
) -> Array:
    """Return a sample, starting from `noise`; `predict(x, level)` returns x0, `draw()` new noise of the same shape."""
    x = noise
    for step in steps:
        x = step.clean * predict(x, step.level) + step.noisy * x  # type: ignore[operator, assignment]
        if step.noise > 0.0:
            x = x + step.noise * draw()  # type: ignore[operator, assignment]
        on_step()
    return x
