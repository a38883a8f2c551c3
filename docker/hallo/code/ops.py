"""Steps that torch takes in several passes over memory: by kernels.cu on a GPU in fp16, by torch everywhere else.

Both give the same bits, except where a function says otherwise. Pictures are (n, channels, height, width) in one piece,
rows (n, places, channels) in one piece.
"""

from __future__ import annotations

import ctypes
import math
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from faceorch_kit.nvrtc import Kernels, is_hopper, kernels_of

SOURCE = Path(__file__).with_name("kernels.cu")
_THREADS = 256
_TILE = 64
_GROUPS = 32
_BLOCKS = 1024  # of a group norm: enough for every multiprocessor
_FRAMES = 18  # of attention over time, on the GPU: those of a clip, and two before it
_BLOCK = 320  # channels of a block of attention over time
_STAGES = 4  # of what a matrix product fetches ahead
_VALUES = 40  # of a row that a thread of a layer norm has


def geglu(x: torch.Tensor) -> torch.Tensor:
    """Return values times gelu(gates), of rows that hold values and gates."""
    if not _by_kernel(x) or x.shape[-1] % 16:
        value, gate = x.chunk(2, dim=-1)
        return value * functional.gelu(gate)
    rows, inner = x.numel() // x.shape[-1], x.shape[-1] // 2
    y = x.new_empty((*x.shape[:-1], inner))
    _launch("geglu", y.numel(), x, y, _long(rows), inner)
    return y


