"""Faster steps whose result is rounded elsewhere: the same mathematics, but not the bits of upstream's own.

Pictures lie as rows all the way (channels last). Group norms, attention over time and what belongs together are kernels
of their own; projections that read the same values are one; layers that follow each other without a bend in between are
multiplied once a job; nothing is computed for the motion frames that nobody reads, nor for the silence that the
unconditional half hears.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch.nn import functional

from . import ops
from .denoise import HALVES, Conditions, Denoiser, lay_out, three
from .fused import convolved


class Tuned(Denoiser):
    """Walks upstream's network with its weights packed."""

    def __init__(self, network: Any) -> None:
        super().__init__(network)
        lay_out(network)
        attentions = [block.attn1 for block in (*self._spatial_layers, *self._audio_layers())]
        attentions += [a for m in network.modules() if hasattr(m, "attention_blocks") for a in m.attention_blocks]
        self._packed = {id(a): _pack(a.to_q, a.to_k, a.to_v) for a in attentions}
        self._queries = {id(block): _pack(*(a.to_q for a in three(block))) for block in self._audio_layers()}
        # The biases of transformers' ways out are added before them, by the block that they follow, and taken off again
        # where they normalise: so that a way out is one product that adds to what is there.
        self._ahead: dict[int, torch.Tensor] = {}
        for resnet, *modules in self._layers():
            ahead = torch.zeros_like(resnet.conv2.bias, dtype=torch.float32)
            for module in reversed(modules):
                ahead = ahead + _last_bias(module)
                self._ahead[id(module)] = (-ahead).to(resnet.conv2.bias.dtype)
            self._ahead[id(resnet)] = (resnet.conv2.bias + ahead).to(resnet.conv2.bias.dtype)

    def prepare(self, conditions: Conditions) -> None:
        """Compute what holds for every clip of a job."""
        super().prepare(conditions)
        self._outputs = {id(block): self._output(block) for block in self._audio_layers()}
        self._faces = {id(block): self._face(block) for block in self._spatial_layers}
        self._moments: dict[tuple[int, int], torch.Tensor] = {}

    def begin(self, banks: Sequence[torch.Tensor], sound: torch.Tensor) -> None:
        """Take a clip's portrait, motion frames and sound."""
        super().begin(banks, sound)
        for block, (keys, values) in self._portrait.items():
            self._portrait[block] = torch.cat([part.transpose(1, 2).flatten(2) for part in (keys, values)], dim=2)
        for _, spatial, _, module in self._layers():
            # What the motion frames are before attention over time is the same in every step.
            layer = id(spatial.transformer_blocks[0])
            normal = ops.group_norm(self._motion[layer].flatten(0, 1), module.norm)
            self._motion[layer] = module.proj_in(normal).unflatten(0, (HALVES, -1))
        sound, frames = self._sound, self._job.frames
        self._heard: dict[int, tuple[torch.Tensor, ...]] = {}
        for block in self._audio_layers():
            # Only the conditional half hears anything.
            parts = [[part[frames:] for part in sound[id(attention)]] for attention in three(block)]
            self._heard[id(block)] = tuple(torch.cat(same, dim=1) for same in zip(*parts, strict=True))

    def _time_of(self, block: Any, time: torch.Tensor) -> torch.Tensor:
        # Both halves have the same time, and it is added with the convolution's bias.
        return torch.as_tensor(block.conv1.bias + time[0])

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

    def _begun(self, x: torch.Tensor) -> torch.Tensor:
        return _pictures(ops.to_rows(x), x.shape[2:])

    def _ended(self, x: torch.Tensor) -> torch.Tensor:
        layer = self.network.conv_out
        pictures = _pictures(ops.group_norm(_rows(x), self.network.conv_norm_out, bend=True), x.shape[2:])
        return functional.conv2d(pictures, layer.weight, layer.bias, layer.stride, layer.padding)

    def _doubled(self, x: torch.Tensor) -> torch.Tensor:
        height, width = x.shape[2:]
        return _pictures(ops.double_rows(_rows(x), (height, width)), (2 * height, 2 * width))

    def _sampled(self, layer: Any, x: torch.Tensor) -> torch.Tensor:
        rows, size = convolved(layer, _rows(x), x.shape[2:])
        return _pictures(ops.add_channels(rows, layer.bias), size)

    def _resnet(self, block: Any, x: torch.Tensor) -> torch.Tensor:
        rows, size = _rows(x), x.shape[2:]
        inner, _ = convolved(block.conv1, ops.group_norm(rows, block.norm1, bend=True), size)
        inner = ops.group_norm(inner, block.norm2, bend=True, extra=self._time[id(block)])
        inner, _ = convolved(block.conv2, inner, size)
        if block.conv_shortcut is not None:
            rows = functional.linear(rows, block.conv_shortcut.weight.flatten(1), block.conv_shortcut.bias)
        return _pictures(ops.add_channels(inner, self._ahead.get(id(block), block.conv2.bias), before=rows), size)

    def _spatial(self, module: Any, x: torch.Tensor) -> torch.Tensor:
        block, rows = module.transformer_blocks[0], _rows(x)
        places = self._entered(module, rows)
        found = self._look(block, ops.layer_norm(places, block.norm1))
        places, normal = ops.add_norm(places, found, block.norm2)
        found = self._recognised(block, normal)
        places, normal = ops.add_norm(places, found, block.norm3, bias=block.attn2.to_out[0].bias)
        return self._left(module, block, places, normal, rows, x.shape[2:])

    def _recognised(self, block: Any, normal: torch.Tensor) -> torch.Tensor:
        """Attention to the identity's few tokens, without its bias: scores and values are a matrix for each half."""
        scores, values = self._faces[id(block)]
        heads = block.attn2.heads
        halves = normal.unflatten(0, (HALVES, -1)).flatten(1, 2)
        shares = torch.bmm(halves, scores).unflatten(2, (heads, -1)).softmax(-1).flatten(2)
        return torch.bmm(shares, values).view_as(normal)

    def _face(self, block: Any) -> tuple[torch.Tensor, torch.Tensor]:
        """Return for each half what turns places into scores (channels, heads * tokens), and shares into an output."""
        attention, kind = block.attn2, block.norm2.weight.dtype
        keys, values = (part[:: self._job.frames].float() for part in self._identity[id(block)])
        query = attention.to_q.weight.float().unflatten(0, (attention.heads, -1))
        out = attention.to_out[0].weight.float().unflatten(1, (attention.heads, -1))
        scores = torch.einsum("hdc,nhtd->ncht", query, keys) * keys.shape[-1] ** -0.5
        found = torch.einsum("nhtd,chd->nhtc", values, out)
        return scores.flatten(2).to(kind).contiguous(), found.flatten(1, 2).to(kind).contiguous()

    def _look(self, block: Any, normal: torch.Tensor) -> torch.Tensor:
        attention, frames = block.attn1, len(normal) // HALVES
        packed = functional.linear(normal, self._packed[id(attention)])
        query, own_keys, own_values = _parts(packed, attention.heads, 3)
        keys, values = _parts(ops.beside(packed[frames:], self._portrait[id(block)]), attention.heads, 2)
        out, places = attention.to_out[0], torch.empty_like(normal)
        _linear(out, _attended(query[:frames], own_keys[:frames], own_values[:frames]), places[:frames])
        _linear(out, _attended(query[frames:], keys, values), places[frames:])
        return places

    def _audio(self, module: Any, x: torch.Tensor) -> torch.Tensor:
        block, rows, frames = module.transformer_blocks[0], _rows(x), self._job.frames
        places = self._entered(module, rows)
        packed = functional.linear(ops.layer_norm(places, block.norm1), self._packed[id(block.attn1)])
        found = block.attn1.to_out[0](_attended(*_parts(packed, block.attn1.heads, 3)))
        matrix, added, scale = self._outputs[id(block)]
        places, normal = ops.add_norm(places, found, block.norm2, after=added)
        query = functional.linear(normal[frames:], self._queries[id(block)]).unflatten(2, (3 * block.attn2_0.heads, -1))
        heard = _attended(query.transpose(1, 2), *self._heard[id(block)])
        # One row for each place and each of pose, face and lips.
        heard = ops.scale_rows(heard.unflatten(2, (3, -1)).flatten(1, 2), scale.flatten()[None]).view_as(heard)
        spoken = places[frames:].flatten(0, 1)
        spoken.addmm_(heard.flatten(0, 1), matrix.t())
        return self._left(module, block, places, ops.layer_norm(places, block.norm3), rows, x.shape[2:])

    def _moved(self, module: Any, x: torch.Tensor, motion: torch.Tensor) -> torch.Tensor:
        block, rows, wanted = module.transformer_blocks[0], _rows(x), self._job.frames
        # `motion` is what begin() made of the motion frames.
        frames = motion.shape[1] + wanted
        places = rows.new_empty((HALVES, frames, *rows.shape[1:]))
        places[:, : frames - wanted] = motion
        for half, normal in zip(places, self._normal(module, rows).chunk(HALVES), strict=True):
            _linear(module.proj_in, normal, half[frames - wanted :])
        normal = ops.layer_norm(places, block.norms[0])
        for attention, norm in zip(block.attention_blocks[:-1], block.norms[1:], strict=True):
            places, normal = ops.add_norm(places, self._over_time(attention, normal, frames), norm)
        # Of the last attention's result, nobody reads the motion frames'.
        found = self._over_time(block.attention_blocks[-1], normal, wanted)
        places, normal = ops.add_norm(places, found, block.ff_norm)
        return self._left(module, block, places.flatten(0, 1), normal.flatten(0, 1), rows, x.shape[2:])

    def _over_time(self, attention: Any, normal: torch.Tensor, queries: int) -> torch.Tensor:
        qkv = functional.linear(normal, self._packed[id(attention)])
        moments = self._moment(attention, normal.shape[1])
        return torch.as_tensor(attention.to_out[0](ops.over_time(qkv, moments, attention.heads, queries)))

    def _moment(self, attention: Any, frames: int) -> torch.Tensor:
        """Return what a frame's position in the clip adds to its query, key and value."""
        key = (id(attention), frames)
        if key not in self._moments:
            self._moments[key] = functional.linear(attention.pos_encoder.pe[0, :frames], self._packed[id(attention)])
        return self._moments[key]

    def _normal(self, module: Any, rows: torch.Tensor) -> torch.Tensor:
        return ops.group_norm(rows, module.norm, extra=self._ahead[id(module)])

    def _entered(self, module: Any, rows: torch.Tensor) -> torch.Tensor:
        return functional.linear(self._normal(module, rows), module.proj_in.weight.flatten(1), module.proj_in.bias)

    def _left(
        self,
        module: Any,
        block: Any,
        places: torch.Tensor,
        normal: torch.Tensor,
        rows: torch.Tensor,
        size: tuple[int, int],
    ) -> torch.Tensor:
        """The feed-forward network, and the way out of a transformer; takes the memory of `places` and `rows`."""
        first, places = block.ff.net[0].proj, places.flatten(0, 1)
        inner = ops.gated(normal, first.weight, first.bias).flatten(0, 1)
        places.addmm_(inner, block.ff.net[2].weight.t())
        rows.flatten(0, 1).addmm_(places, module.proj_out.weight.flatten(1).t())
        return _pictures(rows, size)

    def _layers(self) -> Iterator[tuple[Any, Any, Any, Any]]:
        """Yield each block that transformers follow, and these three."""
        for block in self.network.modules():
            if hasattr(block, "attentions"):
                motion = (module.temporal_transformer for module in block.motion_modules)
                yield from zip(block.resnets, block.attentions, block.audio_modules, motion, strict=False)


