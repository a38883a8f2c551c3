"""Stand-in weights of the right shape, for `faceorch smoke`: random networks that run, and know nothing."""

from __future__ import annotations

import argparse
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
import yaml
from onnx import TensorProto, helper, numpy_helper
from src.config import base_config
from src.modules.stitching_retargeting_network import StitchingRetargetingNetwork

from . import crop, models

# The smallest networks that upstream's classes can be. Rules of theirs: max_features = reshape_channel * reshape_depth,
# and what the warping network puts out is what the decoder takes in.
_TINY: dict[str, Any] = {
    "input_side": 64,
    "appearance_feature_extractor_params": {
        "image_channel": 3,
        "block_expansion": 8,
        "num_down_blocks": 2,
        "max_features": 16,
        "reshape_channel": 4,
        "reshape_depth": 4,
        "num_resblocks": 1,
    },
    "motion_extractor_params": {"num_kp": 21, "backbone": "convnextv2_tiny"},
    "warping_module_params": {
        "num_kp": 21,
        "block_expansion": 4,
        "max_features": 16,
        "num_down_blocks": 2,
        "reshape_channel": 4,
        "estimate_occlusion_map": True,
        "dense_motion_params": {
            "block_expansion": 4,
            "max_features": 16,
            "num_blocks": 2,
            "reshape_depth": 4,
            "compress": 2,
        },
    },
    "spade_generator_params": {
        "upscale": 2,
        "block_expansion": 4,
        "max_features": 16,
        "num_down_blocks": 2,
        "out_channels": 8,
    },
    "stitching_retargeting_module_params": {
        "stitching": {"input_size": 126, "hidden_sizes": [16], "output_size": 65},
        "lip": {"input_size": 65, "hidden_sizes": [16], "output_size": 63},
        "eye": {"input_size": 66, "hidden_sizes": [16], "output_size": 63},
    },
}
# What the released motion model says of itself, but for its name and place; the tiny one has shorter windows.
_MOTION = {"feature_dim": 256, "n_motions": 100, "n_prev_motions": 10, "n_diff_steps": 50}
_TINY_MOTION = {"feature_dim": 16, "n_motions": 10, "n_prev_motions": 2, "n_diff_steps": 50}
_HUBERT = {"conv_dim": [512] * 7, "num_hidden_layers": 12, "intermediate_size": 3072, "num_conv_pos_embeddings": 128}
_TINY_HUBERT = {"conv_dim": [32] * 7, "num_hidden_layers": 1, "intermediate_size": 64, "num_conv_pos_embeddings": 16}


def make(weights: Path, *, full: bool) -> None:
    """Write every file of weights.yaml; `full`: in the real sizes (1.3 GB), otherwise as small as can be."""
    torch.manual_seed(0)
    sizes = _TINY
    if full:
        sizes = yaml.safe_load(Path(base_config.__file__).with_name(models.SIZES).read_text("utf-8"))["model_params"]
    else:
        _new(weights / models.SIZES).write_text(yaml.safe_dump({"model_params": sizes}), "utf-8")
    _renderer(weights, sizes)
    _motion(weights, full)
    _template(weights)
    _landmarks(weights / crop.LANDMARKS)
    _detector(weights / crop.INSIGHTFACE / "models/buffalo_l/det_10g.onnx")
    _landmarks106(weights / crop.INSIGHTFACE / "models/buffalo_l/2d106det.onnx")


