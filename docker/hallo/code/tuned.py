"""Faster steps whose result is rounded elsewhere: the same mathematics, but not the bits of upstream's own.

Pictures lie as rows all the way (channels last). Group norms, attention over time and what belongs together are kernels
of their own; projections that read the same values are one; layers that follow each other without a bend in between are
multiplied once a job; nothing is computed for the motion frames that nobody reads, nor for the silence that the
unconditional half hears.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn import functional

from . import ops
from .denoise import HALVES, Conditions, Denoiser, attend, lay_out, three
from .fused import convolved


class Tuned(Denoiser):
    """Walks upstream's network with its weights packed."""

    def __init__(self, network: Any) -> None:
        super().__init__(network)
        lay_out(network)
        attentions = [block.attn1 for block in (*self._spatial_layers, *self._audio_layers())]
        attentions += [a for m in network.modules() if hasattr(m, "attention_blocks") for a in m.attention_blocks]
        self._packed = {
            id(a): torch.cat([a.to_q.weight, a.to_k.weight, a.to_v.weight]).contiguous() for a in attentions
        }
        self._queries = {
            id(block): torch.cat([a.to_q.weight for a in three(block)]).contiguous() for block in self._audio_layers()
        }

    def prepare(self, conditions: Conditions) -> None:
        """Compute what holds for every clip of a job."""
        super().prepare(conditions)
        # Both halves have the same time, and it is added with the convolution's bias.
        by_id = {id(block): block for block in self._resnets()}
        self._extras = [{key: by_id[key].conv1.bias + time[0] for key, time in times.items()} for times in self._times]
        self._outputs = {id(block): self._output(block) for block in self._audio_layers()}
        self._moments: dict[tuple[int, int], torch.Tensor] = {}

    def begin(self, banks: Sequence[torch.Tensor], sound: torch.Tensor) -> None:
        """Take a clip's portrait, motion frames and sound."""
        super().begin(banks, sound)
        frames = self._job.frames
        self._heard = {
            id(block): tuple(
                torch.cat([self._sound[id(attention)][which][frames:] for attention in three(block)], dim=1)
                for which in (0, 1)
            )
            for block in self._audio_layers()
        }

    def step(self, latents: torch.Tensor, index: int) -> torch.Tensor:
        """Return the predictions (halves, 4, frames, height, width) of step `index`."""
        self._extra = self._extras[index]
        return super().step(latents, index)

    def _output(self, block: Any) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return one matrix for what comes after the three attentions, what it adds to each place, and the masks."""
        matrices, added, scales = [], 0, []
        zeros = (block.zero_conv_full, block.zero_conv_face, block.zero_conv_lip)
        for attention, zero, masks, weight in zip(three(block), zeros, self._job.masks, self._job.weights, strict=True):
            mask, last = masks[block.depth][0].float(), zero.weight.float().flatten(1)
            out, bias = attention.to_out[0].weight.float(), attention.to_out[0].bias.float()
            matrices.append(weight * last @ out)
            added = added + weight * (mask[:, None] * (last @ bias) + zero.bias.float())
            scales.append(mask)
        kind = block.norm2.weight.dtype
        matrix, scale = torch.cat(matrices, dim=1), torch.stack(scales, dim=1)
        return matrix.to(kind).contiguous(), torch.as_tensor(added).to(kind).contiguous(), scale.to(kind).contiguous()

    def _sampled(self, layer: Any, x: torch.Tensor) -> torch.Tensor:
        rows, size = convolved(layer, _rows(x), x.shape[2:])
        return _pictures(ops.add_channels(rows, layer.bias), size)

    def _resnet(self, block: Any, x: torch.Tensor) -> torch.Tensor:
        rows, size = _rows(x), x.shape[2:]
        inner, _ = convolved(block.conv1, ops.group_norm(rows, block.norm1, bend=True), size)
        inner = ops.group_norm(inner, block.norm2, bend=True, extra=self._extra[id(block)])
        inner, _ = convolved(block.conv2, inner, size)
        if block.conv_shortcut is not None:
            rows = functional.linear(rows, block.conv_shortcut.weight.flatten(1), block.conv_shortcut.bias)
        return _pictures(ops.add_channels(inner, block.conv2.bias, before=rows), size)

    def _spatial(self, module: Any, x: torch.Tensor) -> torch.Tensor:
        block, rows = module.transformer_blocks[0], _rows(x)
        places = self._entered(module, rows)
        places = self._look(block, block.norm1(places)) + places
        places = attend(block.attn2, block.norm2(places), *self._identity[id(block)]) + places
        return self._left(module, block, places, rows, x.shape[2:])

    def _look(self, block: Any, normal: torch.Tensor) -> torch.Tensor:
        attention, frames = block.attn1, len(normal) // HALVES
        query, own_keys, own_values = self._projected(attention, normal)
        portrait = [part.repeat(frames, 1, 1, 1)[frames:] for part in self._portrait[id(block)]]
        keys = torch.cat([own_keys[frames:], portrait[0]], dim=2)
        values = torch.cat([own_values[frames:], portrait[1]], dim=2)
        places = torch.empty_like(normal)
        places[:frames] = _attended(query[:frames], own_keys[:frames], own_values[:frames])
        places[frames:] = _attended(query[frames:], keys, values)
        return attention.to_out[0](places)

    def _audio(self, module: Any, x: torch.Tensor) -> torch.Tensor:
        block, rows, frames = module.transformer_blocks[0], _rows(x), self._job.frames
        places = self._entered(module, rows)
        found = _attended(*self._projected(block.attn1, block.norm1(places)))
        places = block.attn1.to_out[0](found) + places
        matrix, added, scale = self._outputs[id(block)]
        normal = block.norm2(places[frames:])
        query = functional.linear(normal, self._queries[id(block)]).unflatten(2, (3 * block.attn2_0.heads, -1))
        heard = _attended(query.transpose(1, 2), *self._heard[id(block)])
        # One row for each place and each of pose, face and lips.
        heard = ops.scale_rows(heard.unflatten(2, (3, -1)).flatten(1, 2), scale.flatten()[None]).view_as(heard)
        places = ops.add_channels(places.flatten(1), added.flatten()).view_as(places)
        places[frames:] += functional.linear(heard, matrix)
        return self._left(module, block, places, rows, x.shape[2:])

    def _moved(self, module: Any, x: torch.Tensor, motion: torch.Tensor) -> torch.Tensor:
        block, rows, wanted = module.transformer_blocks[0], _rows(x), self._job.frames
        every = torch.cat([motion.to(x.dtype), rows.unflatten(0, (HALVES, wanted))], dim=1)
        frames = every.shape[1]
        normal = ops.group_norm(every.flatten(0, 1), module.norm)
        places = module.proj_in(normal).unflatten(0, (HALVES, frames))
        last = len(block.attention_blocks) - 1
        for index, (attention, norm) in enumerate(zip(block.attention_blocks, block.norms, strict=True)):
            qkv = functional.linear(norm(places), self._packed[id(attention)])
            # Of the last attention's result, nobody reads the motion frames'.
            kept = wanted if index == last else frames
            found = attention.to_out[0](ops.over_time(qkv, self._moment(attention, frames), attention.heads, kept))
            for half, before in zip(found, places, strict=True):
                half += before[frames - kept :]
            places = found
        places = places.flatten(0, 1)
        places = _forward(block.ff, block.ff_norm(places)) + places
        return _pictures(module.proj_out(places) + rows, x.shape[2:])

    def _moment(self, attention: Any, frames: int) -> torch.Tensor:
        """Return what a frame's position in the clip adds to its query, key and value."""
        key = (id(attention), frames)
        if key not in self._moments:
            self._moments[key] = functional.linear(attention.pos_encoder.pe[0, :frames], self._packed[id(attention)])
        return self._moments[key]

    def _projected(self, attention: Any, normal: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        packed = functional.linear(normal, self._packed[id(attention)])
        query, key, value = packed.unflatten(2, (3, attention.heads, -1)).permute(2, 0, 3, 1, 4)
        return query, key, value

    def _entered(self, module: Any, rows: torch.Tensor) -> torch.Tensor:
        normal = ops.group_norm(rows, module.norm)
        return functional.linear(normal, module.proj_in.weight.flatten(1), module.proj_in.bias)

    def _left(
        self, module: Any, block: Any, places: torch.Tensor, rows: torch.Tensor, size: tuple[int, int]
    ) -> torch.Tensor:
        places = _forward(block.ff, block.norm3(places)) + places
        places = functional.linear(places, module.proj_out.weight.flatten(1), module.proj_out.bias)
        return _pictures(places + rows, size)


def _forward(layers: Any, places: torch.Tensor) -> torch.Tensor:
    return layers.net[2](ops.geglu(layers.net[0].proj(places)))


def _attended(query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    return functional.scaled_dot_product_attention(query, keys, values).transpose(1, 2).flatten(2)


def _rows(pictures: torch.Tensor) -> torch.Tensor:
    """Return pictures that lie as rows as what they are; others are laid out anew."""
    return pictures.permute(0, 2, 3, 1).flatten(1, 2).contiguous()


def _pictures(rows: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    return rows.unflatten(1, tuple(size)).permute(0, 3, 1, 2)
