"""A copy of the autoencoder whose group norms are kernels of our own, on pictures that lie as rows; for `tuned`."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch.nn import functional

from . import ops
from .fused import convolved

BATCH = 2  # pictures at once: more take more memory than a step does


class Norm(torch.nn.GroupNorm):  # type: ignore[misc]  # torch is not typed where this is checked
    """Takes pictures that lie as rows, and leaves them so."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the pictures, or the sequences of an attention layer, normalised by groups."""
        if x.dim() != 4:
            return functional.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)
        rows = ops.group_norm(x.permute(0, 2, 3, 1).flatten(1, 2).contiguous(), self)
        return rows.unflatten(1, x.shape[2:]).permute(0, 3, 1, 2)


class Conv(torch.nn.Conv2d):  # type: ignore[misc]
    """Adds its bias as rows."""

    def forward(self, x: torch.Tensor, *_: Any) -> torch.Tensor:
        """Return pictures, convolved."""
        rows, size = convolved(self, x.permute(0, 2, 3, 1).flatten(1, 2).contiguous(), x.shape[2:])
        return ops.add_channels(rows, self.bias).unflatten(1, size).permute(0, 3, 1, 2)


class Doubled(torch.nn.Module):  # type: ignore[misc]
    """A layer of the decoder that doubles pictures, and convolves them."""

    def __init__(self, conv: Any) -> None:
        super().__init__()
        self.conv = conv

    def forward(self, x: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
        """Return pictures twice as high and as wide."""
        height, width = x.shape[2:]
        rows = ops.double_rows(x.permute(0, 2, 3, 1).flatten(1, 2).contiguous(), (height, width))
        found: torch.Tensor = self.conv(rows.unflatten(1, (2 * height, 2 * width)).permute(0, 3, 1, 2))
        return found


def tuned(vae: Any) -> Any:
    """Return a copy of an autoencoder that decodes faster, with other rounding."""
    found = copy.deepcopy(vae)
    found.encoder = None
    for block in found.decoder.up_blocks:
        if block.upsamplers is not None:
            block.upsamplers[0] = Doubled(block.upsamplers[0].conv)
    for module in found.modules():
        if isinstance(module, torch.nn.GroupNorm):
            module.__class__ = Norm
        elif isinstance(module, torch.nn.Conv2d):
            module.__class__ = Conv
    return found.to(memory_format=torch.channels_last)
