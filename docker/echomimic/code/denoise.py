"""One pass of upstream's denoising network, computed by its own layers, without what upstream computes for nothing.

Pictures stay (pictures, channels, height, width) from the first layer to the last. A pass takes one or more windows of
frames; with guidance each comes twice, first without sound, mask and portrait.

What is saved, with the same result:
- keys and values of the portrait: once a job, not for every frame of every window in every step;
- what the time of a step means to each layer: once a job;
- divisions by one, and wrappers around every layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn import functional

_SOUND = 3.0  # how much more than the portrait itself a frame is to follow its sound: upstream's audio_feature_ratio


def spatial_layers(network: torch.nn.Module, kind: str) -> list[Any]:
    """Return the transformer blocks of a network in the order in which upstream pairs those of two networks."""
    found: list[Any] = [module for module in network.modules() if type(module).__name__ == kind]
    return sorted(found, key=lambda module: -int(module.norm1.normalized_shape[0]))


class Denoiser:
    """Walks upstream's network, with its own operations on its own shapes: on one window, the results are the same."""

    _format = torch.contiguous_format

    def __init__(self, network: Any) -> None:
        self.network = network
        self._layers = spatial_layers(network, "TemporalBasicTransformerBlock")
        self._resnets = [module for module in network.modules() if type(module).__name__ == "ResnetBlock3D"]
        network.to(memory_format=self._format)

    @torch.no_grad()
    def begin(self, banks: Sequence[torch.Tensor], face: torch.Tensor, times: torch.Tensor) -> None:
        """Take what a job's passes have in common.

        `banks` are what each layer of the portrait's network knows of it (1, places, channels), `face` is what the mask
        means (halves, channels, 1, height, width): two halves with guidance, one without. `times` are the sampler's.
        """
        self._halves = len(face)
        self._face = face
        self._portrait = {
            id(layer): (layer.attn1.to_k(bank), layer.attn1.to_v(bank))
            for layer, bank in zip(self._layers, banks, strict=True)
        }
        network = self.network
        wide = [block.time_emb_proj.out_features for block in self._resnets]
        rows = []
        for time in times:
            known = network.time_proj(time[None].to(face.device)).to(face.dtype)
            embedded = functional.silu(network.time_embedding(known))
            rows.append(torch.cat([block.time_emb_proj(embedded) for block in self._resnets], dim=1))
        self.times = torch.cat(rows)
        self._split = wide

    def __call__(self, latents: torch.Tensor, sound: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        """Return the network's velocities (halves * windows, 4, frames, height, width).

        `latents` are (windows, 4, frames, height, width), `sound` is (windows, frames, tokens, values), and `time` is
        a row of `times`.
        """
        network, halves = self.network, self._halves
        self._frames = latents.shape[2]
        parts = time.split(self._split)
        self._time = {id(block): part for block, part in zip(self._resnets, parts, strict=True)}
        self._sound = (sound if halves == 1 else torch.cat([torch.zeros_like(sound), sound])).flatten(0, 1)
        pictures = latents.transpose(1, 2).flatten(0, 1).repeat(halves, 1, 1, 1)
        x = convolved(network.conv_in, pictures.contiguous(memory_format=self._format))
        x = (x.unflatten(0, (halves, -1)) + self._face.transpose(1, 2)).flatten(0, 1)
        skipped = [x]
        for block in network.down_blocks:
            for index, resnet in enumerate(block.resnets):
                x = self._layer(block, index, self._resnet(resnet, x))
                skipped.append(x)
            if block.downsamplers is not None:
                x = convolved(block.downsamplers[0].conv, x)
                skipped.append(x)
        x = self._resnet(network.mid_block.resnets[0], x)
        for index, resnet in enumerate(network.mid_block.resnets[1:]):
            x = self._resnet(resnet, self._layer(network.mid_block, index, x))
        for block in network.up_blocks:
            for index, resnet in enumerate(block.resnets):
                x = self._layer(block, index, self._resnet(resnet, torch.cat([x, skipped.pop()], dim=1)))
            if block.upsamplers is not None:
                x = functional.interpolate(x, scale_factor=2.0, mode="nearest")
                x = convolved(block.upsamplers[0].conv, x)
        x = convolved(network.conv_out, functional.silu(self._normalised(network.conv_norm_out, x)))
        return x.unflatten(0, (-1, self._frames)).transpose(1, 2)

    def _layer(self, block: Any, index: int, x: torch.Tensor) -> torch.Tensor:
        """What follows a block's resnet: attention within a picture, where the block has it, and over time."""
        if hasattr(block, "attentions"):
            x = self._spatial(block.attentions[index], x)
        return self._temporal(block.motion_modules[index].temporal_transformer, x)

    def _resnet(self, block: Any, x: torch.Tensor) -> torch.Tensor:
        inner = convolved(block.conv1, functional.silu(self._normalised(block.norm1, x)))
        inner = inner + self._time[id(block)][None, :, None, None]
        inner = convolved(block.conv2, functional.silu(self._normalised(block.norm2, inner)))
        return (x if block.conv_shortcut is None else convolved(block.conv_shortcut, x)) + inner

    def _spatial(self, module: Any, x: torch.Tensor) -> torch.Tensor:
        """Attention within each picture and to the portrait, then to the sound."""
        block = module.transformer_blocks[0]
        places = _places(convolved(module.proj_in, self._normalised(module.norm, x)))
        places = self._look(block, block.norm1(places)) + places
        sound = block.attn2.to_k(self._sound), block.attn2.to_v(self._sound)
        places = _attended(block.attn2, block.attn2.to_q(block.norm2(places)), *sound) * _SOUND + places
        places = self._fed(block.ff, block.norm3(places)) + places
        return convolved(module.proj_out, self._pictures(places, x)) + x

    def _look(self, block: Any, normal: torch.Tensor) -> torch.Tensor:
        """Attention of each place to all places of its picture and of the portrait."""
        attention = block.attn1
        query, *own = self._projected(attention, normal)
        blind = len(normal) // 2 if self._halves == 2 else 0  # the half that does not see the portrait
        portrait = (part.expand(len(normal) - blind, -1, -1) for part in self._portrait[id(block)])
        both = [torch.cat([mine[blind:], given], dim=1) for mine, given in zip(own, portrait, strict=True)]
        seen = _attended(attention, query[blind:], *both)
        if blind:
            seen = torch.cat([_attended(attention, query[:blind], own[0][:blind], own[1][:blind]), seen])
        return seen

    def _temporal(self, module: Any, x: torch.Tensor) -> torch.Tensor:
        """Attention of each place over the frames of its window."""
        block, frames = module.transformer_blocks[0], self._frames
        places = module.proj_in(_places(self._normalised(module.norm, x)))
        for attention, norm in zip(block.attention_blocks, block.norms, strict=True):
            over_time = norm(places).unflatten(0, (-1, frames)).transpose(1, 2).flatten(0, 1)
            over_time = over_time + attention.pos_encoder.pe[:, :frames]
            over_time = _attended(attention, *self._projected(attention, over_time))
            places = over_time.unflatten(0, (-1, places.shape[1])).transpose(1, 2).flatten(0, 1) + places
        places = self._fed(block.ff, block.ff_norm(places)) + places
        return self._pictures(module.proj_out(places), x) + x

    def _pictures(self, places: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        """Return (n, height * width, channels) as pictures of the height and width of `like`."""
        return places.unflatten(1, like.shape[2:]).permute(0, 3, 1, 2).contiguous(memory_format=self._format)

    def _normalised(self, layer: Any, x: torch.Tensor) -> torch.Tensor:
        return normalised(layer, x)

    def _projected(self, attention: Any, values: torch.Tensor) -> Sequence[torch.Tensor]:
        """Return what an attention of values to themselves asks, compares and passes on."""
        return attention.to_q(values), attention.to_k(values), attention.to_v(values)

    def _fed(self, block: Any, values: torch.Tensor) -> torch.Tensor:
        fed: torch.Tensor = block(values)
        return fed


class TunedDenoiser(Denoiser):
    """The same network in other ways, which are faster; the last bits of its results differ.

    Pictures lie in memory pixel by pixel, as convolutions and attention want them, so that nothing is copied between
    the two. One product takes the place of the three before an attention, and two contiguous ones that of a halved one.
    """

    _format = torch.channels_last

    def __init__(self, network: Any) -> None:
        super().__init__(network)
        self._joined: dict[int, torch.Tensor] = {}

    def _normalised(self, layer: Any, x: torch.Tensor) -> torch.Tensor:
        return normalised_last(layer, x)

    def _projected(self, attention: Any, values: torch.Tensor) -> Sequence[torch.Tensor]:
        weight = self._joined.get(id(attention))
        if weight is None:
            weight = torch.cat([attention.to_q.weight, attention.to_k.weight, attention.to_v.weight])
            self._joined[id(attention)] = weight
        query, keys, passed = functional.linear(values, weight).chunk(3, dim=-1)
        return query, keys, passed

    def _fed(self, block: Any, values: torch.Tensor) -> torch.Tensor:
        gate, _, out = block.net
        (kept, opened), (shift, open_shift) = gate.proj.weight.chunk(2), gate.proj.bias.chunk(2)
        opening = functional.gelu(functional.linear(values, opened, open_shift))
        return functional.linear(opening.mul_(functional.linear(values, kept, shift)), out.weight, out.bias)


def normalised(layer: Any, x: torch.Tensor) -> torch.Tensor:
    """Return group norm of pictures (n, channels, height, width)."""
    return functional.group_norm(x, layer.num_groups, layer.weight, layer.bias, layer.eps)


def normalised_last(layer: Any, x: torch.Tensor) -> torch.Tensor:
    """Return group norm of pictures that lie in memory pixel by pixel, and stay so."""
    count, channels = x.shape[:2]
    groups = x.permute(0, 2, 3, 1).unflatten(3, (layer.num_groups, -1))
    inner, values = (1, 2, 4), x[0].numel() // layer.num_groups
    mean = groups.mean(dim=inner, dtype=torch.float32)  # (pictures, groups)
    variance = torch.linalg.vector_norm(groups, dim=inner, dtype=torch.float32).square() / values - mean.square()
    scale = torch.rsqrt(variance + layer.eps)
    each = channels // layer.num_groups
    scale, mean = scale.repeat_interleave(each, 1), mean.repeat_interleave(each, 1)
    scale = scale * layer.weight.float()
    shift = (layer.bias.float() - mean * scale).to(x.dtype)
    return torch.addcmul(shift.view(count, channels, 1, 1), x, scale.to(x.dtype).view(count, channels, 1, 1))


def convolved(layer: Any, pictures: torch.Tensor) -> torch.Tensor:
    """Return what a convolution makes of pictures (n, channels, height, width)."""
    return functional.conv2d(pictures, layer.weight, layer.bias, layer.stride, layer.padding)


def _places(pictures: torch.Tensor) -> torch.Tensor:
    """Return pictures (n, channels, height, width) as (n, height * width, channels)."""
    return pictures.permute(0, 2, 3, 1).flatten(1, 2)


def _attended(attention: Any, query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """Return what places (n, length, channels) get from values to which they attend, by heads."""
    by_heads = (part.unflatten(2, (attention.heads, -1)).transpose(1, 2) for part in (query, keys, values))
    seen = functional.scaled_dot_product_attention(*by_heads)
    found: torch.Tensor = attention.to_out[0](seen.transpose(1, 2).flatten(2))
    return found