def gated(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """Return values times gelu(gates) of rows `x`: a linear layer's outputs, first the values; not torch's bits."""
    columns, deep = len(weight) // 2, weight.shape[1]
    if not _by_kernel(x) or columns % 128 or deep % 64 or x.numel() < 128 * deep or not is_hopper():
        return geglu(functional.linear(x, weight, bias))
    y, rows, use = x.new_empty((*x.shape[:-1], columns)), x.flatten(0, -2), kernels()
    tiles = -(-len(rows) // 128) * (columns // 128)
    blocks = min(tiles, torch.cuda.get_device_properties(x.device).multi_processor_count)
    use.launch(
        *("gated_product", (blocks,), 384, use.map(rows, 128), use.map(weight, 128), bias, y),
        *(len(rows), columns, deep),
        shared=_STAGES * 3 * 128 * 128 + 1024,
    )
    return y


def add_channels(x: torch.Tensor, bias: torch.Tensor, before: torch.Tensor | None = None) -> torch.Tensor:
    """Return rows with one value a channel added, and then `before`, where given."""
    if not _by_kernel(x):
        return x + bias if before is None else before + (x + bias)
    y = torch.empty_like(x)
    _launch("add_channels", x.numel(), x, bias, before, y, _long(x.numel() // x.shape[-1]), x.shape[-1])
    return y


def scale_rows(x: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """Return rows (n, places, channels) times `scale` (m, places), which repeats."""
    if not _by_kernel(x):
        return x * scale.repeat(len(x) // len(scale), 1)[:, :, None]
    y = torch.empty_like(x)
    rows = x.numel() // x.shape[-1]
    _launch("scale_rows", x.numel(), x, scale.contiguous(), y, _long(rows), x.shape[-1], scale.numel())
    return y


def mix(parts: Any, biases: Any, weights: Any, places: torch.Tensor) -> torch.Tensor:
    """Return rows with the weighted sum of three others added, each of which gets its bias first."""
    if not _by_kernel(places):
        first, second, third = (w * (part + bias) for part, bias, w in zip(parts, biases, weights, strict=True))
        return torch.as_tensor(first + second + third + places)
    y = torch.empty_like(places)
    floats = [float(weight) for weight in weights]
    rows, channels = places.numel() // places.shape[-1], places.shape[-1]
    _launch("mix", y.numel(), *parts, *biases, *floats, places, y, _long(rows), channels)
    return y


def to_rows(pictures: torch.Tensor, bend: bool = False) -> torch.Tensor:
    """Return pictures as rows, through silu if `bend`."""
    n, channels, places = len(pictures), pictures.shape[1], pictures[0, 0].numel()
    if not _by_kernel(pictures) or channels % 8 or places % 8:
        return (functional.silu(pictures) if bend else pictures).permute(0, 2, 3, 1).flatten(1, 2).contiguous()
    y = pictures.new_empty((n, places, channels))
    grid = (-(-places // _TILE), -(-channels // _TILE), n)
    kernels().launch("to_rows", grid, _THREADS, pictures, y, channels, places, int(bend))
    return y


def to_pictures(
    rows: torch.Tensor,
    size: tuple[int, int],
    *,
    bias: torch.Tensor | None = None,
    time: torch.Tensor | None = None,
    before: torch.Tensor | None = None,
    frames: int = 1,
    skip: int = 0,
) -> torch.Tensor:
    """Return rows as pictures of height and width `size`; plus `bias`, plus `time`, plus pictures, where given.

    `time` is (2, channels), one for each half of the pictures. Of every `frames + skip` pictures the first `skip` are
    left out.
    """
    channels, places = rows.shape[2], rows.shape[1]
    if not _by_kernel(rows) or channels % 8 or places % 8:
        pictures = rows if bias is None else rows + bias
        if time is not None:
            pictures = (pictures.unflatten(0, (len(time), -1)) + time[:, None, None]).flatten(0, 1)
        pictures = pictures.transpose(1, 2).unflatten(2, size).contiguous()
        pictures = pictures if before is None else before + pictures
        return pictures.unflatten(0, (-1, frames + skip))[:, skip:].flatten(0, 1)
    n = len(rows) // (frames + skip) * frames
    y = rows.new_empty((n, channels, *size))
    grid = (-(-places // _TILE), -(-channels // _TILE), n)
    kernels().launch("to_pictures", grid, _THREADS, rows, bias, time, before, y, channels, places, frames, skip)
    return y


def time_in(rows: torch.Tensor, when: torch.Tensor) -> torch.Tensor:
    """Return rows (halves, frames, places, channels) plus `when` (frames, channels), places before frames."""
    if not _by_kernel(rows):
        return (rows + when[:, None]).transpose(1, 2).contiguous()
    halves, frames, places, channels = rows.shape
    y = rows.new_empty((halves, places, frames, channels))
    _launch("time_in", y.numel(), rows, when.contiguous(), y, halves, frames, places, channels)
    return y


def time_out(rows: torch.Tensor, before: torch.Tensor) -> torch.Tensor:
    """Return rows (halves, places, frames, channels), frames before places again, added to `before`."""
    if not _by_kernel(rows):
        return rows.transpose(1, 2) + before
    halves, frames, places, channels = before.shape
    y = torch.empty_like(before)
    _launch("time_out", y.numel(), rows, before, y, halves, frames, places, channels)
    return y


def group_norm(rows: torch.Tensor, norm: Any, bend: bool = False, extra: torch.Tensor | None = None) -> torch.Tensor:
    """Return rows (plus `extra`, a value a channel) normalised by groups, through silu if `bend`; not torch's bits."""
    n, places, channels = rows.shape
    vectors = channels // 8
    lines = max(1, min(512 // max(vectors, 1), places))
    if not _by_kernel(rows) or norm.num_groups != _GROUPS or channels % 32 or not 64 <= vectors * lines <= 512:
        rows = rows if extra is None else rows + extra
        normal = functional.group_norm(rows.transpose(1, 2), norm.num_groups, norm.weight, norm.bias, norm.eps)
        return (functional.silu(normal) if bend else normal).transpose(1, 2).contiguous()
    chunks = max(1, min(64, places // 64, _BLOCKS // n))
    chunk = -(-places // chunks)
    partial = torch.empty((n, chunks, _GROUPS, 2), dtype=torch.float32, device=rows.device)
    kernels().launch(
        *("group_sums", (chunks, n), vectors * lines, rows, extra, partial, channels, places, chunk, lines),
        shared=2 * lines * channels * 4,
    )
    y, few = torch.empty_like(rows), -(-places // max(1, _BLOCKS // n))
    kernels().launch(
        *("group_apply", (-(-places // few), n), vectors * lines, rows, extra, partial, norm.weight, norm.bias, y),
        *(channels, places, chunks, few, lines, float(norm.eps), int(bend)),
    )
    return y


def over_time(qkv: torch.Tensor, when: torch.Tensor, heads: int, queries: int) -> torch.Tensor:
    """Return attention over time of (halves, frames, places, 3 * channels) for the last frames; not torch's bits.

    `when` (frames, 3 * channels) is added first.
    """
    halves, frames, places, wide = qkv.shape
    channels, size = wide // 3, wide // 3 // heads
    fits = size % 8 == 0 and channels % _BLOCK == 0 and _BLOCK % size == 0 and frames == _FRAMES
    if not _by_kernel(qkv) or not fits or torch.cuda.get_device_capability() < (8, 0):
        query, key, value = (
            part.unflatten(3, (heads, size)).permute(0, 2, 3, 1, 4).flatten(0, 1)
            for part in (qkv + when[:, None]).split(channels, 3)
        )
        found = functional.scaled_dot_product_attention(query[:, :, frames - queries :], key, value)
        return found.unflatten(0, (halves, places)).permute(0, 3, 1, 2, 4).flatten(3).contiguous()
    y = qkv.new_empty((halves, queries, places, channels))
    kernels().launch(
        *("over_time", (min(halves * places, 1024), channels // _BLOCK), _THREADS, qkv, when, y),
        *(queries, places, channels, size, halves * places, size**-0.5 * math.log2(math.e)),
        shared=(3 * frames + queries) * (_BLOCK + 8) * 2,
    )
    return y


def double_rows(rows: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Return rows of pictures of height and width `size` with each place four times: twice as high and as wide."""
    n, _, channels = rows.shape
    height, width = size
    if not _by_kernel(rows):
        pictures = rows.unflatten(1, size)
        return pictures.repeat_interleave(2, 1).repeat_interleave(2, 2).flatten(1, 2)
    y = rows.new_empty((n, 4 * height * width, channels))
    _launch("double_rows", y.numel(), rows, y, n, height, width, channels)
    return y


def beside(packed: torch.Tensor, portrait: torch.Tensor) -> torch.Tensor:
    """Return keys and values (pictures, own + other, 2 * channels) of pictures, followed by those of a portrait.

    `packed` (pictures, own, 3 * channels) holds queries, keys and values, `portrait` (2, other, 2 * channels) keys and
    values of both halves, which the pictures take in turn.
    """
    pictures, own, wide = packed.shape
    channels, other = wide // 3, portrait.shape[1]
    if not _by_kernel(packed) or channels % 8:
        turns = portrait[(pictures + torch.arange(pictures, device=portrait.device)) % 2]
        return torch.cat([packed[:, :, channels:], turns], dim=1)
    y = packed.new_empty((pictures, own + other, 2 * channels))
    _launch("beside", y.numel(), packed, portrait, y, pictures, own, other, 2 * channels)
    return y


def add_norm(
    x: torch.Tensor,
    more: torch.Tensor,
    norm: Any,
    bias: torch.Tensor | None = None,
    after: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the sum of two sets of rows (and `bias`, a value a channel), and its layer norm; not torch's bits.

    `after` (places, channels) is added to the sum once it is normalised. Where `x` (halves, frames, places, channels)
    has more frames than `more`, its first are left out.
    """
    *outer, places, channels = more.shape
    if not _normed_by_kernel(x):
        both = (x if len(outer) == 1 else x[:, -outer[1] :]) + more
        both = both if bias is None else both + bias
        return both if after is None else both + after, norm(both)
    y, normal, rows = torch.empty_like(more), torch.empty_like(more), more.numel() // channels
    skip, each = (x.numel() - more.numel()) // channels // outer[0], rows // outer[0]
    _add_norm(x, more, bias, after, norm, y, normal, rows, places, each, skip)
    return y, normal


def layer_norm(x: torch.Tensor, norm: Any) -> torch.Tensor:
    """Return the layer norm of rows; not torch's bits."""
    if not _normed_by_kernel(x):
        return torch.as_tensor(norm(x))
    normal, rows = torch.empty_like(x), x.numel() // x.shape[-1]
    _add_norm(x, None, None, None, norm, None, normal, rows, rows, rows, 0)
    return normal


def _normed_by_kernel(x: torch.Tensor) -> bool:
    return _by_kernel(x) and x.shape[-1] in {lanes * _VALUES for lanes in (1, 2, 4, 8, 16, 32)}


def _add_norm(x: Any, more: Any, bias: Any, after: Any, norm: Any, y: Any, normal: Any, rows: int, *rest: int) -> None:
    lanes = x.shape[-1] // _VALUES
    blocks = -(-rows * lanes // _THREADS)
    tensors = (x, more, bias, after, norm.weight, norm.bias, y, normal)
    kernels().launch("add_norm", (blocks,), _THREADS, *tensors, rows, lanes, *rest, float(norm.eps))


def kernels() -> Kernels:
    """Return what kernels.cu holds."""
    return kernels_of(SOURCE)


def _by_kernel(x: torch.Tensor) -> bool:
    return bool(x.is_cuda) and x.dtype == torch.float16 and x.shape[-1] % 8 == 0


def _launch(name: str, values: int, *arguments: Any) -> None:
    blocks = min(-(-values // (8 * _THREADS)), 1 << 20)
    kernels().launch(name, (blocks,), _THREADS, *arguments)


def _long(value: int) -> ctypes.c_longlong:
    return ctypes.c_longlong(value)
