"""What needs torch, with small stand-ins for upstream's classes; skipped where torch is not installed."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from faceorch_runner import BadInput, RunnerError
from tests.networks.conftest import load_code

torch = pytest.importorskip("torch", reason="the network's own torch is not installed here")

# Where upstream's classes live, and what this network imports from there.
_UPSTREAM = {
    "src": (),
    "src.config": ("base_config",),
    "src.config.base_config": (),
    "src.modules": (),
    "src.modules.appearance_feature_extractor": ("AppearanceFeatureExtractor",),
    "src.modules.dit_talking_head": ("DitTalkingHead",),
    "src.modules.motion_extractor": ("MotionExtractor",),
    "src.modules.spade_generator": ("SPADEDecoder",),
    "src.modules.stitching_retargeting_network": ("StitchingRetargetingNetwork",),
    "src.modules.warping_network": ("WarpingNetwork",),
    "src.utils": (),
    "src.utils.camera": ("headpose_pred_to_degree",),
}


@pytest.fixture(scope="module", autouse=True)
def upstream() -> Iterator[None]:
    """Put names where upstream's code would be."""
    patch = pytest.MonkeyPatch()
    for name, contents in _UPSTREAM.items():
        module = types.ModuleType(name)
        for content in contents:
            setattr(module, content, torch.nn.Module)
        patch.setitem(sys.modules, name, module)
    patch.setattr(sys.modules["src.utils.camera"], "headpose_pred_to_degree", lambda values: values.mean(dim=1))
    yield
    patch.undo()


def code(module: str) -> Any:
    """Return a module of LivePortrait's on top of these stand-ins."""
    return load_code("liveportrait", module, "liveportrait-on-stand-ins")


class Motion(torch.nn.Module):  # type: ignore[misc, name-defined]  # torch is not installed here
    """A motion model that guesses x0 = bias, with a bias of its own when it hears the clip."""

    n_motions, n_prev_motions, motion_feat_dim = 4, 2, 73

    def __init__(self, levels: int = 10) -> None:
        super().__init__()
        bars = torch.cat([torch.ones(1), torch.linspace(0.99, 0.01, levels)])
        self.diffusion_sched = SimpleNamespace(num_steps=levels, alpha_bars=bars)
        self.start_motion_feat, self.start_audio_feat = torch.zeros(1, 2, 73), torch.zeros(1, 2, 5)
        self.null_audio_feat = torch.zeros(1, 1, 5)
        self.before: list[Any] = []

    def extract_audio_feature(self, audio: Any) -> Any:
        return audio.mean(dim=1).view(-1, 1, 1).expand(-1, 4, 5).clone()

    def denoising_net(self, x: Any, heard: Any, before: Any, before_heard: Any, level: Any) -> Any:
        assert x.shape == (2, 4, 73)
        assert level.tolist() == [level[0].item()] * 2
        self.before.append((before[0].clone(), before_heard[0].clone()))
        return torch.cat([before, heard.mean(dim=2, keepdim=True).expand(-1, -1, 73)], dim=1)


def generate(model: Motion, heard: Any, **changes: Any) -> Any:
    run = code("generate").generate

    models = SimpleNamespace(motion=model, device=torch.device("cpu"))
    options = {"steps": 5, "eta": 0.0, "guidance": 2.0, "on_step": lambda done: None, **changes}
    return run(models, heard, options.pop("seed", 0), **options)


def test_guidance_goes_beyond_what_the_clip_asks_for() -> None:
    heard = np.full((1, 8), 0.5, np.float32)
    assert generate(Motion(), heard)[:, 0] == pytest.approx(np.full(4, 1.0), abs=1e-5)
    assert generate(Motion(), heard, guidance=1.0)[:, 0] == pytest.approx(np.full(4, 0.5), abs=1e-5)


