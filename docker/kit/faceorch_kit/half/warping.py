"""The network that moves a portrait's features along keypoints, in half precision: LivePortrait's and SadTalker's.

Every keypoint would move them its own way, and an hourglass network decides which of them to believe where (Wang et al.
2021, "One-Shot Free-View Neural Talking-Head Synthesis", which both follow). Keypoints, places and shares stay fp32,
features and networks are fp16, in steps that suit a GPU's matrix units: batch norms are part of the convolutions before
them, channels are filled up to eights, and a convolution with few outputs is one of pictures, with the outputs of all
its layers side by side, and a sum. On a CPU the same steps run in fp32.
"""

from __future__ import annotations

import copy
import ctypes
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch.nn import functional

from faceorch_kit.finite import only_of_finite
from faceorch_kit.nvrtc import kernels_of, prepare
from faceorch_runner import RunnerError

from . import SOURCE

_VARIANCE = 0.01  # of the spot around a keypoint, upstream's
_FEW = 64  # outputs: with fewer, a matrix unit's tile is half empty
# As kernels.cu has them.
_PLACES, _ROW, _MOST_KINDS, _MOST_KNOWN, _THREADS = 8, 64, 64, 8, 256


class _Whole(NamedTuple):
    """A convolution of volumes: weight (out, in, depth, height, width), bias (out)."""

    weight: torch.Tensor
    bias: torch.Tensor


class _Sliced(NamedTuple):
    """The same as one of pictures: weight (depth * out, in, height, width), bias (out) in fp32."""

    weight: torch.Tensor
    bias: torch.Tensor


