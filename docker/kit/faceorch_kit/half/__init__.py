"""Renderers in half precision, for settings that change pixels slightly and say so: LivePortrait's and SadTalker's.

Both paint with a SPADE decoder (Park et al. 2019, "Semantic Image Synthesis with Spatially-Adaptive Normalization"),
whose layers move more memory than they compute: normalise, scale, shift, bend. On a GPU kernels.cu does that in two
passes, and pictures keep the layout that the GPU's matrix units take.
"""

from __future__ import annotations

import copy
import ctypes
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch.nn import functional

from faceorch_kit.nvrtc import kernels_of, prepare

SOURCE = Path(__file__).with_name("kernels.cu")
_SLOPE = 0.2  # of the leaky ReLU in both decoders
_THREADS = 256
_PLACES = 512  # that a block sums up
_WEIGHTED = (torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d, torch.nn.Linear)

_Network = TypeVar("_Network", bound=torch.nn.Module)


def half() -> torch.autocast:
    """Return a region in which a GPU computes in half precision as far as autocast allows."""
    return torch.autocast("cuda", dtype=torch.float16)


def halve(network: _Network) -> _Network:
    """Give convolutions and linear layers half weights: those that autocast would make of them, but half the memory.

    To be run under autocast, which keeps what half cannot hold in fp32 (softmax, sampling along a grid).
    """
    for module in network.modules():
        if isinstance(module, _WEIGHTED):
            module.half()
    return network


def half_copy(network: _Network) -> _Network:
    """Return a copy with half weights, as `halve` makes them."""
    return halve(copy.deepcopy(network))


