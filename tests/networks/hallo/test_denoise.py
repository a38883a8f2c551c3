"""A step of the denoising network on a small network of our own; skipped where torch is not installed.

That these are upstream's steps is what parity.json records, with upstream's own code.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.networks.conftest import load_code

torch = pytest.importorskip("torch", reason="the network's own torch is not installed here")

from tests.networks.hallo import standin  # noqa: E402

denoise, fused, tuned = (load_code("hallo", name) for name in ("denoise", "fused", "tuned"))
KINDS = {"exact": denoise.Denoiser, "fused": fused.Fused, "tuned": tuned.Tuned}


def predict(kind: str, index: int = 1, **changes: Any) -> Any:
    job = standin.job()
    for name, value in changes.items():
        setattr(job, name, value)
    walker = KINDS[kind](standin.network())
    with torch.no_grad():
        walker.prepare(denoise.Conditions(**job.conditions))
        walker.begin(job.banks, job.sound)
        return walker.step(job.latents, index)


@pytest.mark.parametrize("kind", ["fused", "tuned"])
def test_fewer_passes_give_the_same_within_rounding(kind: str) -> None:
    plain = predict("exact")
    assert plain.shape == (2, 4, standin.FRAMES, standin.SIDE, standin.SIDE)
    assert plain.std() > 0.1
    assert (predict(kind) - plain).abs().max() < 1e-4


@pytest.mark.parametrize("kind", KINDS)
class TestWhatAStepDependsOn:
    def test_time(self, kind: str) -> None:
        assert not torch.equal(predict(kind, 0), predict(kind, 1))

    def test_motion_frames_move_both_halves(self, kind: str) -> None:
        banks = standin.job().banks
        for bank in banks:
            bank.unflatten(0, (2, 3))[:, 1:] *= -1
        apart = (predict(kind, banks=banks) - predict(kind)).abs().amax(dim=(1, 2, 3, 4))
        assert (apart > 1e-3).all()

    def test_sound_moves_the_conditional_half_alone(self, kind: str) -> None:
        sound = standin.job().sound
        sound[1] += 0.5
        apart = (predict(kind, sound=sound) - predict(kind)).abs().amax(dim=(1, 2, 3, 4))
        assert apart[0] == 0
        assert apart[1] > 1e-3

    def test_the_portrait_is_seen_by_the_conditional_half_alone(self, kind: str) -> None:
        banks = standin.job().banks
        for bank in banks:
            bank.unflatten(0, (2, 3))[:, 0] += 0.5
        apart = (predict(kind, banks=banks) - predict(kind)).abs().amax(dim=(1, 2, 3, 4))
        assert apart[0] == 0
        assert apart[1] > 1e-3

    def test_weights_of_pose_face_and_lips(self, kind: str) -> None:
        for index in range(3):
            job = standin.job()
            weights = list(job.conditions["weights"])
            weights[index] += 1.0
            changed = predict(kind, conditions={**job.conditions, "weights": weights})
            assert (changed - predict(kind)).abs().max() > 1e-3


def test_attention_is_upstreams_without_what_it_throws_away() -> None:
    """As upstream computes it: everything for both halves, and the unconditional one overwritten."""
    torch.manual_seed(0)
    frames, places, channels = standin.FRAMES, 6, 16
    attention, normal = standin.Attention(channels), torch.randn(2 * frames, places, channels)
    bank = torch.randn(2 * 3, places, channels)

    def attended(query: Any, context: Any) -> Any:
        return denoise.attend(attention, query, *denoise.keys_of(attention, context))

    with torch.no_grad():
        portraits = bank.unflatten(0, (2, 3))[:, 0].repeat(frames, 1, 1)
        wanted = attended(normal, torch.cat([normal, portraits], dim=1))
        wanted[:frames] = attended(normal[:frames], normal[:frames])

        block = torch.nn.Module()
        block.attn1 = attention
        walker = denoise.Denoiser(torch.nn.Module())
        walker._portrait = {id(block): denoise.keys_of(attention, bank.unflatten(0, (2, 3))[:, 0])}
        assert (walker._look(block, normal) - wanted).abs().max() < 1e-6


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_of_a_clip_is_left_for_the_next(kind: str) -> None:
    job = standin.job()
    walker = KINDS[kind](standin.network())
    with torch.no_grad():
        walker.prepare(denoise.Conditions(**job.conditions))
        found = []
        for banks in (job.banks, [bank + 1 for bank in job.banks], job.banks):
            walker.begin(banks, job.sound)
            found.append(walker.step(job.latents, 0))
    assert torch.equal(found[0], found[2])
    assert not torch.equal(found[0], found[1])
