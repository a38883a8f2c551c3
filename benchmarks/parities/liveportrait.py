"""What JoyVASA's script is told, and how its finished frames are kept (see parity.py)."""

from __future__ import annotations

import os
import shutil
import sys
import types
from pathlib import Path
from typing import Any

from parities.common import ffmpeg_on_path

SECONDS = 0.8  # twenty frames, in three windows of ten
SEED = 0
SETTINGS = {
    "preset": "own",
    "output": "full",
    "max_size": 1280,
    "steps": 50,
    "eta": 1.0,
    "guidance": 2.0,
    "expression": 1.0,
    "head_motion": 1.0,
    "eye_motion": 1.0,
    "driving_multiplier": 1.0,
    "animation_region": "all",
    "crop_scale": 2.3,
    "crop_x": 0.0,
    "crop_y": -0.125,
    "blinks_per_minute": 0.0,
    "head_smoothing": 0.99,
    "expression_smoothing": 0.0,
    "stitching": True,
    "detector": "insightface",
    "precision": "fp32",
    "batch": 8,
    "speed": "exact",
}
PACKAGES = ("torch", "torchaudio", "numpy", "onnxruntime", "opencv-python-headless")
_PLOTS = ("viz_lmk", "plot_3d_scatter", "plot_vectors", "plot_vector_pairs")
LEAD = 2  # frames that upstream puts before the clip, and we leave out
NAMED = [
    "lead: upstream's frame k + 2 is our frame k, and it ends a frame later",
    "rounding: upstream cuts painted values to whole numbers, we round; pasted back, that is up to 3 of 255",
    "sampler: by default ours takes DDIM with no noise in its steps; here eta is 1, which is upstream's own",
    "noise: upstream draws it without a seed; here both sides draw the same",
    "sound at 16 kHz: upstream's is librosa's, ours FFmpeg's; here both sides hear ours",
    "blinks: ours are off, for upstream has none; so is its lip normalisation, as its script has it",
    "stand-ins paint 128 pixels a side: both sides enlarge them to 512 alike",
    "upstream's code names the GPU in two places; here it reads cpu there",
]


def prepare(weights: Path, synthetic: Any) -> None:
    """Write stand-in weights."""
    synthetic.make(weights, full=False)


def theirs(upstream: Path, weights: Path, portrait: Path, clip: Path, work: Path) -> Any:
    """Run inference.py, and return the frames that it hands to its encoder."""
    import numpy as np

    docker = Path(__file__).parents[2] / "docker"
    sys.path += [str(docker / "runner"), str(docker / "kit")]
    from faceorch_kit import voice

    tree = _edited(upstream, weights, work / "theirs")
    sys.path.insert(0, str(tree))
    heard = voice.read_at(clip, 16000)
    _write_hubert(weights, tree)
    # What upstream imports beside: one function of librosa's is called, and none of the others.
    for name, content in (
        ("librosa", {"load": lambda *_, **__: (heard, 16000)}),
        ("pykalman", {"KalmanFilter": None}),
        ("src.utils.viz", dict.fromkeys(_PLOTS)),
    ):
        sys.modules[name] = types.ModuleType(name)
        vars(sys.modules[name]).update(content)
    kept: list[Any] = []
    _patch(kept)
    ffmpeg_on_path(work)
    told = {
        "--animation-mode": "human",
        "--reference": portrait,
        "--audio": clip,
        "--output-dir": work / "results",
        "--scale": SETTINGS["crop_scale"],
        "--cfg-scale": SETTINGS["guidance"],
        "--driving-multiplier": SETTINGS["driving_multiplier"],
        "--driving-option": "pose-friendly",
    }
    flags = [f"--flag-{name}" for name in ("force-cpu", "do-crop", "stitching", "pasteback")]
    script = tree / "inference.py"
    sys.argv = [str(script), *flags, *(str(part) for pair in told.items() for part in pair)]
    exec(compile(script.read_text("utf-8"), str(script), "exec"), {"__name__": "__main__", "__file__": str(script)})
    return np.stack(kept)[LEAD : LEAD + round(SECONDS * 25)]


def prepare_usual(upstream: Path, weights: Path, work: Path) -> None:
    """Make a copy of upstream's checkout with the weights where it looks for them."""
    tree = work / "tree"
    shutil.copytree(upstream, tree, ignore=shutil.ignore_patterns(".git"))
    (tree / "pretrained_weights").mkdir(exist_ok=True)
    for name in ("JoyVASA", "liveportrait", "insightface"):
        (tree / "pretrained_weights" / name).symlink_to(weights / name)
    sys.path.insert(0, str(tree))
    _write_hubert(weights, tree)


