"""Work that a GPU does again and again with inputs of one shape, as CUDA graphs. Torch is imported when it is needed.

Thousands of launches become one, and no kernel waits for Python. The same kernels compute the same values: what comes
out is bit for bit what the function itself returns.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    Tensors = tuple[torch.Tensor, ...]

_MOST = 2  # graphs that one function keeps
# One thread at a time captures or starts a graph. While one captures, torch's random numbers belong to that graph:
# older torch (2.3) refuses to start another one meanwhile, and to wait for a device breaks what is being captured.
_GRAPHS = threading.Lock()


class Memory:
    """Memory that graphs share which run one after another in one CUDA stream.

    What one of them puts out is taken, in that stream, before another one starts.
    """

    def __init__(self) -> None:
        self._lane: tuple[Any, torch.cuda.Stream] | None = None
        self._needed = self._reserved = 0

    def measured(self, function: Callable[..., Tensors], inputs: Tensors) -> Tensors:
        """Return what the function returns, and see how much memory it takes."""
        import torch

        with _GRAPHS:
            torch.cuda.empty_cache()
        before = _held_bytes()
        outputs = function(*inputs)
        self._needed = max(self._needed, _held_bytes() - before)
        return outputs

    def lane(self) -> tuple[Any, torch.cuda.Stream]:
        """Return torch's handle of this memory, and the stream in which all of it is captured: blocks belong to one."""
        import torch

        if self._lane is None:
            self._lane = torch.cuda.graph_pool_handle(), torch.cuda.Stream()
        return self._lane

    def reserve(self, device: torch.device) -> None:
        """Take, while a graph is captured, all that was needed in one piece.

        Piece by piece, older torch (2.3), whose graphs' memory does not grow in place, takes nearly twice as much.
        """
        import torch

        if self._needed > self._reserved:
            torch.empty(self._needed, dtype=torch.uint8, device=device)
            self._reserved = self._needed


class Graphed:
    """Captures a function of tensors when a shape comes for the second time, and replays it from then on.

    The function takes tensors and returns a tuple of them. It may not wait for the GPU (no `.item()`, no copy from or
    to the host, no indexing by a mask), and draws no random numbers. Shapes that come once, such as those of the last,
    smaller batch, run as they are, and so does everything on a CPU, and on a GPU whose memory is too small for a graph
    beside what else is there. All calls belong into one CUDA stream and one autocast region. Tensors that the function
    knows otherwise than as inputs have to live as long as this does. Functions that are given the same `memory` share
    it.
    """

    def __init__(self, function: Callable[..., Tensors], memory: Memory | None = None) -> None:
        self._function = function
        self._memory = memory or Memory()
        self._seen: set[tuple[Any, ...]] = set()
        self._graphs: dict[tuple[Any, ...], _Graph] = {}
        self._too_small = False

    def __call__(self, *inputs: torch.Tensor) -> Tensors:
        """Return what the function returns; the next call may overwrite it."""
        if inputs[0].device.type != "cuda":
            return self._function(*inputs)
        shapes = tuple(value.shape for value in inputs)
        if shapes not in self._seen:
            self._seen.add(shapes)
            return self._memory.measured(self._function, inputs)
        if shapes not in self._graphs and not self._too_small:
            if len(self._graphs) == _MOST:
                del self._graphs[next(iter(self._graphs))]
            self._capture(shapes, inputs)
        return self._graphs[shapes](inputs) if shapes in self._graphs else self._function(*inputs)

    def _capture(self, shapes: tuple[Any, ...], inputs: Tensors) -> None:
        try:
            self._graphs[shapes] = _Graph(self._function, inputs, self._memory)
        except RuntimeError as error:
            if "out of memory" not in str(error):
                raise
            self._too_small = True
            print(f"no CUDA graph: {str(error).splitlines()[0]}; the same kernels are started one by one")


class _Graph:
    """A function's work for inputs of one shape; libraries have prepared themselves in a call before."""

    def __init__(self, function: Callable[..., Tensors], inputs: Tensors, memory: Memory) -> None:
        import torch

        self._inputs = tuple(value.clone() for value in inputs)
        self._graph = torch.cuda.CUDAGraph()
        pool, stream = memory.lane()
        with _GRAPHS:
            torch.cuda.synchronize()
            torch.cuda.empty_cache()  # the graph has memory of its own
            with torch.cuda.stream(stream):
                # What other threads do on the GPU meanwhile neither ends up in the graph nor breaks it.
                self._graph.capture_begin(pool, capture_error_mode="thread_local")
                try:
                    memory.reserve(inputs[0].device)
                    self._outputs = function(*self._inputs)
                except BaseException:
                    with suppress(RuntimeError):  # what broke the capture says more
                        self._graph.capture_end()
                    raise
                self._graph.capture_end()

    def __call__(self, inputs: Tensors) -> Tensors:
        for mine, given in zip(self._inputs, inputs, strict=True):
            mine.copy_(given)
        with _GRAPHS:
            self._graph.replay()
        return self._outputs


def _held_bytes() -> int:
    """Return how much memory torch holds for the current stream, graphs' own aside."""
    import torch

    stream = torch.cuda.current_stream().cuda_stream
    found = torch.cuda.memory_snapshot()
    return sum(part["total_size"] for part in found if part["stream"] == stream and not any(part["segment_pool_id"]))
