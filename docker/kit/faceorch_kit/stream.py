"""Work on a stream of frames: spread over cores, in order, and never more in memory than is being worked on.

Torch is needed for what goes to a device and comes from it.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt
    import torch

_In = TypeVar("_In")
_Out = TypeVar("_Out")


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0))


class Clock:
    """Adds up where the time of a thread goes; `seconds` by name, each name of one thread."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Book the time within as `name`."""
        started_s = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] += time.monotonic() - started_s


def ordered(
    pool: Executor, work: Callable[[_In], _Out], items: Iterable[_In], ahead: int, clock: Clock, name: str
) -> Iterator[_Out]:
    """Yield `work(item)` for each item, in order, with at most `ahead` of them begun and not yet taken.

    The items are drawn in the calling thread. The time spent waiting for a result is booked as `name`.
    """
    begun: deque[Future[_Out]] = deque()
    try:
        for item in items:
            begun.append(pool.submit(work, item))
            while len(begun) >= ahead or (begun and begun[0].done()):
                yield _taken(begun.popleft(), clock, name)
        while begun:
            yield _taken(begun.popleft(), clock, name)
    finally:
        for future in begun:
            future.cancel()


def _taken(future: Future[_Out], clock: Clock, name: str) -> _Out:
    with clock(name):
        return future.result()


def batches(items: Iterable[_In], size: int) -> Iterator[list[_In]]:
    """Yield `size` items at a time; the last batch may be smaller."""
    source = iter(items)
    while batch := list(islice(source, size)):
        yield batch


def sent(pictures: Sequence[npt.NDArray[Any]], device: str) -> torch.Tensor:
    """Return arrays of one shape as one tensor on a device, and wait for nothing that a GPU is already doing.

    Stacked by numpy into the memory that the GPU reads: torch would copy with a thread for each core, all of which are
    at work here.
    """
    import torch

    if device != "cuda":
        return torch.from_numpy(np.stack(pictures)).to(device)
    kind = torch.from_numpy(pictures[0]).dtype
    host = torch.empty((len(pictures), *pictures[0].shape), dtype=kind, pin_memory=True)
    np.stack(pictures, out=host.numpy())
    return host.to(device, non_blocking=True)


class Landing:
    """Tensors of one device on their way to the host, which goes on meanwhile."""

    def __init__(self, *tensors: torch.Tensor) -> None:
        self._tensors = tensors
        self._arrived: torch.cuda.Event | None = None
        if any(tensor.device.type == "cuda" for tensor in tensors):
            import torch

            self._tensors = tuple(_start_copy(torch, tensor) for tensor in tensors)
            self._arrived = torch.cuda.Event()
            self._arrived.record()

    def wait(self) -> tuple[torch.Tensor, ...]:
        """Return the tensors once they are there."""
        if self._arrived is not None:
            self._arrived.synchronize()
        return self._tensors


def _start_copy(torch: Any, tensor: torch.Tensor) -> torch.Tensor:
    """Start an asynchronous copy to pinned host memory; it is valid once a CUDA event recorded after it completes."""
    host: torch.Tensor = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
    return host.copy_(tensor, non_blocking=True)
