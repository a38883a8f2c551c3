"""What is saved, against upstream's own code on stand-in networks: bit for bit, or within which bound.

Skipped where the network's environment, with upstream's checkout on the path, is not at hand.
"""

from __future__ import annotations

import copy
import warnings
import wave
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from faceorch_runner import MissingWeight
from tests.networks.conftest import ASSETS, load_code

torch = pytest.importorskip("torch", reason="the network's own torch is not installed here")
pytestmark = pytest.mark.filterwarnings("ignore")  # what old packages say of newer ones

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pytest.importorskip("src.models.unet_3d_echo", reason="upstream's code is not on the path")
    denoise, decode, hear, models, sample, shapes, synthetic, windows = (
        load_code("echomimic", name)
        for name in ("denoise", "decode", "hear", "models", "sample", "shapes", "synthetic", "windows")
    )

SIDE = 128


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    synthetic.make(folder, full=False)
    return folder


@pytest.fixture
def loaded(weights: Path) -> Any:
    torch.set_num_threads(1)  # sums do not depend on how many cores there are
    return models.load(weights, "cpu")


@pytest.fixture
def portrait(loaded: Any) -> Any:
    random = np.random.default_rng(0)
    square, mask = random.integers(0, 255, (SIDE, SIDE, 3), np.uint8), random.integers(0, 255, (SIDE, SIDE), np.uint8)
    return SimpleNamespace(square=square, mask=mask, seen=sample.look(loaded, square, mask))


def window(seed: int, count: int = 1) -> tuple[Any, Any]:
    """Return noise and sound of windows."""
    noise = torch.Generator().manual_seed(seed)
    side = SIDE // 8
    return (
        torch.randn(count, 4, 12, side, side, generator=noise),
        torch.randn(count, 12, 50, 384, generator=noise),
    )


def upstreams(network: Any, portrait: Any, latents: Any, sound: Any, time: Any, guided: bool = False) -> Any:
    """Return what upstream's own forward pass makes of one window; with guidance, of both its halves."""
    from src.models.mutual_self_attention import ReferenceAttentionControl

    hooks = ReferenceAttentionControl.register_reference_hooks
    hooks.__defaults__ = tuple(torch.device("cpu") if isinstance(v, torch.device) else v for v in hooks.__defaults__)
    ReferenceAttentionControl(
        network, do_classifier_free_guidance=guided, mode="read", batch_size=1, fusion_blocks="full"
    )
    layers = denoise.spatial_layers(network, "TemporalBasicTransformerBlock")
    for layer, bank in zip(layers, portrait.seen.banks, strict=True):
        layer.bank = [torch.cat([bank] * (1 + guided))]
    face = portrait.seen.face
    if guided:
        latents, sound = latents.repeat(2, 1, 1, 1, 1), torch.cat([torch.zeros_like(sound), sound])
        face = torch.cat([torch.zeros_like(face), face])
    with torch.no_grad():
        return network(
            latents,
            time,
            encoder_hidden_states=None,
            audio_cond_fea=sound,
            face_musk_fea=face,
            return_dict=False,
        )[0]


def ours(kind: Any, network: Any, portrait: Any, latents: Any, sound: Any, time: Any, guided: bool = False) -> Any:
    walker, face = kind(network), portrait.seen.face
    with torch.no_grad():
        walker.begin(portrait.seen.banks, torch.cat([torch.zeros_like(face), face]) if guided else face, time[None])
        return walker(latents, sound, walker.times[0])


def test_a_pass_is_upstreams_bit_for_bit(loaded: Any, portrait: Any) -> None:
    given = *window(1), torch.tensor(832)
    found = ours(denoise.Denoiser, loaded.denoiser, portrait, *given)
    assert found.std() > 0.01
    assert torch.equal(found, upstreams(loaded.denoiser, portrait, *given))


@pytest.mark.parametrize("kind", ["Denoiser", "TunedDenoiser"])
def test_both_halves_of_a_guided_pass_are_upstreams_within_rounding(loaded: Any, portrait: Any, kind: str) -> None:
    given = *window(4), torch.tensor(166), True
    wanted = upstreams(loaded.denoiser, portrait, *given)
    assert (wanted[0] - wanted[1]).abs().max() > 0.01
    assert (ours(getattr(denoise, kind), loaded.denoiser, portrait, *given) - wanted).abs().max() < 1e-4


