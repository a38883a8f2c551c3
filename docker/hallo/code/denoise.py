"""One step of upstream's denoising network, computed by its own layers, without what upstream computes for nothing.

Upstream's forward pass is for training: only in train mode, with gradient checkpointing, do its blocks use the motion
frames and the weights of pose, face and lips. Here that path is walked directly. Pictures stay (pictures, channels,
height, width) from the first layer to the last, the unconditional half first.

What is saved, with the same result:
- attention to the portrait for the unconditional half, which upstream computes and overwrites (a tenth of all work);
- keys and values of the portrait, the identity and the sound: once a clip or a job, not in every step;
- what the time of a step means to each layer: once a job;
- wrappers, masks whose use waits for the GPU, divisions by one, copies between layouts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional

HALVES = 2  # unconditional and conditional


@dataclass(eq=False)
class Conditions:
    """What a job's steps have in common."""

    tokens: torch.Tensor  # (halves, tokens, values) of the portrait's identity
    face: torch.Tensor  # (halves * frames, channels, height, width): where the face is
    masks: Sequence[Sequence[torch.Tensor]]  # of pose, face and lips: (halves * frames, height * width) a level
    weights: Sequence[float]  # of pose, face and lips
    times: torch.Tensor  # (steps,) of the sampler
    frames: int