def test_every_window_continues_the_one_before() -> None:
    model = Motion()
    seen: list[int] = []
    heard = np.stack([np.full(8, value, np.float32) for value in range(10)])
    motion = generate(model, heard, guidance=1.0, on_step=seen.append)
    assert motion.shape == (40, 70)
    assert motion[:, 0] == pytest.approx(np.repeat(np.arange(10), 4), abs=1e-5)
    assert seen == list(range(1, 51))
    before = model.before[5 * 7]
    assert before[0][:, 0].tolist() == pytest.approx([6.0, 6.0], abs=1e-5)
    assert before[1][:, 0].tolist() == [6.0, 6.0]


@pytest.mark.parametrize(("eta", "different"), [(0.0, True), (1.0, False)])
def test_each_window_starts_from_noise_of_its_own_unless_the_sampler_is_upstreams(eta: float, different: bool) -> None:
    firsts: list[Any] = []

    class Starts(Motion):
        def denoising_net(self, x: Any, *others: Any) -> Any:
            if others[-1][0] == 10:
                firsts.append(x[0].clone())
            return super().denoising_net(x, *others)

    generate(Starts(), np.zeros((3, 8), np.float32), eta=eta, steps=10)
    assert len(firsts) == 3
    assert [not torch.equal(firsts[0], later) for later in firsts[1:]] == [different] * 2


def test_a_seed_means_the_same_every_time() -> None:
    heard = np.zeros((2, 8), np.float32)
    noisy = {"eta": 1.0, "guidance": 0.0}

    class Echo(Motion):
        def denoising_net(self, x: Any, *others: Any) -> Any:
            return torch.cat([others[1], 0.5 * x], dim=1)

    runs = [generate(Echo(), heard, seed=seed, **noisy) for seed in (3, 3, 4)]
    assert (runs[0] == runs[1]).all()
    assert (runs[0] != runs[2]).any()


def test_more_steps_than_the_checkpoint_has_levels_are_refused() -> None:
    with pytest.raises(BadInput, match=r"^steps is 11, the motion model has 10 noise levels$"):
        generate(Motion(), np.zeros((1, 8), np.float32), steps=11)


def test_motion_that_is_not_finite_is_an_error() -> None:
    with pytest.raises(RunnerError, match=r"^the motion model's values are not finite: are its weights whole\?$"):
        generate(Motion(), np.full((1, 8), np.nan, np.float32))


def paste(portrait: Any, back: Any) -> Any:
    mask = np.zeros((512, 512, 3), np.uint8)
    mask[64:-64, 64:-64] = 255
    return code("render").Paste(portrait, np.asarray(back, np.float64), mask, torch.device("cpu"))


def test_a_square_goes_back_where_it_came_from() -> None:
    random = np.random.default_rng(0)
    portrait = random.integers(0, 256, (700, 600, 3)).astype(np.uint8)
    put = paste(portrait, [[1, 0, 30], [0, 1, 150], [0, 0, 1]])
    square = random.integers(0, 256, (512, 512, 3)).astype(np.uint8)
    box = put(torch.from_numpy(square).permute(2, 0, 1)[None].float())[0].permute(1, 2, 0).numpy()
    assert (put.rows, put.columns) == (slice(214, 598), slice(94, 478))
    assert box == pytest.approx(square[64:-64, 64:-64].astype(np.float32), abs=0.1)


def test_a_square_beyond_the_edge_of_the_portrait_is_cut_and_one_outside_refused() -> None:
    portrait = np.zeros((300, 300, 3), np.uint8)
    put = paste(portrait, [[1, 0, -200], [0, 1, 100], [0, 0, 1]])
    assert (put.rows, put.columns) == (slice(164, 300), slice(0, 248))
    with pytest.raises(RunnerError, match=r"^the face's square lies outside the portrait$"):
        paste(portrait, [[1, 0, 900], [0, 1, 0], [0, 0, 1]])