def test_a_tuned_pass_of_several_windows_differs_by_rounding(loaded: Any, portrait: Any) -> None:
    latents, sound = window(2, count=2)
    time = torch.tensor(499)
    wanted = [
        upstreams(loaded.denoiser, portrait, latents[i : i + 1], sound[i : i + 1], time) for i in range(len(latents))
    ]
    found = ours(denoise.TunedDenoiser, loaded.denoiser, portrait, latents, sound, time)
    assert (found - torch.cat(wanted)).abs().max() < 1e-4


def test_pictures_decoded_together_are_those_decoded_alone(loaded: Any) -> None:
    latents = torch.randn(3, 4, 16, 16, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        alone = torch.cat([loaded.vae.decode(part).sample for part in latents.split(1)])
        assert torch.equal(decode.Decoder(loaded.vae).decode(latents).sample, alone)
        assert (decode.TunedDecoder(loaded.vae).decode(latents).sample - alone).abs().max() < 1e-4


def test_what_is_loaded_without_the_base_network_is_what_upstream_loads(weights: Path, loaded: Any) -> None:
    from src.models.unet_2d_condition import UNet2DConditionModel
    from src.models.unet_3d_echo import EchoUNet3DConditionModel

    shape = shapes.read(weights)["unet"]
    reference = UNet2DConditionModel.from_config(dict(shape))
    reference.load_state_dict(torch.load(weights / models.REFERENCE, weights_only=True))
    denoiser = EchoUNet3DConditionModel.from_config(shapes.denoiser(shape))
    denoiser.load_state_dict(torch.load(weights / models.MOTION, weights_only=True), strict=False)
    denoiser.load_state_dict(torch.load(weights / models.DENOISER, weights_only=True), strict=False)
    for mine, theirs in ((loaded.reference, reference), (loaded.denoiser, denoiser)):
        wanted = theirs.state_dict()
        assert mine.state_dict().keys() == wanted.keys()
        assert all(torch.equal(value, wanted[name]) for name, value in mine.state_dict().items())


def test_a_file_that_lacks_tensors_is_told(weights: Path, tmp_path: Path) -> None:
    for path in weights.rglob("*"):
        if path.is_file():
            (tmp_path / path.relative_to(weights)).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path.relative_to(weights)).write_bytes(path.read_bytes())
    tensors = torch.load(weights / models.MOTION, weights_only=True)
    tensors.pop(next(iter(tensors)))
    torch.save(tensors, tmp_path / models.MOTION)
    with pytest.raises(MissingWeight, match=r"does not fit the network: 1 tensors missing"):
        models.load(tmp_path, "cpu")


@pytest.mark.parametrize("fps", [24, 25, 29])
def test_what_a_frame_hears_is_upstreams(weights: Path, loaded: Any, tmp_path: Path, fps: int) -> None:
    from src.models.whisper.audio2feature import Audio2Feature

    clip = tmp_path / "clip.wav"
    with wave.open(str(ASSETS / "clip.wav")) as source, wave.open(str(clip), "wb") as part:
        part.setparams(source.getparams())
        part.writeframes(source.readframes(2 * source.getframerate()))
    theirs = Audio2Feature(model_path=str(weights / models.WHISPER), device="cpu")
    wanted = theirs.feature2chunks(theirs.audio2feat(str(clip)), fps=fps)
    frames = windows.frame_count(2.0, fps)
    found = hear.Sound.of(hear.listen(loaded.hearing, clip, loaded.device), frames, fps)[torch.arange(frames)]
    assert len(wanted) > frames
    assert np.array_equal(found.numpy(), wanted[:frames])


def test_a_tuned_job_leaves_what_sees_the_next_jobs_portrait_as_it_was(loaded: Any) -> None:
    vae = copy.deepcopy(loaded.vae)
    before = {name: value.stride() for name, value in vae.named_parameters()}
    decode.TunedDecoder(vae)
    changed = {name.partition(".")[0] for name, value in vae.named_parameters() if value.stride() != before[name]}
    assert changed == {"decoder"}


@pytest.mark.parametrize("frames", [12, 13, 30, 100, 360])
def test_windows_are_upstreams(frames: int) -> None:
    from src.pipelines.context import get_context_scheduler

    queue = list(get_context_scheduler("uniform")(0, 6, frames, 12, 1, 3))
    for step in range(6):
        wanted = [[(frame + 2 * step) % frames for frame in found] for found in queue]
        assert windows.windows(frames, step, 12, 3, closed=True) == wanted