class SpadeDecoder:
    """LivePortrait's or SadTalker's SPADE decoder in fp16; on a CPU the same steps in fp32.

    The decoder's spectral norms have to be baked in (`bake_spectral_norm`). Its pictures come out as upstream's
    `forward` returns them, but in the layout and precision of this class.
    """

    def __init__(self, decoder: Any, device: torch.device) -> None:
        if device.type == "cuda":
            prepare(SOURCE)
        self._dtype = torch.float16 if device.type == "cuda" else torch.float32
        net = copy.deepcopy(decoder).to(self._dtype).to(memory_format=torch.channels_last)
        self._net = net
        self._blocks = [getattr(net, f"G_middle_{index}") for index in range(6)]
        self._changes = {
            norm: (
                torch.cat([norm.mlp_gamma.weight, norm.mlp_beta.weight]).contiguous(memory_format=torch.channels_last),
                torch.cat([norm.mlp_gamma.bias, norm.mlp_beta.bias]),
            )
            for norm in net.modules()
            if type(norm).__name__ == "SPADE"
        }

    def __call__(self, feature: torch.Tensor) -> torch.Tensor:
        """Return pictures (n, 3, height, width) in 0..1 of features (n, channels, height, width)."""
        with torch.autocast(feature.device.type, enabled=False):
            seen = feature.to(self._dtype).contiguous(memory_format=torch.channels_last)
            x = _finished(_without_bias(self._net.fc, seen), self._net.fc.bias)
            for block in self._blocks:
                x = self._block(block, x, seen)
            x = self._block(self._net.up_0, _enlarged(x, 2), seen)
            x = self._block(self._net.up_1, _enlarged(x, 2), seen)
            return torch.sigmoid(self._net.conv_img(functional.leaky_relu_(x, _SLOPE)).float())

    def _block(self, block: Any, x: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
        """One residual block (upstream's SPADEResnetBlock)."""
        seen = _enlarged(seen, x.shape[2] // seen.shape[2])
        known = _moments(x)
        # What is normalised next needs no bias: the norm takes each channel's mean away.
        inner = _without_bias(block.conv_0, self._spade(block.norm_0, x, seen, known, _SLOPE))
        inner = self._spade(block.norm_1, inner, seen, _moments(inner), _SLOPE)
        if block.learned_shortcut:
            x = block.conv_s(self._spade(block.norm_s, x, seen, known, 1.0))
        return _finished(_without_bias(block.conv_1, inner), block.conv_1.bias, other=x)

    def _spade(self, norm: Any, x: torch.Tensor, seen: torch.Tensor, known: torch.Tensor, slope: float) -> torch.Tensor:
        (shared, _), (weight, bias) = norm.mlp_shared, self._changes[norm]
        change = functional.conv2d(
            _finished(_without_bias(shared, seen), shared.bias, slope=0.0), weight, padding=norm.mlp_gamma.padding
        )
        return _modulated(x, known, change, bias, slope)


def _without_bias(conv: Any, x: torch.Tensor) -> torch.Tensor:
    return functional.conv2d(x, conv.weight, None, conv.stride, conv.padding, conv.dilation, conv.groups)


def _moments(x: torch.Tensor, eps: float = 1e-5) -> torch.Tensor:
    """Return the mean of each channel of each picture, and one by its standard deviation: (n, 2, channels) in fp32."""
    n, channels, height, width = x.shape
    if not _by_kernel(x):
        values = x.float().flatten(2)
        spread = torch.rsqrt(values.var(dim=2, correction=0) + eps)
        return torch.stack([values.mean(dim=2), spread], dim=1)
    places, lanes = height * width, channels // 8
    lines, chunks = max(1, _THREADS // lanes), -(-places // _PLACES)
    found = torch.empty((n, chunks, 2, channels), dtype=torch.float32, device=x.device)
    result = torch.empty((n, 2, channels), dtype=torch.float32, device=x.device)
    rows, use = _rows(x), kernels_of(SOURCE)
    room = 16 * 4 * lanes * lines
    use.launch("sums", (chunks, n), (lanes, lines), rows, found, _long(places), channels, _PLACES, shared=room)
    blocks = -(-channels // _THREADS)
    use.launch("moments", (blocks, n), _THREADS, rows, found, result, _long(places), channels, chunks, eps)
    return result


def _modulated(
    x: torch.Tensor, known: torch.Tensor, change: torch.Tensor, bias: torch.Tensor, slope: float
) -> torch.Tensor:
    """Return leaky ReLU(normalised x * (1 + gamma) + beta); `change` (n, 2 * channels, ...) holds both, less `bias`."""
    n, channels, height, width = x.shape
    if not _by_kernel(x):
        mean, scale = known.to(x.dtype)[..., None, None].unbind(1)
        gamma, beta = (change + bias[:, None, None]).chunk(2, dim=1)
        return functional.leaky_relu((x - mean) * scale * (1.0 + gamma) + beta, slope)
    y, places, lanes = torch.empty_like(x), height * width, channels // 8
    lines = max(1, _THREADS // lanes)
    kernels_of(SOURCE).launch(
        *("modulate", (-(-places // lines), n), (lanes, lines), _rows(x), known, _rows(change), bias, _rows(y)),
        *(_long(places), channels, slope),
    )
    return y


def _finished(
    x: torch.Tensor, bias: torch.Tensor, *, other: torch.Tensor | None = None, slope: float = 1.0
) -> torch.Tensor:
    """Return leaky ReLU(x + bias + other), for each channel's bias."""
    if not _by_kernel(x):
        x = x + bias[:, None, None] if other is None else x + bias[:, None, None] + other
        return functional.leaky_relu(x, slope)
    y, eights = torch.empty_like(x), x.numel() // 8
    more = None if other is None else _rows(other)
    kernels_of(SOURCE).launch(
        *("finish", (-(-eights // _THREADS),), _THREADS, _rows(x), bias, more, _rows(y)),
        *(_long(eights), x.shape[1] // 8, slope),
    )
    return y


def _enlarged(x: torch.Tensor, times: int) -> torch.Tensor:
    """Return pictures at `times` their size; each place is repeated."""
    if times == 1:
        return x
    n, channels, height, width = x.shape
    height, width = times * height, times * width
    if not _by_kernel(x):
        return functional.interpolate(x, size=(height, width), mode="nearest")
    y = torch.empty((n, channels, height, width), dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
    eights = y.numel() // 8
    kernels_of(SOURCE).launch(
        *("enlarge", (-(-eights // _THREADS),), _THREADS, _rows(x), _rows(y)),
        *(_long(eights), channels // 8, width, height, times),
    )
    return y


def _by_kernel(x: torch.Tensor) -> bool:
    return bool(x.is_cuda and x.dtype == torch.float16 and x.shape[1] % 8 == 0 and x.shape[1] <= 8 * _THREADS)


def _rows(x: torch.Tensor) -> torch.Tensor:
    """Return pictures in channels_last as one piece of memory (n, height, width, channels)."""
    return x.contiguous(memory_format=torch.channels_last).permute(0, 2, 3, 1)


def _long(value: int) -> ctypes.c_longlong:
    return ctypes.c_longlong(value)
