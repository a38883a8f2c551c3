"""Stand-in weights: upstream's own networks with random values, and a detector and landmarks that find a face.

What a network's values are decides neither how long it runs nor what memory it takes. But without a face nothing would
run at all, so that the detector and the landmark network are set by hand: they find one, as `make` says.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import yaml
from facexlib.detection.retinaface import RetinaFace
from facexlib.parsing.parsenet import ParseNet
from safetensors.torch import save_file
from spandrel.architectures.GFPGAN import GFPGAN
from src.audio2exp_models.networks import SimpleWrapperV2
from src.audio2pose_models.audio2pose import Audio2Pose
from src.face3d.models import networks
from src.face3d.util.my_awing_arch import FAN
from src.facerender.modules.generator import OcclusionAwareSPADEGenerator
from src.facerender.modules.keypoint_detector import KPDetector
from src.facerender.modules.mapping import MappingNet
from torch import nn
from yacs.config import CfgNode

from .files import (
    DETECTOR,
    DIMENSIONS,
    LANDMARKS,
    MAPPING_CROP,
    MAPPING_FULL,
    PARSER,
    RESTORER,
    Dimensions,
    main_file,
)
from .upstream import config

# The decoder's width is fixed in upstream's code; its side is not.
_TINY = Dimensions(
    side=32,
    keypoints={"num_blocks": 2, "reshape_channel": 2048},
    flow={"num_blocks": 2},
    restorer={"narrow": 0.0625},
    parser={"base_ch": 4, "ch_range": [4, 16], "res_depth": 1},
)
_COEFFICIENT = 0.002  # of the layers that end the face reconstruction: small, and not the same for two portraits
_NOISE = 0.5  # how strongly the restorer shows its noise, so that a seed can be seen


def make(weights: Path, *, full: bool) -> None:
    """Write what a smoke test reads: networks in their true dimensions when `full`, otherwise as small as they can be.

    Without `full` the detector takes the middle of a picture of 128 pixels for a face, whatever it shows. With it, what
    lies above a dark patch of about 200 pixels, such as the collar of the demo's portrait at 1024 pixels.
    """
    torch.manual_seed(0)
    small = Dimensions() if full else _TINY
    if not full:
        weights.mkdir(parents=True, exist_ok=True)
        (weights / DIMENSIONS).write_text(json.dumps(asdict(small)), "utf-8")
    main = main_file(512 if full else 256)
    for name in (DETECTOR, main):
        (weights / name).parent.mkdir(parents=True, exist_ok=True)
    save_file(_five_networks(small), weights / main)
    for name, file in ((MAPPING_FULL, "facerender_still.yaml"), (MAPPING_CROP, "facerender.yaml")):
        mapping = MappingNet(**_model(file)["mapping_params"])
        torch.save({"mapping": mapping.state_dict(), "epoch": 0}, weights / name)
    detector = RetinaFace("resnet50", device="cpu")
    with torch.no_grad():
        _silence(detector)
        (_find_above_a_dark_patch if full else _find_the_middle)(detector)
    torch.save(detector.state_dict(), weights / DETECTOR)
    torch.save({"state_dict": _landmarks().state_dict()}, weights / LANDMARKS)
    torch.save(ParseNet(in_size=512, out_size=512, parsing_ch=19, **small.parser).state_dict(), weights / PARSER)
    restorer = GFPGAN(**small.restorer)
    with torch.no_grad():
        for name, value in restorer.named_parameters():
            if name.endswith("weight") and value.numel() == 1:
                value.fill_(_NOISE)
    torch.save({"params_ema": restorer.state_dict()}, weights / RESTORER)


def _model(file: str) -> dict[str, Any]:
    return dict(yaml.safe_load(config(file).read_text("utf-8"))["model_params"])


def _five_networks(small: Dimensions) -> dict[str, torch.Tensor]:
    """Return the tensors of the main file; its five networks keep their names as prefixes."""
    model = small.renderer(_model("facerender_still.yaml"))
    common = model["common_params"]
    poses = CfgNode(yaml.safe_load(config("auido2pose.yaml").read_text("utf-8")))
    root = nn.ModuleDict(
        {
            "kp_extractor": KPDetector(**model["kp_detector_params"], **common),
            "generator": OcclusionAwareSPADEGenerator(**model["generator_params"], **common),
            "audio2exp": SimpleWrapperV2(),
            "audio2pose": Audio2Pose(poses, None, "cpu"),
            "face_3drecon": networks.define_net_recon("resnet50", use_last_fc=False, init_path=""),
        }
    )
    with torch.no_grad():
        # Upstream builds them as zeros: every portrait would have the same coefficients, all 0.
        for layer in root["face_3drecon"].final_layers:
            for value in layer.parameters():
                value.normal_(0.0, _COEFFICIENT)
    return {name: value.contiguous() for name, value in root.state_dict().items()}


def _silence(network: nn.Module) -> None:
    """Set every parameter to 0 and every normalisation to do nothing."""
    for value in network.parameters():
        value.zero_()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.fill_(1.0)


def _face_shape(
    net: RetinaFace,
    level: int,
    anchor: int,
    anchor_px: float,
    box_px: float,
    aside_px: float = 0.0,
    lift_px: float = 0.0,
) -> None:
    """Let one anchor describe a face of `box_px`, moved from the anchor's middle to the right and up."""
    step = 0.1 * anchor_px  # both offsets and points are in tenths of the anchor
    bias = net.BboxHead[level].conv1x1.bias
    bias[4 * anchor] = aside_px / step
    bias[4 * anchor + 1] = -lift_px / step
    bias[4 * anchor + 2 : 4 * anchor + 4] = math.log(box_px / anchor_px) / 0.2
    # Eyes, nose and corners of the mouth, in parts of the box.
    at = np.array([[-0.19, -0.15], [0.19, -0.15], [0.0, 0.04], [-0.15, 0.25], [0.15, 0.25]], np.float32) * box_px
    at += np.array([aside_px, -lift_px], np.float32)
    net.LandmarkHead[level].conv1x1.bias[10 * anchor : 10 * anchor + 10] = torch.from_numpy((at / step).reshape(-1))


