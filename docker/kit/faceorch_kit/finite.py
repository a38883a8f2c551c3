"""Values that are not finite are kept from getting lost, so that a picture of nothing does not pass for one."""

from __future__ import annotations

import torch


def only_of_finite(made: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
    """Return `made`; all of it is NaN when not every value of `source`, which it was made of, is finite.

    For steps that hide it: what is sampled along a grid is zero where the grid is NaN, what is clamped lies within its
    bounds. A network whose values leave the range of half precision would paint a picture all the same.
    """
    # Made on the device: a number of Python's would be copied there, which waits for it and no CUDA graph can capture.
    nothing = made.new_full((), torch.nan)
    return torch.where(torch.isfinite(source).all(), made, nothing)
