"""A step as one CUDA graph: thousands of kernels that a GPU starts by itself, and no CPU that it waits for."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import torch

from .denoise import Conditions, Denoiser


class Captured:
    """Computes a job's first step kernel by kernel, captures the second, and replays it from then on."""

    def __init__(self, walker: Denoiser) -> None:
        self._walker = walker
        self._graph: torch.cuda.CUDAGraph | None = None
        self._able = True

    def prepare(self, conditions: Conditions) -> None:
        """Compute what holds for every clip of a job."""
        self._graph, self._begun = None, False
        self._walker.prepare(conditions)

    def begin(self, banks: Sequence[torch.Tensor], sound: torch.Tensor) -> None:
        """Take a clip's portrait, motion frames and sound."""
        self._walker.begin(banks, sound)

    def step(self, latents: torch.Tensor, index: int) -> torch.Tensor:
        """Return the predictions of step `index`; they hold until the next step."""
        self._walker.at(index)
        if not self._begun or not self._able:
            # What is made on first use is made now: a capture can make none of it.
            self._begun = True
            return self._walker.predict(latents)
        if self._graph is None and not self._capture(latents):
            return self._walker.predict(latents)
        assert self._graph is not None
        self._latents.copy_(latents)
        self._graph.replay()
        return self._predicted

    def _capture(self, latents: torch.Tensor) -> bool:
        self._latents = latents.clone()
        # The capture gets memory of its own; what the first step left behind would stay beside it.
        torch.cuda.empty_cache()
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph):
                self._predicted = self._walker.predict(self._latents)
        except RuntimeError as error:
            if "out of memory" in str(error):
                raise
            self._able = False
            print(f"steps run kernel by kernel: {str(error).splitlines()[0]}", file=sys.stderr)
            return False
        self._graph = graph
        return True
