"""The decoder of upstream's autoencoder, computed by its own layers for several pictures at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional

from .denoise import convolved, normalised, normalised_last


@dataclass(frozen=True, eq=False)
class Decoded:
    """What the autoencoder returns."""

    sample: torch.Tensor


class Decoder:
    """Decodes each picture with the operations that decode one alone, so that results are the same.

    Only group norm takes all at once: for one picture it is half of the time, most of a GPU being idle, and it adds up
    each group of each picture by itself in any case.
    """

    _format = torch.contiguous_format

    def __init__(self, vae: Any) -> None:
        self._vae = vae
        for part in (vae.post_quant_conv, vae.decoder):  # not what encodes portraits, of later jobs too
            part.to(memory_format=self._format)

    def decode(self, latents: torch.Tensor) -> Decoded:
        """Return the pictures (n, 3, height, width) in -1..1 of scaled latents (n, 4, height/8, width/8)."""
        network = self._vae.decoder
        x = self._convolved(self._vae.post_quant_conv, latents.contiguous(memory_format=self._format))
        x = self._convolved(network.conv_in, x)
        first, second = network.mid_block.resnets
        x = self._resnet(second, self._attention(network.mid_block.attentions[0], self._resnet(first, x)))
        for block in network.up_blocks:
            for resnet in block.resnets:
                x = self._resnet(resnet, x)
            if block.upsamplers is not None:
                x = functional.interpolate(x, scale_factor=2.0, mode="nearest")
                x = self._convolved(block.upsamplers[0].conv, x)
        return Decoded(self._convolved(network.conv_out, self._activated(network.conv_norm_out, x)))

    def _resnet(self, block: Any, x: torch.Tensor) -> torch.Tensor:
        inner = self._convolved(block.conv1, self._activated(block.norm1, x))
        inner = self._convolved(block.conv2, self._activated(block.norm2, inner))
        return inner.add_(x if block.conv_shortcut is None else self._convolved(block.conv_shortcut, x))

    def _attention(self, block: Any, x: torch.Tensor) -> torch.Tensor:
        """Attention of each place to all others, by one head."""
        normal = self._normalised(block.group_norm, x)
        return torch.cat([_attended(block, part) for part in self._parts(normal)]) + x

    def _activated(self, layer: Any, x: torch.Tensor) -> torch.Tensor:
        return functional.silu(self._normalised(layer, x), inplace=True)

    def _convolved(self, layer: Any, x: torch.Tensor) -> torch.Tensor:
        parts = self._parts(x)
        first = convolved(layer, parts[0])
        if len(parts) == 1:
            return first
        out = first.new_empty(len(x), *first.shape[1:])
        out[:1] = first
        for index, part in enumerate(parts[1:], 1):
            out[index : index + 1] = convolved(layer, part)
        return out

    def _normalised(self, layer: Any, x: torch.Tensor) -> torch.Tensor:
        return normalised(layer, x)

    def _parts(self, x: torch.Tensor) -> Sequence[torch.Tensor]:
        parts: Sequence[torch.Tensor] = x.split(1)
        return parts


class TunedDecoder(Decoder):
    """Decodes all pictures at once, which lie in memory pixel by pixel; the last bits of the results differ."""

    _format = torch.channels_last

    def _normalised(self, layer: Any, x: torch.Tensor) -> torch.Tensor:
        return normalised_last(layer, x)

    def _parts(self, x: torch.Tensor) -> Sequence[torch.Tensor]:
        return (x,)


def _attended(block: Any, normal: torch.Tensor) -> torch.Tensor:
    # Laid out as upstream's: the values of a place are not neighbours, and the products run on that.
    places = normal.flatten(2).transpose(1, 2)
    query, keys, values = (layer(places)[:, None] for layer in (block.to_q, block.to_k, block.to_v))
    seen = block.to_out[0](functional.scaled_dot_product_attention(query, keys, values)[:, 0])
    return seen.transpose(1, 2).unflatten(2, normal.shape[2:])