def _last_bias(module: Any) -> torch.Tensor:
    """Return what a transformer adds to each channel on its way out, with the bias of its feed-forward network."""
    last = module.transformer_blocks[0].ff.net[2]
    return torch.as_tensor(module.proj_out.bias.float() + module.proj_out.weight.flatten(1).float() @ last.bias.float())


def _pack(*layers: Any) -> torch.Tensor:
    """Return the weights of several layers as one, of which each layer's own is a part from then on."""
    whole = torch.cat([layer.weight for layer in layers])
    for layer, part in zip(layers, whole.split([len(layer.weight) for layer in layers]), strict=True):
        layer.weight.data = part
    return whole


def _parts(packed: torch.Tensor, heads: int, count: int) -> Any:
    """Return each of `count` parts of (n, length, count * channels) by heads."""
    return packed.unflatten(2, (count, heads, -1)).permute(2, 0, 3, 1, 4)


def _linear(layer: Any, rows: torch.Tensor, out: torch.Tensor) -> None:
    torch.addmm(layer.bias, rows.flatten(0, 1), layer.weight.t(), out=out.flatten(0, 1))


def _attended(query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    return functional.scaled_dot_product_attention(query, keys, values).transpose(1, 2).flatten(2)


def _rows(pictures: torch.Tensor) -> torch.Tensor:
    """Return pictures that lie as rows as what they are; others are laid out anew."""
    return pictures.permute(0, 2, 3, 1).flatten(1, 2).contiguous()


def _pictures(rows: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    return rows.unflatten(1, tuple(size)).permute(0, 3, 1, 2)
