"""CUDA's libraries, opened while something else is done: the first product and the first convolution wait for them."""

from __future__ import annotations

import torch


def open_libraries(device: torch.device | str) -> None:
    """Let cuBLAS and cuDNN open, in a thread of the caller's; nothing waits for Python meanwhile."""
    one = torch.ones((8, 8), device=device)
    torch.nn.functional.conv1d((one @ one)[None], one[..., None])
