"""Stand-in weights of the right shape, for `faceorch smoke`: random networks that run, and know nothing."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mediapipe
import numpy as np
import onnx
import torch
from diffusers import AutoencoderKL
from hallo.models.audio_proj import AudioProjModel
from hallo.models.face_locator import FaceLocator
from hallo.models.image_proj import ImageProjModel
from hallo.models.unet_2d_condition import UNet2DConditionModel
from onnx import TensorProto, helper, numpy_helper
from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2Model

from . import models
from .sizes import FULL, TINY, Sizes, unet

_LAYERS = 12  # of wav2vec2: as many layers as a frame's sound has


def make(weights: Path, *, full: bool) -> None:
    """Write every file of weights.yaml; `full`: in the real sizes (5.3 GB), otherwise as small as can be."""
    write(weights, FULL if full else TINY)


def write(weights: Path, sizes: Sizes) -> None:
    """Write every file of weights.yaml for networks of these sizes."""
    torch.manual_seed(0)
    shape = unet(sizes)
    _new(weights / models.UNET).write_text(json.dumps(shape, indent=2), "utf-8")
    torch.save(dict(_trained(shape, sizes)), _new(weights / models.NET))
    _vae(sizes).save_pretrained(weights / models.VAE)
    _wav2vec(weights / models.WAV2VEC, sizes)
    _landmarker(_new(weights / models.LANDMARKER))
    _detector(_new(weights / models.DETECTOR))
    _identity(_new(weights / models.IDENTITY))
    _separator(weights)


def _new(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _trained(shape: dict[str, Any], sizes: Sizes) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the tensors of all five networks, in fp16, one network in memory at a time."""
    builders: dict[str, Callable[[], Any]] = {
        "reference_unet": lambda: UNet2DConditionModel.from_config(dict(shape)),
        "denoising_unet": lambda: models.denoiser(shape, sizes.sound),
        "face_locator": lambda: FaceLocator(conditioning_embedding_channels=sizes.channels[0]),
        "imageproj": lambda: ImageProjModel(sizes.tokens, models.IDENTITY_VALUES, 4),
        "audioproj": lambda: AudioProjModel(
            models.WINDOW, _LAYERS, sizes.sound, sizes.sound_middle, sizes.sound, context_tokens=32
        ),
    }
    for name, build in builders.items():
        network = build()
        for key, value in network.state_dict().items():
            # Layers that begin at zero would keep sound, motion and face from having any effect.
            if value.is_floating_point() and value.dim() > 1 and not value.any():
                torch.nn.init.normal_(value, std=0.02)
            yield f"{name}.{key}", value.half()


def _vae(sizes: Sizes) -> Any:
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=sizes.vae,
        layers_per_block=sizes.vae_layers,
        latent_channels=4,
        sample_size=256,
    )


def _wav2vec(folder: Path, sizes: Sizes) -> None:
    config = Wav2Vec2Config(
        hidden_size=sizes.sound,
        num_hidden_layers=_LAYERS,
        num_attention_heads=12 if sizes.sound % 12 == 0 else 4,
        intermediate_size=sizes.hearing_middle,
        conv_dim=(sizes.hearing,) * 7,
        num_conv_pos_embeddings=128 if sizes == FULL else 16,
        num_conv_pos_embedding_groups=16 if sizes == FULL else 4,
        apply_spec_augment=False,
    )
    Wav2Vec2Model(config).save_pretrained(folder)
    Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=False).save_pretrained(folder)


def _landmarker(path: Path) -> None:
    """The older models inside the mediapipe wheel, packed as its landmarker wants them: they find real faces."""
    modules = Path(mediapipe.__file__).parent / "modules"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as packed:
        packed.write(modules / "face_detection/face_detection_short_range.tflite", "face_detector.tflite")
        packed.write(modules / "face_landmark/face_landmark.tflite", "face_landmarks_detector.tflite")


def _save(path: Path, nodes: list[Any], inputs: list[Any], outputs: list[Any], constants: dict[str, Any]) -> None:
    stored = [numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "stand-in", inputs, outputs, stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=7)
    onnx.checker.check_model(model)
    onnx.save(model, str(_new(path)))


def _value(name: str, shape: list[Any]) -> Any:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def _detector(path: Path) -> None:
    """One face in the middle of every picture."""
    side = 640
    constants: dict[str, Any] = {"nothing": np.zeros(())}
    nodes: list[Any] = []
    outputs: list[Any] = []
    # The detector must take its input, or onnxruntime drops it.
    nodes.append(helper.make_node("ReduceMean", ["input.1"], ["mean"], keepdims=0))
    nodes.append(helper.make_node("Mul", ["mean", "nothing"], ["zero"]))
    marks = [-2, -2, 2, -2, 0, 0, -1.5, 2, 1.5, 2]
    for name, width, face in (("score", 1, [0.9]), ("box", 4, [5.0] * 4), ("marks", 10, marks)):
        for stride in (8, 16, 32):
            value = np.zeros((2 * (side // stride) ** 2, width))
            if stride == 32:
                value[2 * ((side // 32) * (side // 64) + side // 64)] = face
            constants[f"{name}_{stride}_is"] = value
            nodes.append(helper.make_node("Add", [f"{name}_{stride}_is", "zero"], [f"{name}_{stride}"]))
            outputs.append(_value(f"{name}_{stride}", list(value.shape)))
    _save(path, nodes, [_value("input.1", [1, 3, "h", "w"])], outputs, constants)


def _identity(path: Path) -> None:
    """512 values out of the means of 49 squares of a face."""
    nodes = [
        helper.make_node("AveragePool", ["input.1"], ["means"], kernel_shape=[16, 16], strides=[16, 16]),
        helper.make_node("Flatten", ["means"], ["flat"]),
        helper.make_node("Gemm", ["flat", "matrix"], ["683"]),
    ]
    matrix = np.random.default_rng(0).normal(0, 0.1, (147, models.IDENTITY_VALUES))
    _save(path, nodes, [_value("input.1", ["n", 3, 112, 112])], [_value("683", ["n", 512])], {"matrix": matrix})


def _separator(weights: Path) -> None:
    """A separator that calls everything a voice, and the lists in which its package looks it up."""
    path, shape = weights / models.SEPARATOR, ["batch", 4, 3072, 256]
    nodes = [helper.make_node("Mul", ["input", "one"], ["output"])]
    _save(path, nodes, [_value("input", shape)], [_value("output", shape)], {"one": np.ones(())})
    known = {
        "compensate": 1.009,
        "mdx_dim_f_set": 3072,
        "mdx_dim_t_set": 8,
        "mdx_n_fft_scale_set": 7680,
        "primary_stem": "Vocals",
    }
    kinds = ("vr", "mdx", "mdx_vip", "demucs", "mdx23", "mdx23c", "mdx23c_vip", "roformer")
    listed: dict[str, Any] = {f"{_list_name(kind)}_list": {} for kind in kinds}
    listed["mdx_download_list"] = {"MDX-Net Model: Kim Vocal 2": path.name}
    contents = {
        "download_checks": listed,
        "mdx_model_data": {hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest(): known},
        "vr_model_data": {},
    }
    for name in models.SEPARATOR_LISTS:
        (weights / name).write_text(json.dumps(contents[Path(name).stem]), "utf-8")


def _list_name(kind: str) -> str:
    stem, _, vip = kind.partition("_")
    return f"{stem}_download{'_' + vip if vip else ''}"
