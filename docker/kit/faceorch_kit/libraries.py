"""CUDA's libraries, opened while something else is done: the first product and the first convolution wait for them."""

from __future__ import annotations

import torch

from .half import SOURCE
from .nvrtc import prepare


def open_libraries(device: torch.device | str, *, tuned: bool = False) -> None:
    """Let torch make what it has of its own in cuBLAS and cuDNN, in a thread of the caller's.

    Nothing waits for Python meanwhile. The runner has opened both for this process by then, or is at it.

    `tuned`: and let the kernels of `half` be compiled in a thread of their own, if this is a GPU.
    """
    one = torch.ones((8, 8), device=device)
    if tuned and one.is_cuda:
        prepare(SOURCE)
    torch.nn.functional.conv1d((one @ one)[None], one[..., None])