class Warp:
    """The warping network of one portrait at a time.

    `network` has upstream's parts `dense_motion_network`, `third` and `fourth`; keypoints whose share in a place is
    less than `least` do not count there.
    """

    def __init__(self, network: Any, device: torch.device, *, least: float = 0.0) -> None:
        if device.type == "cuda":
            prepare(SOURCE)
        self._dtype = torch.float16 if device.type == "cuda" else torch.float32
        dense = network.dense_motion_network
        encoder, decoder = dense.hourglass.encoder, dense.hourglass.decoder
        self._least = least
        self._compress, self._norm = copy.deepcopy(dense.compress), copy.deepcopy(dense.norm)
        self._kinds = int(dense.num_kp) + 1
        known = int(dense.compress.out_channels)
        if self._kinds > _MOST_KINDS or known > _MOST_KNOWN:
            raise RunnerError("the warping network is larger than the kernels of speed=tuned take: set speed to exact")
        # What each layer is given, in parts that are filled up to eights one by one.
        parts = [self._kinds * (1 + known)]
        beside = [parts]
        self._downs, self._ups = [], []
        for block in encoder.down_blocks:
            self._downs.append(self._layer(block.conv, block.norm, parts))
            parts = [block.conv.out_channels]
            beside.append(parts)
        beside.pop()
        for block in decoder.up_blocks:
            self._ups.append(self._layer(block.conv, block.norm, parts))
            parts = [block.conv.out_channels, *beside.pop()]
        self._last = self._layer(decoder.conv, decoder.norm, parts)
        parts = [decoder.conv.out_channels]
        self._mask = self._sliced(dense.mask.weight, dense.mask.bias, parts)
        depth = dense.occlusion.in_channels // parts[0]
        # What a place contributes goes to those around it, so the other way round than a convolution looks.
        weight = dense.occlusion.weight[0].float().unflatten(0, (parts[0], depth)).flatten(2).flip(2)
        self._hidden = _filled(_filled(weight, 0), 2).transpose(0, 1).to(self._dtype)  # (depth, in, places around)
        self._hidden_bias, self._side = dense.occlusion.bias, int(dense.occlusion.kernel_size[0])
        weight, bias = _with_norm(network.third.conv, network.third.norm)
        channels = weight.shape[1] // depth
        weight = _filled(weight.unflatten(1, (channels, depth)), 1).transpose(1, 2).flatten(1, 2)
        self._third = self._rows(weight), bias.to(self._dtype)
        self._fourth = self._rows(network.fourth.weight), network.fourth.bias.to(self._dtype)
        self._slope = float(network.third.ac.negative_slope)

    def __call__(self, volume: torch.Tensor, still: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
        """Return the moved features (n, channels, height, width), for the decoder.

        `volume` (1, channels, depth, height, width) and `still` (1, keypoints, 3) are the portrait's, `points` (n,
        keypoints, 3) those of the frames, in -1..1: right, down, in.
        """
        with torch.autocast(volume.device.type, enabled=False):
            still, points = still[0].float().contiguous(), points.float().contiguous()
            seen = functional.relu(self._norm(self._compress(volume.float())))[0].to(self._dtype)
            x = self._hourglass(_inputs(seen, still, points))
            features = self._moved(_pictures(x, self._mask.weight), volume[0].to(self._dtype), still, points)
            features = functional.leaky_relu_(functional.conv2d(features, *self._third, padding=1), self._slope)
            return functional.conv2d(features, *self._fourth) * self._shown(x)

    def _hourglass(self, x: torch.Tensor) -> torch.Tensor:
        kept = [x]
        for layer in self._downs:
            x = _volumes(functional.avg_pool2d(_planes(_convolved(x, layer)), 2), len(x))
            kept.append(x)
        kept.pop()
        for layer in self._ups:
            x = _volumes(functional.interpolate(_planes(x), scale_factor=2, mode="nearest"), len(x))
            x = torch.cat([_convolved(x, layer), kept.pop()], dim=1)
        return _convolved(x, self._last)

    def _shown(self, x: torch.Tensor) -> torch.Tensor:
        """Return how much of each place is shown (n, 1, height, width): upstream's occlusion map.

        Its convolution has one output: a matrix product for each layer, whose results are added where they belong.
        """
        size, side = x.shape[3:], self._side
        found = torch.matmul(x.permute(0, 2, 3, 4, 1).flatten(2, 3), self._hidden).sum(1, dtype=torch.float32)
        hidden = functional.fold(found[..., : side * side].transpose(1, 2), size, side, padding=side // 2)
        return torch.sigmoid(hidden + self._hidden_bias.float()[:, None, None]).to(self._dtype)

    def _moved(
        self, masks: torch.Tensor, volume: torch.Tensor, still: torch.Tensor, points: torch.Tensor
    ) -> torch.Tensor:
        """Return the portrait's `volume` (channels, depth, height, width) moved as the softmax of the masks has it.

        The masks come as slices. The result (n, depth * channels, height, width) is filled up to eights of channels.
        """
        n, bias, volume = len(points), self._mask.bias, _filled(volume, 0)
        size, channels, wide = volume.shape[1:], len(volume), len(bias)
        if not masks.is_cuda:
            shares = _summed(masks, bias, n)[:, : self._kinds].softmax(dim=1)[..., None]
            goal = (_moves(_grid(size, volume), still, points) * shares * (shares >= self._least)).sum(dim=1)
            there = functional.grid_sample(volume.expand(n, -1, -1, -1, -1), goal, align_corners=False)
            there = only_of_finite(there, goal)
            return there.transpose(1, 2).flatten(1, 2)
        depth, height, width = size
        y = torch.empty((n, height, width, depth * channels), dtype=volume.dtype, device=volume.device)
        kernels_of(SOURCE).launch(
            *("moved", (-(-height * width // _ROW), depth, n), _THREADS, masks.permute(0, 2, 3, 1), bias),
            *(volume.permute(1, 2, 3, 0).contiguous(), still, points, y, *size, self._kinds, wide),
            *(masks.shape[1] // wide, channels, self._least),
        )
        return y.permute(0, 3, 1, 2)

    def _layer(self, conv: Any, norm: Any, parts: Sequence[int]) -> _Whole | _Sliced:
        weight, bias = _with_norm(conv, norm)
        if len(weight) <= _FEW:
            return self._sliced(weight, bias, parts)
        weight = _filled(_spread(weight, parts), 0).to(self._dtype)
        return _Whole(weight.contiguous(memory_format=torch.channels_last_3d), _filled(bias, 0).to(self._dtype))

    def _sliced(self, weight: torch.Tensor, bias: torch.Tensor, parts: Sequence[int]) -> _Sliced:
        weight = _filled(_spread(weight.float(), parts), 0)
        return _Sliced(self._rows(weight.permute(2, 0, 1, 3, 4).flatten(0, 1)), _filled(bias.float(), 0))

    def _rows(self, weight: torch.Tensor) -> torch.Tensor:
        return weight.to(self._dtype).contiguous(memory_format=torch.channels_last)


def _with_norm(conv: Any, norm: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the weight and the bias of a convolution and the batch norm after it, in one and in fp32."""
    scale = norm.weight.float() * torch.rsqrt(norm.running_var.float() + norm.eps)
    weight = conv.weight.float() * scale.view(-1, *[1] * (conv.weight.dim() - 1))
    return weight, (conv.bias.float() - norm.running_mean.float()) * scale + norm.bias.float()


def _spread(weight: torch.Tensor, parts: Sequence[int]) -> torch.Tensor:
    """Return a weight (out, in, ...) for inputs whose parts are filled up to eights."""
    return torch.cat([_filled(part, 1) for part in weight.split(list(parts), dim=1)], dim=1)


def _filled(x: torch.Tensor, dim: int) -> torch.Tensor:
    """Return a tensor with zeros up to the next multiple of eight in one dimension."""
    more = list(x.shape)
    more[dim] = -x.shape[dim] % 8
    return torch.cat([x, x.new_zeros(more)], dim=dim) if more[dim] else x


def _planes(x: torch.Tensor) -> torch.Tensor:
    """Return volumes (n, channels, depth, height, width) as pictures (n * depth, channels, height, width)."""
    return x.permute(0, 2, 3, 4, 1).flatten(0, 1).permute(0, 3, 1, 2)


def _volumes(x: torch.Tensor, n: int) -> torch.Tensor:
    """Return the n volumes that pictures are the layers of."""
    return x.permute(0, 2, 3, 1).unflatten(0, (n, -1)).permute(0, 4, 1, 2, 3)


def _convolved(x: torch.Tensor, layer: _Whole | _Sliced) -> torch.Tensor:
    """Return the ReLU of a convolution that keeps the size of volumes (n, channels, depth, height, width)."""
    if isinstance(layer, _Sliced):
        return _gathered(_pictures(x, layer.weight), layer, len(x))
    padding = [side // 2 for side in layer.weight.shape[2:]]
    if not x.is_cuda:
        return functional.relu(functional.conv3d(x, layer.weight, layer.bias, padding=padding))
    # One kernel; torch's own conv3d adds the bias in a second and bends in a third.
    return torch.cudnn_convolution_relu(x, layer.weight, layer.bias, (1, 1, 1), padding, (1, 1, 1), 1)


def _pictures(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Return what every layer contributes to those around it (n * depth, layers around * out, height, width)."""
    return functional.conv2d(_planes(x), weight, padding=[side // 2 for side in weight.shape[2:]])


def _gathered(slices: torch.Tensor, layer: _Sliced, n: int) -> torch.Tensor:
    """Return the ReLU of the sums of `slices` over the layers around each, (n, out, depth, height, width)."""
    out = len(layer.bias)
    taps, size = slices.shape[1] // out, slices.shape[2:]
    if not slices.is_cuda:
        return functional.relu(_summed(slices, layer.bias, n))
    depth = len(slices) // n
    y = torch.empty((n, depth, *size, out), dtype=slices.dtype, device=slices.device)
    eights = y.numel() // 8
    kernels_of(SOURCE).launch(
        *("gather", (-(-eights // _THREADS),), _THREADS, slices.permute(0, 2, 3, 1), layer.bias, y),
        *(ctypes.c_longlong(eights), depth, size.numel(), taps, out),
    )
    return y.permute(0, 4, 1, 2, 3)


def _summed(slices: torch.Tensor, bias: torch.Tensor, n: int) -> torch.Tensor:
    """Return the sums of `slices` over the layers around each, plus bias (n, out, depth, height, width)."""
    each = slices.unflatten(1, (-1, len(bias))).unflatten(0, (n, -1))  # (n, depth, layers around, out, ...)
    depth, taps = each.shape[1:3]
    around = functional.pad(each, (0, 0, 0, 0, 0, 0, 0, 0, taps // 2, taps // 2))
    total = sum(around[:, tap : tap + depth, tap] for tap in range(taps))
    return (total + bias[:, None, None]).transpose(1, 2)


def _inputs(seen: torch.Tensor, still: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """Return what the hourglass is given (n, channels, depth, height, width), filled up to eights.

    For standing still, and for each keypoint: how much nearer it has come to each place, and what is there of `seen`
    (known, depth, height, width) if all moves as that keypoint does.
    """
    known, size, kinds = len(seen), seen.shape[1:], len(still) + 1
    if not seen.is_cuda:
        grid = _grid(size, seen)
        moves = _moves(grid, still, points).flatten(0, 1)  # (n * kinds, depth, height, width, 3)
        there = functional.grid_sample(seen.expand(len(moves), -1, -1, -1, -1), moves, align_corners=False)
        near = _near(grid, points) - _near(grid, still)
        heat = torch.cat([torch.zeros_like(near[:, :1]), near], dim=1)
        given = torch.cat([heat[:, :, None], there.unflatten(0, (-1, kinds))], dim=2)
        return _filled(given.flatten(1, 2), 1)
    channels = -(-kinds * (1 + known) // 8) * 8
    y = torch.empty((len(points), *size, channels), dtype=seen.dtype, device=seen.device)
    kernels_of(SOURCE).launch(
        *("inputs", (-(-size.numel() // _PLACES), len(points)), _THREADS),
        *(
            _filled(seen, 0).permute(1, 2, 3, 0).contiguous(),
            still,
            points,
            y,
            *size,
            kinds,
            known,
            channels,
            _VARIANCE,
        ),
        shared=_PLACES * channels * y.element_size(),
    )
    return y.permute(0, 4, 1, 2, 3)


def _grid(size: Sequence[int], like: torch.Tensor) -> torch.Tensor:
    """Return where each place lies (depth, height, width, 3): right, down, in, from -1 to 1."""
    sides = [torch.linspace(-1.0, 1.0, side, device=like.device) for side in size]
    return torch.stack(torch.meshgrid(*sides, indexing="ij")[::-1], dim=-1)


def _moves(grid: torch.Tensor, still: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """Return where each place comes from, if all stands still and for each keypoint (n, kinds, ..., 3)."""
    away = functional.pad(still - points, (0, 0, 1, 0))  # (n, kinds, 3)
    return grid + away[:, :, None, None, None]


def _near(grid: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    away = grid - points[..., None, None, None, :]
    return torch.exp(-0.5 * away.square().sum(dim=-1) / _VARIANCE)