def renderer(paint: Any, place: float = 0.0) -> Any:
    def warp(volume: Any, kp_source: Any, kp_driving: Any) -> Any:
        assert volume.shape[0] == kp_source.shape[0] == kp_driving.shape[0]
        return {"out": kp_driving[:, 0, 0], "deformation": torch.tensor(place)}

    models = SimpleNamespace(device=torch.device("cpu"), painters=lambda half: (warp, paint))
    return code("render").Renderer(models, half=True)


def look() -> Any:
    zeros = np.zeros((21, 3), np.float32)
    return code("render").Look(
        torch.zeros(1, 2, 2, 4, 4),
        code("keypoints").Portrait(zeros, zeros, 1.0, np.zeros(3, np.float32), np.zeros(3, np.float32)),
    )


def test_frames_come_out_in_order_and_in_batches() -> None:
    painted: list[int] = []
    written: list[tuple[int, int]] = []

    def paint(feature: Any) -> Any:
        painted.append(len(feature))
        return (feature / 255.0).view(-1, 1, 1, 1).expand(-1, 3, 512, 512)

    moved = np.zeros((7, 21, 3), np.float32)
    moved[:, 0, 0] = np.arange(7) * 10
    renderer(paint).render(look(), moved, 3, None, lambda p: written.append((int(p[0, 0, 0]), len(painted))))
    assert painted == [3, 3, 1]
    assert [value for value, _ in written] == [0, 10, 20, 30, 40, 50, 60]
    # The next batch is painted before the last one is written; only one waits at a time.
    assert [count for _, count in written] == [2, 2, 2, 3, 3, 3, 3]


def test_small_stand_in_networks_are_enlarged_to_the_square() -> None:
    shapes: list[tuple[int, ...]] = []
    paint = renderer(lambda feature: torch.zeros(len(feature), 3, 128, 128))
    paint.render(look(), np.zeros((1, 21, 3), np.float32), 1, None, lambda p: shapes.append(p.shape))
    assert shapes == [(512, 512, 3)]


def test_a_picture_that_is_not_finite_is_an_error() -> None:
    paint = renderer(lambda feature: torch.full((len(feature), 3, 512, 512), float("nan")))
    with pytest.raises(
        RunnerError, match=r"^the painted picture is not finite: set precision to fp32, with speed at exact$"
    ):
        paint.render(look(), np.zeros((1, 21, 3), np.float32), 1, None, lambda picture: None)


def test_features_that_were_moved_to_nowhere_are_an_error() -> None:
    """As when the masks of a warping network leave the range of half precision: what is sampled there is zero."""
    paint = renderer(lambda feature: feature.view(-1, 1, 1, 1).expand(-1, 3, 512, 512), float("inf"))
    with pytest.raises(RunnerError, match=r"^the painted picture is not finite: "):
        paint.render(look(), np.zeros((1, 21, 3), np.float32), 1, None, lambda picture: None)


def test_weights_are_halved_where_they_are_and_read_again_for_full_precision() -> None:
    read: list[Any] = []

    def painters() -> Any:
        read.append(tuple(torch.nn.Sequential(torch.nn.Conv2d(2, 2, 1), torch.nn.BatchNorm2d(2)) for _ in range(2)))
        return read[-1]

    warp, paint = painters()
    loaded = dict.fromkeys(("appearance", "keypoints", "stitch", "eyes", "motion", "fps", "template", "input_side"))
    models = code("models").Models(torch.device("cpu"), warp=warp, paint=paint, read_painters=painters, **loaded)
    assert models.painters(half=False) == (warp, paint)
    weight = warp[0].weight.detach().clone()
    for _ in range(2):
        assert models.painters(half=True) == (warp, paint), "the same networks"
        assert torch.equal(warp[0].weight, weight.half())
        assert (paint[0].bias.dtype, paint[1].weight.dtype) == (torch.float16, torch.float32)
    assert models.painters(half=False) == read[1]
    assert read[1][0][0].weight.dtype == torch.float32
    assert len(read) == 2
