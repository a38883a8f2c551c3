"""DDIM against the papers' equations, against the ancestral sampler, and against a reference implementation."""

from __future__ import annotations

import math
from itertools import islice

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.networks.conftest import load_code

ddim = load_code("liveportrait", "ddim")

Values = NDArray[np.float64]

# The motion model's own levels: cosine schedule of Nichol and Dhariwal 2021, 50 levels, steps of at most 0.999.
_ANGLES = np.cos((np.arange(51) / 50 + 0.008) / 1.008 * np.pi / 2) ** 2
COSINE = np.concatenate([[1.0], np.cumprod(1.0 - np.clip(1.0 - _ANGLES[1:] / _ANGLES[:-1], 1e-4, 0.999))])


def test_the_levels_fall_evenly_from_the_noisiest_to_the_clean_one() -> None:
    assert ddim.levels(50, 50) == list(range(50, -1, -1))
    assert ddim.levels(50, 10) == [50, 45, 40, 35, 30, 25, 20, 15, 10, 5, 0]
    for steps in range(1, 51):
        found = ddim.levels(50, steps)
        assert (found[0], found[-1], len(set(found))) == (50, 0, steps + 1)


@pytest.mark.parametrize("steps", [0, 51])
def test_more_steps_than_levels_are_refused(steps: int) -> None:
    with pytest.raises(ValueError, match=rf"^{steps} steps, 1 to 50 possible$"):
        ddim.levels(50, steps)


def test_with_eta_1_and_every_level_it_is_the_ancestral_sampler() -> None:
    """Ho et al. 2020, equations 6 and 7: mean and variance of q(x_(t-1) | x_t, x_0)."""
    for step in ddim.schedule(COSINE, 50, eta=1.0):
        now, then = COSINE[step.level], COSINE[step.earlier]
        alpha = now / then
        assert step.earlier == step.level - 1
        assert step.clean == pytest.approx(math.sqrt(then) * (1 - alpha) / (1 - now), abs=1e-12)
        assert step.noisy == pytest.approx(math.sqrt(alpha) * (1 - then) / (1 - now), abs=1e-12)
        assert step.noise**2 == pytest.approx((1 - then) / (1 - now) * (1 - alpha), abs=1e-12)


@pytest.mark.parametrize("eta", [0.0, 0.3, 1.0])
def test_every_step_lands_on_the_noise_of_its_level(eta: float) -> None:
    """Song et al. 2021, lemma 1: when x0 is right, x_s has mean sqrt(a_s) x0 and variance 1 - a_s."""
    for step in ddim.schedule(COSINE, 20, eta):
        now, then = COSINE[step.level], COSINE[step.earlier]
        assert step.clean + step.noisy * math.sqrt(now) == pytest.approx(math.sqrt(then), abs=1e-9)
        assert step.noisy**2 * (1 - now) + step.noise**2 == pytest.approx(1 - then, abs=1e-9)


def test_without_noise_many_steps_reach_the_exact_solution() -> None:
    """For values that are normal with mean m and deviation d the best guess of x0 is known, and with ever finer levels
    DDIM must carry the first noise z to m + d z: the solution of its differential equation."""
    mean, deviation = 0.7, 0.4
    fine = np.cos(np.linspace(0.0, np.pi / 2 - 1e-3, 4001)) ** 2
    noise = np.linspace(-2.0, 2.0, 9)

    def best_guess(x: Values, level: int) -> Values:
        a = fine[level]
        gain = math.sqrt(a) * deviation**2 / (a * deviation**2 + 1 - a)
        return np.asarray(mean + gain * (x - math.sqrt(a) * mean), np.float64)

    errors = []
    for steps in (40, 400, 4000):
        found = ddim.sample(ddim.schedule(fine, steps), best_guess, noise, lambda: noise)
        errors.append(float(np.abs(found - (mean + deviation * noise)).max()))
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 2e-3


# From diffusers 0.31.0: DDIMScheduler(num_train_timesteps=50, trained_betas=linspace(1e-4, 0.05, 50),
# clip_sample=False, prediction_type="sample", timestep_spacing="trailing"), with noise and model of the test below.
REFERENCE = {
    (50, 0.0): [0.0059188, 0.0224201, 0.0358193, 0.0469036],
    (10, 0.0): [0.0017370, 0.0727601, 0.1303353, 0.1740497],
    (5, 0.5): [0.0629702, 0.1288738, 0.1809476, 0.2411909],
    (50, 1.0): [0.0230947, 0.0248330, 0.0249816, 0.0241782],
}


