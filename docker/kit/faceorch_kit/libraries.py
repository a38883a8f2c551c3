"""CUDA's libraries, opened while something else is done: the first product and the first convolution wait for them."""

from __future__ import annotations

import torch

from .half import SOURCE
from .nvrtc import prepare


def open_libraries(device: torch.device | str, *, tuned: bool = False) -> None:
    """Let cuBLAS and cuDNN open, in a thread of the caller's; nothing waits for Python meanwhile.

    `tuned`: and let the kernels of `half` be compiled in a thread of their own, if this is a GPU.
    """
    one = torch.ones((8, 8), device=device)
    if tuned and one.is_cuda:
        prepare(SOURCE)
    torch.nn.functional.conv1d((one @ one)[None], one[..., None])
