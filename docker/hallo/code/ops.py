"""Steps that torch takes in several passes over memory: by kernels.cu on a GPU in fp16, by torch everywhere else.

Both give the same bits, except where a function says otherwise. Pictures are (n, channels, height, width) in one piece,
rows (n, places, channels) in one piece.
"""

from __future__ import annotations

import ctypes
from typing import Any

import torch
from torch.nn import functional

from .cuda import kernels

_THREADS = 256
_TILE = 64
_GROUPS = 32
_FRAMES = 18  # of attention over time, on the GPU: those of a clip, and two before it
_MOST_CHANNELS = 1280  # of a layer norm, on the GPU


def geglu(x: torch.Tensor) -> torch.Tensor:
    """Return values times gelu(gates), of rows that hold values and gates."""
    if not _by_kernel(x) or x.shape[-1] % 16:
        value, gate = x.chunk(2, dim=-1)
        return value * functional.gelu(gate)
    rows, inner = x.numel() // x.shape[-1], x.shape[-1] // 2
    y = x.new_empty((*x.shape[:-1], inner))
    _launch("geglu", y.numel(), x, y, _long(rows), inner)
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
    chunks = max(1, min(64, places // 64))
    chunk = -(-places // chunks)
    partial = torch.empty((n, chunks, _GROUPS, 2), dtype=torch.float32, device=rows.device)
    kernels().launch(
        *("group_sums", (chunks, n), vectors * lines, rows, extra, partial, channels, places, chunk, lines),
        shared=2 * lines * channels * 4,
    )
    y, few = torch.empty_like(rows), max(1, 16384 // channels)
    kernels().launch(
        *("group_apply", (-(-places // few), n), _THREADS, rows, extra, partial, norm.weight, norm.bias, y),
        *(channels, places, chunks, few, float(norm.eps), int(bend)),
        shared=2 * channels * 4,
    )
    return y


def over_time(qkv: torch.Tensor, when: torch.Tensor, heads: int, queries: int) -> torch.Tensor:
    """Return attention over time of (halves, frames, places, 3 * channels) for the last frames; not torch's bits.

    `when` (frames, 3 * channels) is added first.
    """
    halves, frames, places, wide = qkv.shape
    channels, size = wide // 3, wide // 3 // heads
    if not _by_kernel(qkv) or size % 8 or frames != _FRAMES:
        query, key, value = (
            part.unflatten(3, (heads, size)).permute(0, 2, 3, 1, 4).flatten(0, 1)
            for part in (qkv + when[:, None]).split(channels, 3)
        )
        found = functional.scaled_dot_product_attention(query[:, :, frames - queries :], key, value)
        return found.unflatten(0, (halves, places)).permute(0, 3, 1, 2, 4).flatten(3).contiguous()
    most = 48 * 1024 // (2 * frames * 4) - 4
    together = max(h for h in range(1, heads + 1) if heads % h == 0 and (h == 1 or h * size <= most))
    # Two queries a thread read keys half as often, where that leaves threads enough.
    pairs = together * queries >= 2 * 64
    threads = -(-together * (-(-queries // 2) if pairs else queries) // 32) * 32
    y = qkv.new_empty((halves, queries, places, channels))
    kernels().launch(
        *("over_time_in_pairs" if pairs else "over_time", (halves * places, heads // together), threads, qkv, when, y),
        *(queries, places, channels, size, together, size**-0.5),
        shared=2 * frames * (together * size + 4) * 4,
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


def add_norm(x: torch.Tensor, more: torch.Tensor, norm: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the sum of two sets of rows, and its layer norm; not torch's bits."""
    channels = x.shape[-1]
    if not _by_kernel(x) or channels > _MOST_CHANNELS:
        both = x + more
        return both, norm(both)
    y, normal = torch.empty_like(x), torch.empty_like(x)
    rows = x.numel() // channels
    kernels().launch(
        *("add_norm", (-(-rows // (_THREADS // 32)),), _THREADS, x, more, norm.weight, norm.bias, y, normal),
        *(_long(rows), channels, float(norm.eps)),
    )
    return y, normal


def layer_norm(x: torch.Tensor, norm: Any) -> torch.Tensor:
    """Return the layer norm of rows; not torch's bits."""
    channels = x.shape[-1]
    if not _by_kernel(x) or channels > _MOST_CHANNELS:
        return torch.as_tensor(norm(x))
    normal, rows = torch.empty_like(x), x.numel() // channels
    kernels().launch(
        *("add_norm", (-(-rows // (_THREADS // 32)),), _THREADS, x, None, norm.weight, norm.bias, None, normal),
        *(_long(rows), channels, float(norm.eps)),
    )
    return normal


def _by_kernel(x: torch.Tensor) -> bool:
    return bool(x.is_cuda) and x.dtype == torch.float16 and x.shape[-1] % 8 == 0


def _launch(name: str, values: int, *arguments: Any) -> None:
    blocks = min(-(-values // (8 * _THREADS)), 1 << 20)
    kernels().launch(name, (blocks,), _THREADS, *arguments)


def _long(value: int) -> ctypes.c_longlong:
    return ctypes.c_longlong(value)