@pytest.mark.parametrize(("steps", "eta"), REFERENCE)
def test_it_agrees_with_the_reference_implementation(steps: int, eta: float) -> None:
    alpha_bars = np.concatenate([[1.0], np.cumprod(1.0 - np.linspace(1e-4, 0.05, 50))])
    noise = np.array([-1.5, -0.5, 0.25, 1.0])
    drawn = iter(np.cos(np.arange(1, 4 * steps + 1)).reshape(steps, 4))

    def model(x: Values, level: int) -> Values:
        return np.asarray(0.3 * np.tanh(x) + 0.01 * level, np.float64)

    found = ddim.sample(ddim.schedule(alpha_bars, steps, eta), model, noise, lambda: next(drawn))
    assert found == pytest.approx(REFERENCE[steps, eta], abs=2e-6)


def test_every_step_is_reported() -> None:
    seen: list[int] = []
    steps = ddim.schedule(COSINE, 7)
    ddim.sample(steps, lambda x, level: x, np.zeros(1), lambda: np.zeros(1), lambda: seen.append(1))
    assert len(seen) == 7


WINDOW, BEFORE = 100, 10  # frames of a window, and those of the one before that it continues


def neighbours(eta: float, shared: bool) -> tuple[float, float]:
    """Return how two neighbouring windows correlate, and the jump at their seam by the mean jump within them.

    The motion is Gaussian, smooth over 12 frames, and its best guess of x0 given the frames before is known.
    """
    random = np.random.default_rng(0)
    frames = np.arange(BEFORE + WINDOW)
    covariance = np.exp(-0.5 * ((frames[:, None] - frames) / 12.0) ** 2) + 1e-4 * np.eye(len(frames))
    past, future, both = covariance[:BEFORE, :BEFORE], covariance[BEFORE:, BEFORE:], covariance[BEFORE:, :BEFORE]
    gain = both @ np.linalg.inv(past)
    variances, axes = np.linalg.eigh(future - gain @ both.T)
    variances = np.maximum(variances, 0.0)

    def draw() -> Values:
        return random.normal(size=(WINDOW, 400))  # as many clips at once

    plan, firsts = ddim.schedule(COSINE, 50, eta), ddim.first_noises(draw, 1.0 if shared else eta)
    windows = [np.asarray(random.multivariate_normal(np.zeros(WINDOW), future, 400).T, np.float64)]
    for first in islice(firsts, 3):
        mean = gain @ windows[-1][-BEFORE:]

        def best_guess(x: Values, level: int, mean: Values = mean) -> Values:
            a = COSINE[level]
            weight = math.sqrt(a) * variances / (a * variances + 1.0 - a)
            return np.asarray(mean + axes @ (weight[:, None] * (axes.T @ (x - math.sqrt(a) * mean))), np.float64)

        windows.append(np.asarray(ddim.sample(plan, best_guess, first, draw), np.float64))
    one, two = windows[-2:]
    correlation = float(np.corrcoef(one[30:].ravel(), two[30:].ravel())[0, 1])
    within = np.abs(np.diff(two[BEFORE:], axis=0)).mean()
    return correlation, float(np.abs(two[0] - one[-1]).mean() / within)


@pytest.mark.parametrize("eta", [0.0, 0.5])
def test_a_window_does_not_repeat_the_one_before(eta: float) -> None:
    correlation, seam = neighbours(eta, shared=False)
    assert abs(correlation) < 0.05
    assert seam < 1.5  # it continues the one before all the same


def test_one_noise_for_all_windows_repeats_the_motion_unless_the_sampler_forgets_it() -> None:
    """Why the noise is new, and why that of the ancestral sampler may stay."""
    assert neighbours(0.0, shared=True)[0] > 0.95
    assert neighbours(1.0, shared=True)[0] < 0.2


def test_only_upstreams_sampler_starts_every_window_from_the_same_noise() -> None:
    for eta, drawn in ((0.0, 4), (0.99, 4), (1.0, 1)):
        numbers = iter(range(100))
        seen = list(islice(ddim.first_noises(lambda numbers=numbers: next(numbers), eta), 4))
        assert len(set(seen)) == drawn