class Denoiser:
    """Walks upstream's network; `exact` results."""

    def __init__(self, network: Any) -> None:
        self.network = network
        self._spatial_layers = sorted(
            (module for module in network.modules() if type(module).__name__ == "TemporalBasicTransformerBlock"),
            key=lambda module: -module.norm1.normalized_shape[0],
        )

    def prepare(self, conditions: Conditions) -> None:
        """Compute what holds for every clip of a job."""
        self._job = conditions
        self._times: list[dict[int, torch.Tensor]] = []
        for time in conditions.times:
            known = self.network.time_proj(time.expand(HALVES)).to(conditions.face.dtype)
            embedded = functional.silu(self.network.time_embedding(known))
            meaning = {id(block): self._time_of(block, block.time_emb_proj(embedded)) for block in self._resnets()}
            self._times.append(meaning)
        repeated = conditions.tokens.repeat_interleave(conditions.frames, 0)
        self._identity = {id(block): keys_of(block.attn2, repeated) for block in self._spatial_layers}

    def begin(self, banks: Sequence[torch.Tensor], sound: torch.Tensor) -> None:
        """Take a clip's portrait and motion frames, one (halves * 3, places, channels) a layer, and its sound.

        `sound` is (halves, frames, tokens, values); the unconditional half is silent.
        """
        self._portrait, self._motion = {}, {}
        for block, bank in zip(self._spatial_layers, banks, strict=True):
            pictures = bank.unflatten(0, (HALVES, -1))
            self._portrait[id(block)] = keys_of(block.attn1, pictures[:, 0])
            self._motion[id(block)] = pictures[:, 1:]
        heard = sound.flatten(0, 1)
        attentions = [attention for block in self._audio_layers() for attention in three(block)]
        self._sound = {id(attention): keys_of(attention, heard) for attention in attentions}

    def step(self, latents: torch.Tensor, index: int) -> torch.Tensor:
        """Return the predictions (halves, 4, frames, height, width) of step `index` for latents (1, 4, frames, ...)."""
        network, self._time = self.network, self._times[index]
        pictures = latents.transpose(1, 2).expand(HALVES, -1, -1, -1, -1).flatten(0, 1)
        x = self._begun(_convolved(network.conv_in, pictures) + self._job.face)
        skipped = [x]
        for block in network.down_blocks:
            x = self._block(block, x, skipped)
            if block.downsamplers is not None:
                x = self._sampled(block.downsamplers[0].conv, x)
                skipped.append(x)
        x = self._middle(network.mid_block, x)
        for block in network.up_blocks:
            for index, resnet in enumerate(block.resnets):
                x = self._layer(block, index, resnet, torch.cat([x, skipped.pop()], dim=1))
            if block.upsamplers is not None:
                x = self._sampled(block.upsamplers[0].conv, self._doubled(x))
        return self._ended(x).unflatten(0, (HALVES, -1)).transpose(1, 2)

    def _time_of(self, _block: Any, time: torch.Tensor) -> torch.Tensor:
        """Return what a time (halves, channels) adds to a block's pictures."""
        return time

    def _begun(self, x: torch.Tensor) -> torch.Tensor:
        """Lay the first pictures out as the layers take them."""
        return x

    def _ended(self, x: torch.Tensor) -> torch.Tensor:
        """Return the predictions (pictures, 4, height, width) of the last pictures."""
        return _convolved(self.network.conv_out, functional.silu(normalised(self.network.conv_norm_out, x)))

    def _block(self, block: Any, x: torch.Tensor, skipped: list[torch.Tensor]) -> torch.Tensor:
        for index, resnet in enumerate(block.resnets):
            x = self._layer(block, index, resnet, x)
            skipped.append(x)
        return x

    def _layer(self, block: Any, index: int, resnet: Any, x: torch.Tensor) -> torch.Tensor:
        """One layer of a block. Blocks without attention leave out their motion modules too, as upstream trained."""
        x = self._resnet(resnet, x)
        if not hasattr(block, "attentions"):
            return x
        return self._attend(block, index, x)

    def _middle(self, block: Any, x: torch.Tensor) -> torch.Tensor:
        x = self._resnet(block.resnets[0], x)
        for index, resnet in enumerate(block.resnets[1:]):
            x = self._resnet(resnet, self._attend(block, index, x))
        return x

    def _attend(self, block: Any, index: int, x: torch.Tensor) -> torch.Tensor:
        spatial = block.attentions[index]
        x = self._spatial(spatial, x)
        x = self._audio(block.audio_modules[index], x)
        layer = spatial.transformer_blocks[0]
        return self._moved(block.motion_modules[index].temporal_transformer, x, self._motion[id(layer)])

    def _doubled(self, x: torch.Tensor) -> torch.Tensor:
        return torch.as_tensor(functional.interpolate(x, scale_factor=2.0, mode="nearest"))

    def _sampled(self, layer: Any, x: torch.Tensor) -> torch.Tensor:
        """The convolution that halves or follows a doubling."""
        return _convolved(layer, x)

    def _resnet(self, block: Any, x: torch.Tensor) -> torch.Tensor:
        inner = _convolved(block.conv1, functional.silu(normalised(block.norm1, x)))
        time = self._time[id(block)]
        inner = (inner.unflatten(0, (HALVES, -1)) + time[:, None, :, None, None]).flatten(0, 1)
        inner = _convolved(block.conv2, functional.silu(normalised(block.norm2, inner)))
        return (x if block.conv_shortcut is None else _convolved(block.conv_shortcut, x)) + inner

    def _spatial(self, module: Any, x: torch.Tensor) -> torch.Tensor:
        """Attention within each picture, to the portrait and to the identity."""
        block = module.transformer_blocks[0]
        places = places_of(module.proj_in(module.norm(x)))
        normal = block.norm1(places)
        places = self._look(block, normal) + places
        places = attend(block.attn2, block.norm2(places), *self._identity[id(block)]) + places
        places = block.ff(block.norm3(places)) + places
        return module.proj_out(_pictures(places, x)) + x

    def _look(self, block: Any, normal: torch.Tensor) -> torch.Tensor:
        """Attention of both halves to themselves, and of the conditional one to the portrait as well."""
        attention, frames = block.attn1, len(normal) // HALVES
        query = _heads(attention, attention.to_q(normal))
        own_keys, own_values = keys_of(attention, normal)
        keys = self._beside(own_keys[frames:], self._portrait[id(block)][0])
        values = self._beside(own_values[frames:], self._portrait[id(block)][1])
        unconditional = functional.scaled_dot_product_attention(query[:frames], own_keys[:frames], own_values[:frames])
        conditional = functional.scaled_dot_product_attention(query[frames:], keys, values)
        return attention.to_out[0](_joined(torch.cat([unconditional, conditional])))

    @staticmethod
    def _beside(own: torch.Tensor, portrait: torch.Tensor) -> torch.Tensor:
        """Return (frames, heads, length, size) of the frames themselves, followed by those of the portrait's halves.

        Upstream repeats the two halves in turn, so that every other frame looks at the unconditional one.
        """
        frames, length = len(own), own.shape[2]
        both = own.new_empty((frames, length + portrait.shape[2], own.shape[1], own.shape[3])).transpose(1, 2)
        both[:, :, :length] = own
        for half in range(HALVES):
            both[half::HALVES, :, length:] = portrait[(frames + half) % HALVES]
        return both

    def _audio(self, module: Any, x: torch.Tensor) -> torch.Tensor:
        """Attention within each picture, and to the sound by pose, face and lips, each where its mask is."""
        block = module.transformer_blocks[0]
        places = places_of(module.proj_in(module.norm(x)))
        normal = block.norm1(places)
        places = attend(block.attn1, normal, *keys_of(block.attn1, normal)) + places
        normal = block.norm2(places)
        moved = []
        zeros = (block.zero_conv_full, block.zero_conv_face, block.zero_conv_lip)
        for attention, zero, masks, weight in zip(three(block), zeros, self._job.masks, self._job.weights, strict=True):
            heard = attend(attention, normal, *self._sound[id(attention)]) * masks[block.depth][:, :, None]
            picture = heard.unflatten(1, x.shape[2:]).permute(0, 3, 1, 2)
            moved.append(weight * zero(picture).permute(0, 2, 3, 1).flatten(1, 2))
        places = moved[0] + moved[1] + moved[2] + places
        places = block.ff(block.norm3(places)) + places
        return module.proj_out(_pictures(places, x)) + x

    def _moved(self, module: Any, x: torch.Tensor, motion: torch.Tensor) -> torch.Tensor:
        """Attention of each place over time, with the last frames of the clip before in front."""
        block = module.transformer_blocks[0]
        before = motion.to(x.dtype).transpose(2, 3).unflatten(3, x.shape[2:])
        x = torch.cat([before, x.unflatten(0, (HALVES, -1))], dim=1)
        frames, x = x.shape[1], x.flatten(0, 1)
        places = module.proj_in(places_of(module.norm(x)))
        for attention, norm in zip(block.attention_blocks, block.norms, strict=True):
            over_time = norm(places).unflatten(0, (HALVES, frames)).transpose(1, 2).flatten(0, 1)
            over_time = over_time + attention.pos_encoder.pe[:, :frames]
            over_time = attend(attention, over_time, *keys_of(attention, over_time))
            places = over_time.unflatten(0, (HALVES, -1)).transpose(1, 2).flatten(0, 1) + places
        places = block.ff(block.ff_norm(places)) + places
        x = _pictures(module.proj_out(places), x) + x
        return x.unflatten(0, (HALVES, frames))[:, frames - self._job.frames :].flatten(0, 1)

    def _resnets(self) -> Iterator[Any]:
        return (module for module in self.network.modules() if type(module).__name__ == "ResnetBlock3D")

    def _audio_layers(self) -> Iterator[Any]:
        return (
            module for module in self.network.modules() if type(module).__name__ == "AudioTemporalBasicTransformerBlock"
        )