def run_usual(work: Path, weights: Path, portrait: Path, clip: Path) -> None:
    """Run inference.py with the command of its readme."""
    tree = work / "tree"
    sys.path.insert(0, str(tree))
    os.environ["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"] = "1"  # the motion model's file holds more than tensors
    for name, content in (("pykalman", {"KalmanFilter": None}), ("src.utils.viz", dict.fromkeys(_PLOTS))):
        sys.modules[name] = types.ModuleType(name)  # imported for nothing
        vars(sys.modules[name]).update(content)
    ffmpeg_on_path(work)
    os.chdir(tree)
    told = {"--reference": portrait, "--audio": clip, "--output-dir": work / "results"}
    told |= {"--animation-mode": "human", "--cfg-scale": 2.0}
    script = tree / "inference.py"
    sys.argv = [str(script), *(str(part) for pair in told.items() for part in pair)]
    exec(compile(script.read_text("utf-8"), str(script), "exec"), {"__name__": "__main__", "__file__": str(script)})


def _edited(upstream: Path, weights: Path, tree: Path) -> Path:
    """Return a copy of upstream's checkout that runs without a GPU, with networks as large as the stand-ins."""
    import yaml

    shutil.copytree(upstream, tree, ignore=shutil.ignore_patterns(".git"))
    sizes = yaml.safe_load((weights / "models.yaml").read_text("utf-8"))
    side = sizes["model_params"].pop("input_side")
    config = yaml.safe_load((tree / "src/config/models.yaml").read_text("utf-8"))
    config["model_params"] |= sizes["model_params"]
    (tree / "src/config/models.yaml").write_text(yaml.safe_dump(config), "utf-8")
    for name, old, new in (
        ("config/inference_config.py", "= (256, 256)  # input shape", f"= ({side}, {side})  # input shape"),
        ("utils/cropper.py", "(256, 256)", f"({side}, {side})"),
        ("modules/dit_talking_head.py", "device='cuda'", "device='cpu'"),
        ("modules/common.py", "device='cuda'", "device='cpu'"),
        ("utils/filter.py", 'device = "cuda"', 'device = "cpu"'),
    ):
        path = tree / "src" / name
        text = path.read_text("utf-8")
        assert old in text, f"{name} is not what it was"
        path.write_text(text.replace(old, new), "utf-8")
    folder = tree / "pretrained_weights"
    folder.mkdir(exist_ok=True)
    for name in ("JoyVASA", "liveportrait", "insightface"):
        (folder / name).symlink_to(weights / name)
    return tree


def _write_hubert(weights: Path, tree: Path) -> None:
    """Write the weights of HuBERT that upstream's loader reads before the motion model's overwrite them."""
    from src.modules.hubert import HubertModel

    shape = HubertModel.config_class.from_pretrained(weights / "chinese-hubert-base")
    HubertModel(shape).save_pretrained(tree / "pretrained_weights/TencentGameMate:chinese-hubert-base")


def _patch(kept: list[Any]) -> None:
    """Let upstream's script use the CPU, seeded noise and pictures of 512 pixels, and keep its frames."""
    import functools

    import torch
    from src import live_portrait_wmg_pipeline as pipeline
    from src.modules.dit_talking_head import DitTalkingHead

    pipeline.Cropper = functools.partial(pipeline.Cropper, flag_force_cpu=True)
    pipeline.images2video = lambda frames, **_: kept.extend(frames)
    pipeline.add_audio_to_video = lambda *_: None
    wrapper = pipeline.LivePortraitWrapper
    decode, sample = wrapper.warp_decode, DitTalkingHead.sample
    noise = torch.Generator().manual_seed(SEED)

    def enlarged(self: Any, *given: Any, **named: Any) -> Any:
        made = decode(self, *given, **named)
        made["out"] = torch.nn.functional.interpolate(
            made["out"].float(), (512, 512), mode="bilinear", align_corners=False
        )
        return made

    def seeded(self: Any, *given: Any, **named: Any) -> Any:
        randn, randn_like = torch.randn, torch.randn_like
        torch.randn = lambda *size, **_: randn(*size, generator=noise)
        torch.randn_like = lambda value, **_: randn(value.shape, generator=noise)
        try:
            return sample(self, *given, **named)
        finally:
            torch.randn, torch.randn_like = randn, randn_like

    wrapper.warp_decode, DitTalkingHead.sample = enlarged, seeded