def _fire(net: RetinaFace, level: int, anchor: int, channel: int, gain: float, threshold: float) -> None:
    """Let one anchor of one level say `face` where `channel` is above `threshold`, and all others never."""
    for classes in net.ClassHead:
        classes.conv1x1.bias[0::2] = 20.0
        classes.conv1x1.bias[1::2] = -20.0
    scores = net.ClassHead[level].conv1x1
    scores.bias[2 * anchor] = 0.0
    scores.weight[2 * anchor + 1, channel] = gain
    scores.bias[2 * anchor + 1] = -gain * threshold


def _averages(convolutions: list[nn.Conv2d]) -> None:
    """Let each convolution average the first channel over 3x3; beyond the picture's edge lies 0."""
    for convolution in convolutions:
        convolution.weight[0, 0].fill_(1 / 9)


def _find_the_middle(net: RetinaFace) -> None:
    """Find one face of 96 pixels in the middle of a picture of 128.

    A constant on the map of stride 16, 8x8 cells, is averaged over 8x8 of them; beyond the edge lies 0, so that only
    one cell keeps the whole.
    """
    net.fpn.output2[1].bias[0] = 1.0
    net.fpn.merge2[0].weight[0, 0, :2, :2] = 1 / 4
    ssh = net.ssh2
    _averages([ssh.conv5X5_1[0], ssh.conv7X7_2[0], ssh.conv7x7_3[0]])
    _fire(net, level=1, anchor=1, channel=192, gain=800.0, threshold=0.99)
    _face_shape(net, level=1, anchor=1, anchor_px=128.0, box_px=96.0)


