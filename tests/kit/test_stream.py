"""A stream of frames over several cores: in order, bounded, and with its errors."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from faceorch_kit import stream


def test_results_come_in_order_whichever_is_ready_first() -> None:
    clock = stream.Clock()

    def work(item: int) -> int:
        time.sleep(0.01 if item % 2 else 0.0)
        return item * 10

    with ThreadPoolExecutor(4) as pool:
        assert list(stream.ordered(pool, work, range(20), 4, clock, "wait_s")) == [item * 10 for item in range(20)]
    assert clock.seconds["wait_s"] > 0.0


def test_no_more_is_begun_than_was_said() -> None:
    drawn, taken, most = 0, 0, 0
    hold = threading.Event()

    def items() -> Iterator[int]:
        nonlocal drawn, most
        for item in range(50):
            drawn += 1
            most = max(most, drawn - taken)
            if item == 5:
                hold.set()
            yield item

    def work(item: int) -> int:
        hold.wait(5)
        return item

    with ThreadPoolExecutor(2) as pool:
        for _ in stream.ordered(pool, work, items(), 6, stream.Clock(), "wait_s"):
            taken += 1
    assert (drawn, taken) == (50, 50)
    assert most == 6


def test_an_error_comes_out_where_its_result_would() -> None:

    def work(item: int) -> int:
        if item == 3:
            raise ValueError("frame 3")
        return item

    with ThreadPoolExecutor(2) as pool:
        results = stream.ordered(pool, work, range(10), 4, stream.Clock(), "wait_s")
        assert [next(results), next(results), next(results)] == [0, 1, 2]
        with pytest.raises(ValueError, match="frame 3"):
            next(results)


def test_batches_keep_the_rest() -> None:
    assert list(stream.batches(range(7), 3)) == [[0, 1, 2], [3, 4, 5], [6]]


def test_the_cores_are_those_of_this_process() -> None:
    assert stream.cores() >= 1


def test_what_is_on_the_host_already_needs_no_copy_and_no_torch() -> None:
    tensors = [SimpleNamespace(device=SimpleNamespace(type="cpu")) for _ in range(2)]
    first, second = stream.Landing(*tensors).wait()
    assert (first, second) == tuple(tensors)


def test_pictures_for_a_gpu_are_stacked_where_it_reads_and_nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    class Tensor(SimpleNamespace):
        def numpy(self) -> Any:
            return self.values

        def to(self, device: str, **how: object) -> Tensor:
            return Tensor(values=self.values, pinned=self.pinned, to=(device, how))

    def empty(shape: tuple[int, ...], *, dtype: Any, pin_memory: bool) -> Tensor:
        return Tensor(values=np.empty(shape, dtype), pinned=pin_memory)

    def from_numpy(values: Any) -> Tensor:
        return Tensor(values=values, dtype=values.dtype, pinned=False)

    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(from_numpy=from_numpy, empty=empty))
    pictures = [np.full((2, 3), shade, np.uint8) for shade in (7, 9)]
    on_gpu: Any = stream.sent(pictures, "cuda")
    assert (on_gpu.pinned, on_gpu.to) == (True, ("cuda", {"non_blocking": True}))
    assert on_gpu.values.dtype == np.uint8
    assert (on_gpu.values == np.stack(pictures)).all()
    on_cpu: Any = stream.sent(pictures, "cpu")
    assert (on_cpu.pinned, on_cpu.to) == (False, ("cpu", {}))
    assert (on_cpu.values == np.stack(pictures)).all()
