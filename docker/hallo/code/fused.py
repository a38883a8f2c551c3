"""The same steps on a GPU with fewer passes over memory: the bits of `Denoiser`, in three quarters of the time."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional

from . import ops
from .denoise import HALVES, Denoiser, attend, keys_of, normalised, places_of, three


class Fused(Denoiser):
    """Lays pictures out as convolutions want them in passing, and adds biases with what comes next."""

    def __init__(self, network: Any) -> None:
        super().__init__(network)
        self._as_rows: dict[tuple[int, int, int], bool] = {}

    def _convolved(self, layer: Any, rows: torch.Tensor, size: tuple[int, int]) -> tuple[torch.Tensor, tuple[int, int]]:
        """Return rows after a convolution without its bias, with the bits that it has for pictures.

        On rows a GPU's library may choose a kernel that rounds elsewhere: what it does is seen at first use.
        """
        key = (id(layer), len(rows), rows.shape[1])
        if not self._as_rows.get(key, True):
            return _in_pictures(layer, rows, size)
        found = convolved(layer, rows, size)
        if key not in self._as_rows:
            wanted = _in_pictures(layer, rows, size)
            self._as_rows[key] = torch.equal(found[0], wanted[0])
            if self._as_rows[key]:
                layer.weight.data = layer.weight.data.contiguous(memory_format=torch.channels_last)
            return wanted
        return found

    def _sampled(self, layer: Any, x: torch.Tensor) -> torch.Tensor:
        rows, size = self._convolved(layer, ops.to_rows(x), x.shape[2:])
        return ops.to_pictures(rows, size, bias=layer.bias)

    def _resnet(self, block: Any, x: torch.Tensor) -> torch.Tensor:
        size, time = x.shape[2:], self._time[id(block)]
        rows, _ = self._convolved(block.conv1, ops.to_rows(normalised(block.norm1, x), bend=True), size)
        inner = ops.to_pictures(rows, size, bias=block.conv1.bias, time=time)
        rows, _ = self._convolved(block.conv2, ops.to_rows(normalised(block.norm2, inner), bend=True), size)
        before = x if block.conv_shortcut is None else self._sampled(block.conv_shortcut, x)
        return ops.to_pictures(rows, size, bias=block.conv2.bias, before=before)

    def _spatial(self, module: Any, x: torch.Tensor) -> torch.Tensor:
        block = module.transformer_blocks[0]
        places = self._entered(module, x)
        places = self._look(block, block.norm1(places)) + places
        places = attend(block.attn2, block.norm2(places), *self._identity[id(block)]) + places
        return self._left(module, _forward(block.ff, block.norm3(places)) + places, x)

    def _audio(self, module: Any, x: torch.Tensor) -> torch.Tensor:
        block = module.transformer_blocks[0]
        places = self._entered(module, x)
        normal = block.norm1(places)
        places = attend(block.attn1, normal, *keys_of(block.attn1, normal)) + places
        normal, moved = block.norm2(places), []
        zeros = (block.zero_conv_full, block.zero_conv_face, block.zero_conv_lip)
        for attention, zero, masks in zip(three(block), zeros, self._job.masks, strict=True):
            heard = ops.scale_rows(attend(attention, normal, *self._sound[id(attention)]), masks[block.depth])
            moved.append(convolved(zero, heard, x.shape[2:])[0])
        places = ops.mix(moved, [zero.bias for zero in zeros], self._job.weights, places)
        return self._left(module, _forward(block.ff, block.norm3(places)) + places, x)

    def _moved(self, module: Any, x: torch.Tensor, motion: torch.Tensor) -> torch.Tensor:
        block, size = module.transformer_blocks[0], x.shape[2:]
        before = motion.to(x.dtype).transpose(2, 3).unflatten(3, size)
        x = torch.cat([before, x.unflatten(0, (HALVES, -1))], dim=1)
        frames, x = x.shape[1], x.flatten(0, 1)
        # Not as rows: a product with a matrix that lies the other way round has other bits.
        places = module.proj_in(places_of(normalised(module.norm, x)))
        for attention, norm in zip(block.attention_blocks, block.norms, strict=True):
            rows = ops.time_in(norm(places).unflatten(0, (HALVES, frames)), attention.pos_encoder.pe[0, :frames])
            rows = rows.flatten(0, 1)
            rows = attend(attention, rows, *keys_of(attention, rows)).unflatten(0, (HALVES, -1))
            places = ops.time_out(rows, places.unflatten(0, (HALVES, frames))).flatten(0, 1)
        places = _forward(block.ff, block.ff_norm(places)) + places
        skip = frames - self._job.frames
        return ops.to_pictures(module.proj_out(places), size, before=x, frames=self._job.frames, skip=skip)

    def _entered(self, module: Any, x: torch.Tensor) -> torch.Tensor:
        rows, _ = self._convolved(module.proj_in, ops.to_rows(normalised(module.norm, x)), x.shape[2:])
        return ops.add_channels(rows, module.proj_in.bias)

    def _left(self, module: Any, places: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        rows, size = self._convolved(module.proj_out, places, x.shape[2:])
        return ops.to_pictures(rows, size, bias=module.proj_out.bias, before=x)


def convolved(layer: Any, rows: torch.Tensor, size: tuple[int, int]) -> tuple[torch.Tensor, tuple[int, int]]:
    """Return rows after a convolution without its bias, and the height and width that they have then."""
    pictures = rows.unflatten(1, tuple(size)).permute(0, 3, 1, 2)
    found = functional.conv2d(pictures, layer.weight, None, layer.stride, layer.padding)
    return found.permute(0, 2, 3, 1).flatten(1, 2).contiguous(), tuple(found.shape[2:])


def _in_pictures(layer: Any, rows: torch.Tensor, size: tuple[int, int]) -> tuple[torch.Tensor, tuple[int, int]]:
    """Do the same as `convolved`, on pictures and with weights laid out for them."""
    pictures = ops.to_pictures(rows, size)
    found = functional.conv2d(pictures, layer.weight.contiguous(), None, layer.stride, layer.padding)
    return ops.to_rows(found), tuple(found.shape[2:])


def _forward(layers: Any, places: torch.Tensor) -> torch.Tensor:
    """Return what the two layers of a transformer block's feed-forward network make of its places."""
    return layers.net[2](ops.geglu(layers.net[0].proj(places)))