def lay_out(network: Any) -> None:
    """Lay convolutions' weights out as a GPU's kernels want them; on a CPU that would change the last bits."""
    for module in network.modules():
        ends = module in (network.conv_in, network.conv_out)
        if isinstance(module, torch.nn.Conv2d) and module.weight.is_cuda and not ends:
            module.weight.data = module.weight.data.contiguous(memory_format=torch.channels_last)


def three(block: Any) -> tuple[Any, Any, Any]:
    """Return the attentions to the sound of pose, face and lips."""
    return block.attn2_0, block.attn2_1, block.attn2_2


def _convolved(layer: Any, pictures: torch.Tensor) -> torch.Tensor:
    return functional.conv2d(pictures, layer.weight, layer.bias, layer.stride, layer.padding)


def normalised(layer: Any, pictures: torch.Tensor) -> torch.Tensor:
    """Return pictures after a group norm."""
    return functional.group_norm(pictures, layer.num_groups, layer.weight, layer.bias, layer.eps)


def places_of(pictures: torch.Tensor) -> torch.Tensor:
    """Return pictures (n, channels, height, width) as (n, height * width, channels)."""
    return pictures.permute(0, 2, 3, 1).flatten(1, 2)


def _pictures(places: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Return (n, height * width, channels) as pictures of the height and width of `like`."""
    return places.unflatten(1, like.shape[2:]).permute(0, 3, 1, 2).contiguous()


def _heads(attention: Any, values: torch.Tensor) -> torch.Tensor:
    """Return (n, length, channels) as (n, heads, length, channels of a head)."""
    return values.unflatten(2, (attention.heads, -1)).transpose(1, 2)


def _joined(values: torch.Tensor) -> torch.Tensor:
    return values.transpose(1, 2).flatten(2)


def keys_of(attention: Any, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return keys and values of an attention, by heads."""
    return _heads(attention, attention.to_k(values)), _heads(attention, attention.to_v(values))


def attend(attention: Any, places: torch.Tensor, keys: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """Return what places (n, length, channels) get from keys and values."""
    query = _heads(attention, attention.to_q(places))
    return attention.to_out[0](_joined(functional.scaled_dot_product_attention(query, keys, values)))