def _new(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _renderer(weights: Path, sizes: dict[str, Any]) -> None:
    for name, kind in models.BASE_MODELS.items():
        model = kind(**sizes[f"{name}_params"])
        torch.save(model.state_dict(), _new(weights / models.BASE / f"{name}.pth"))
    parts = {"retarget_shoulder": "stitching", "retarget_mouth": "lip", "retarget_eye": "eye"}
    packed = {}
    for name, size in parts.items():
        small = StitchingRetargetingNetwork(**sizes["stitching_retargeting_module_params"][size])
        with torch.no_grad():
            for parameter in small.parameters():
                parameter.mul_(0.1)
        packed[name] = {f"module.{key}": value for key, value in small.state_dict().items()}
    torch.save(packed, _new(weights / models.STITCHING))


def _motion(weights: Path, full: bool) -> None:
    # The projection behind HuBERT takes 768 values, and its strides make 50 frames a second: both must stay.
    config = {
        "model_type": "hubert",
        "hidden_size": 768,
        "num_attention_heads": 12,
        **(_HUBERT if full else _TINY_HUBERT),
    }
    _new(weights / models.HUBERT).write_text(json.dumps(config, indent=2), "utf-8")
    sizes = {"motion_feat_dim": 73, "audio_model": "hubert_zh_ori", **(_MOTION if full else _TINY_MOTION)}
    network = models.MotionModel(config, device="cpu", **sizes)
    # As in the released file, the arguments hold a path, which torch's `weights_only` refuses.
    said = argparse.Namespace(**sizes, fps=25, pad_mode="zero", use_indicator=True, data_root=Path("data"))
    checkpoint = {"args": said, "model": network.state_dict(), "iter": 0}
    torch.save(checkpoint, _new(weights / models.MOTION))


def _template(weights: Path) -> None:
    values = {"mean_exp": np.zeros(63, np.float32), "std_exp": np.full(63, 0.01, np.float32)}
    ranges = {
        "scale": (1, 1.0, 1.6),
        "t": (3, -0.1, 0.1),
        "pitch": (1, -15, 15),
        "yaw": (1, -20, 20),
        "roll": (1, -10, 10),
    }
    for name, (count, low, high) in ranges.items():
        values[f"min_{name}"] = np.full(count, low, np.float32)
        values[f"max_{name}"] = np.full(count, high, np.float32)
    with _new(weights / models.TEMPLATE).open("wb") as file:
        pickle.dump(values, file)


def _save(path: Path, nodes: list[Any], inputs: list[Any], outputs: list[Any], constants: dict[str, Any]) -> None:
    stored = [numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "stand-in", inputs, outputs, stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=7)
    onnx.checker.check_model(model)
    onnx.save(model, str(_new(path)))


def _value(name: str, shape: list[Any]) -> Any:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def _constant(path: Path, name: str, shape: list[Any], outputs: dict[str, Any]) -> None:
    """Write a network that says the same of every picture."""
    nodes = [helper.make_node("Identity", [f"{key}_is"], [key]) for key in outputs]
    shapes = [_value(key, list(np.shape(value))) for key, value in outputs.items()]
    _save(path, nodes, [_value(name, shape)], shapes, {f"{key}_is": value for key, value in outputs.items()})


def _landmarks(path: Path) -> None:
    """LivePortrait's 203 points, where a face lies in the crop that the model gets."""
    points = np.random.default_rng(0).uniform((0.17, 0.27), (0.83, 0.93), (203, 2))
    for first, last, x, y, wide, high in (
        (0, 24, 0.36, 0.42, 0.07, 0.025),
        (24, 48, 0.64, 0.42, 0.07, 0.025),
        (48, 84, 0.50, 0.75, 0.12, 0.05),
        (84, 108, 0.50, 0.75, 0.09, 0.01),
    ):
        turn = np.pi - 2 * np.pi * np.arange(last - first) / (last - first)
        points[first:last] = np.stack([x + wide * np.cos(turn), y - high * np.sin(turn)], axis=1)
    points[108:112] = (0.17, 0.27), (0.83, 0.27), (0.17, 0.93), (0.83, 0.93)
    unused = np.zeros((1, 10))
    _constant(path, "input", ["n", 3, 224, 224], {"a": unused, "b": unused, "points": points.reshape(1, 406)})


def _landmarks106(path: Path) -> None:
    """insightface's 106 points, in -1..1 of the crop that the model gets."""
    across, down = np.meshgrid(np.linspace(-0.5, 0.5, 11), np.linspace(-0.5, 0.5, 10))
    points = np.stack([across, down], axis=-1).reshape(-1, 2)[:106]
    points[[33, 35, 40, 39]], points[[87, 89, 94, 93]] = (-0.2, -0.2), (0.2, -0.2)
    points[52], points[61] = (-0.15, 0.25), (0.15, 0.25)
    _constant(path, "data", ["n", 3, 192, 192], {"points": points.reshape(1, 212)})


def _detector(path: Path) -> None:
    """insightface's detector: one face in the middle of every picture that is not black."""
    side, constants, nodes, outputs = 512, {"dark": -0.9}, [], []
    nodes.append(helper.make_node("ReduceMax", ["input.1"], ["brightest"], keepdims=0))
    nodes.append(helper.make_node("Greater", ["brightest", "dark"], ["lit"]))
    nodes.append(helper.make_node("Cast", ["lit"], ["on"], to=TensorProto.FLOAT))
    rows = {stride: 2 * (side // stride) ** 2 for stride in (8, 16, 32)}
    scores = {stride: np.zeros((count, 1)) for stride, count in rows.items()}
    scores[32][2 * ((side // 32) * (side // 64) + side // 64)] = 0.9
    marks = [-1, -1, 1, -1, 0, 0, -1, 1, 1, 1]
    for name, values in (
        ("score", scores),
        ("box", {stride: np.full((count, 4), 3.0) for stride, count in rows.items()}),
        ("marks", {stride: np.tile(marks, (count, 1)) for stride, count in rows.items()}),
    ):
        for stride, value in values.items():
            constants[f"{name}_{stride}_is"] = value  # type: ignore[assignment]
            kind, inputs = (
                ("Mul", [f"{name}_{stride}_is", "on"]) if name == "score" else ("Identity", [f"{name}_{stride}_is"])
            )
            nodes.append(helper.make_node(kind, inputs, [f"{name}_{stride}"]))
            outputs.append(_value(f"{name}_{stride}", list(value.shape)))
    _save(path, nodes, [_value("input.1", [1, 3, "h", "w"])], outputs, constants)