def _find_above_a_dark_patch(net: RetinaFace) -> None:
    """Find one face of 320 pixels above a large dark patch.

    The backbone only hands on how dark the picture is; the map of stride 32 is averaged three times, and where the
    average is high, the patch is as large as its 7x7 cells.
    """
    body = net.body
    body["conv1"].weight[0].fill_(-1 / (3 * 49 * 100.0))
    body["bn1"].bias[0] = -0.5
    for layer in ("layer1", "layer2", "layer3", "layer4"):
        body[layer][0].downsample[0].weight[0, 0] = 1.0
    net.fpn.output3[0].weight[0, 0] = 1.0
    ssh = net.ssh3
    _averages([ssh.conv5X5_1[0], ssh.conv7X7_2[0], ssh.conv7x7_3[0]])
    _fire(net, level=2, anchor=0, channel=192, gain=150.0, threshold=0.55)
    _face_shape(net, level=2, anchor=0, anchor_px=256.0, box_px=320.0, aside_px=-48.0, lift_px=310.0)


def _landmarks() -> FAN:
    """Return a landmark network that finds the same face in any picture, 64 heatmap pixels wide.

    Its last hourglass passes the coordinates of each pixel on. The heatmap of a point at (x, y) is minus the distance
    along both axes, |column - x| + |row - y|, made of one pair of rectifiers for every column and row that is used.
    """
    fan = FAN(num_modules=4, num_landmarks=98, device="cpu").eval()
    with torch.no_grad():
        _silence(fan)
        passed = fan.m3.coordconv.conv.weight
        passed[0, 256] = passed[1, 257] = 1.0
        seen: list[torch.Tensor] = []
        hook = fan.top_m_3.register_forward_hook(lambda _module, _given, out: seen.append(out))
        fan(torch.zeros(1, 3, 256, 256))
        hook.remove()
        first, second = seen[0][0][:2]
        across = first[0, 0] != first[0, -1]  # which of the two channels grows from left to right
        columns, rows = (first[0], second[:, 0]) if across else (second[0], first[:, 0])
        channels: dict[tuple[bool, int], list[int]] = {}
        for point, (x, y) in enumerate(_template()):
            for is_column, at in ((True, int(x)), (False, int(y))):
                if (is_column, at) not in channels:
                    source = 0 if is_column == bool(across) else 1
                    value = (columns if is_column else rows)[at]
                    used = 2 * len(channels)
                    channels[is_column, at] = [used, used + 1]
                    for channel, sign in zip((used, used + 1), (1.0, -1.0), strict=True):
                        fan.conv_last3.weight[channel, source] = sign
                        fan.conv_last3.bias[channel] = -sign * value
                fan.l3.weight[point, channels[is_column, at]] = -1.0
    return fan


def _template() -> npt.NDArray[np.int64]:
    """Return 98 points of a face in the order of WFLW: contour, brows, nose, eyes, mouth, pupils."""
    half = np.linspace(math.pi, 0.0, 33)
    contour = np.c_[32 + 24 * np.cos(half), 26 + 32 * np.sin(half)]
    brow = np.array([[12, 17], [15, 15], [18, 14], [21, 14], [25, 15], [25, 17], [21, 16], [18, 16], [15, 17]])
    other = np.array([[39, 15], [43, 14], [46, 14], [49, 15], [52, 17], [49, 17], [46, 16], [43, 16], [39, 17]])
    nose = np.array([[32, 24], [32, 28], [32, 32], [32, 36], [27, 39], [29, 40], [32, 41], [35, 40], [37, 39]])
    left, right = np.array([21, 24]), np.array([43, 24])
    eye = np.array([[-6, 0], [-4, -2], [0, -3], [4, -2], [6, 0], [4, 2], [0, 3], [-4, 2]])
    lips = np.linspace(math.pi, 3 * math.pi, 13)[:12]
    inner = np.linspace(math.pi, 3 * math.pi, 9)[:8]
    mouth = np.r_[
        np.c_[32 + 10 * np.cos(lips), 48 + 4 * np.sin(lips)], np.c_[32 + 7 * np.cos(inner), 48 + 2 * np.sin(inner)]
    ]
    points = np.r_[contour, brow, other, nose, eye + left, eye + right, mouth, [left, right]]
    return np.asarray(np.clip(np.rint(points), 2, 61), np.int64)
