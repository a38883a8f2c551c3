"""What is captured and when. Whether a graph gives the same bits is for a GPU (docs/benchmarks.md)."""

from __future__ import annotations

import sys
import threading
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest

from faceorch_kit import graphed
from tests.conftest import LIMIT_S


class Value:
    """Stands in for a tensor."""

    def __init__(self, value: float, shape: tuple[int, ...] = (2,), device: str = "cuda") -> None:
        self.value, self.shape, self.device = value, shape, SimpleNamespace(type=device)


class Calls:
    """The function, and how often it ran by itself and as a graph."""

    def __init__(self) -> None:
        self.plain: list[tuple[int, ...]] = []
        self.captured: list[tuple[int, ...]] = []
        self.replayed = 0

    def __call__(self, *inputs: Any) -> Any:
        self.plain.append(inputs[0].shape)
        return (Value(sum(value.value for value in inputs), inputs[0].shape),)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    found = Calls()

    class Graph:
        def __init__(self, function: Any, inputs: Any, memory: Any) -> None:
            found.captured.append(inputs[0].shape)
            self.function = function

        def __call__(self, inputs: Any) -> Any:
            found.replayed += 1
            before = list(found.plain)
            outputs = self.function(*inputs)
            found.plain = before
            return outputs

    monkeypatch.setattr(graphed, "_Graph", Graph)
    monkeypatch.setattr(graphed.Memory, "measured", lambda _, function, inputs: function(*inputs))
    return found


def test_a_shape_that_comes_twice_is_captured_and_one_that_comes_once_is_not(calls: Calls) -> None:
    run = graphed.Graphed(calls)
    results = [run(Value(n), Value(1.0))[0].value for n in range(4)]
    assert run(Value(7.0, (1,)), Value(1.0))[0].value == 8.0
    assert results == [1.0, 2.0, 3.0, 4.0]
    assert (calls.plain, calls.captured, calls.replayed) == ([(2,), (1,)], [(2,)], 3)


def test_not_more_than_two_graphs_are_kept_and_the_oldest_goes(calls: Calls) -> None:
    run = graphed.Graphed(calls)
    for size in (1, 2, 3, 1):
        for _ in range(2):
            run(Value(0.0, (size,)))
    assert calls.captured == [(1,), (2,), (3,), (1,)]
    run(Value(0.0, (3,)))
    assert len(calls.captured) == 4


def test_a_gpu_that_is_too_small_for_a_graph_goes_on_without(
    calls: Calls, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def graph(function: Any, inputs: Any, memory: Any) -> Any:
        calls.captured.append(inputs[0].shape)
        raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB.\nMore of it.")

    monkeypatch.setattr(graphed, "_Graph", graph)
    run = graphed.Graphed(calls)
    assert [run(Value(n))[0].value for n in range(4)] == [0, 1, 2, 3]
    assert (len(calls.plain), calls.captured) == (4, [(2,)]), "asked for once"
    said = "no CUDA graph: CUDA out of memory. Tried to allocate 2.00 GiB.; the same kernels are started one by one\n"
    assert capsys.readouterr().out == said


def test_what_else_goes_wrong_in_a_graph_is_an_error(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    def graph(function: Any, inputs: Any, memory: Any) -> Any:
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(graphed, "_Graph", graph)
    run = graphed.Graphed(calls)
    run(Value(1.0))
    with pytest.raises(RuntimeError, match="not permitted"):
        run(Value(1.0))


class Cuda:
    """Stands in for torch.cuda: a capture is open from its begin to its end, and no graph may start meanwhile."""

    def __init__(self) -> None:
        self.capturing, self.replayed, self.wrong = 0, 0, 0
        self.held, self.pools, self.lanes = 0, 0, 0
        self.CUDAGraph = lambda: self

    def torch(self) -> SimpleNamespace:
        """Return what stands in for torch itself."""
        self.reserved: list[int] = []
        return SimpleNamespace(cuda=self, uint8=0, empty=lambda size, dtype, device: self.reserved.append(size))

    def synchronize(self) -> None:
        self.wrong += self.capturing

    empty_cache = synchronize

    def stream(self, stream: Any) -> Any:
        return nullcontext()

    def Stream(self) -> None:  # noqa: N802 - torch's name
        self.lanes += 1

    def current_stream(self) -> SimpleNamespace:
        return SimpleNamespace(cuda_stream=7)

    def graph_pool_handle(self) -> tuple[int, int]:
        self.pools += 1
        return (0, self.pools)

    def memory_snapshot(self) -> list[dict[str, Any]]:
        return [
            {"total_size": self.held, "stream": 7, "segment_pool_id": (0, 0)},
            {"total_size": 10**6, "stream": 8, "segment_pool_id": (0, 0)},
            {"total_size": 10**7, "stream": 7, "segment_pool_id": (0, 1)},
        ]

    def capture_begin(self, pool: Any, capture_error_mode: str) -> None:
        self.capturing += 1

    def capture_end(self) -> None:
        self.capturing -= 1

    def replay(self) -> None:
        self.wrong += self.capturing  # torch 2.3: "CUDA generator expects graph capture to be underway"
        self.replayed += 1


class Given(Value):
    """A tensor that can be copied."""

    def clone(self) -> Given:
        return self

    def copy_(self, other: Given) -> None:
        self.value = other.value


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> Cuda:
    found = Cuda()
    monkeypatch.setitem(sys.modules, "torch", found.torch())
    return found


def test_graphs_of_one_memory_are_captured_in_one_stream_and_reserve_once_what_most_takes(cuda: Cuda) -> None:
    def taking(size: int) -> Any:
        def function(*inputs: Any) -> Any:
            if not cuda.capturing:
                cuda.held += size
            return inputs

        return function

    memory = graphed.Memory()
    small, large = graphed.Graphed(taking(100), memory), graphed.Graphed(taking(700), memory)
    for _ in range(3):
        small(Given(1.0))
        large(Given(1.0))
    assert cuda.reserved == [700], "when the first is captured, both have run"
    assert (cuda.pools, cuda.lanes, cuda.replayed) == (1, 1, 4)
    other = graphed.Graphed(taking(50))
    for _ in range(2):
        other(Given(1.0))
    assert (cuda.reserved, cuda.pools) == ([700, 50], 2)


def test_what_breaks_a_capture_is_told_and_the_capture_is_over(cuda: Cuda) -> None:
    def function(*inputs: Any) -> Any:
        if cuda.capturing:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return inputs

    def end() -> None:
        cuda.capturing -= 1
        raise RuntimeError("the capture is not valid")

    cuda.capture_end = end  # type: ignore[method-assign]
    run = graphed.Graphed(function)
    for _ in range(3):
        run(Given(1.0))
    assert (cuda.capturing, cuda.replayed) == (0, 0)


def test_no_graph_starts_while_another_thread_captures_one(cuda: Cuda) -> None:
    inside, go_on = threading.Event(), threading.Event()

    def slow(*inputs: Any) -> Any:
        if cuda.capturing:
            inside.set()
            assert go_on.wait(LIMIT_S)
        return inputs

    quick = graphed.Graphed(lambda *inputs: inputs)
    for _ in range(2):
        quick(Given(1.0))
    run, started = graphed.Graphed(slow), cuda.replayed
    run(Given(1.0))
    capturing = threading.Thread(target=run, args=(Given(1.0),))
    capturing.start()
    assert inside.wait(LIMIT_S)
    replaying = threading.Thread(target=quick, args=(Given(2.0),))
    replaying.start()
    replaying.join(0.2)
    assert replaying.is_alive(), "it waits for the capture"
    assert cuda.replayed == started
    go_on.set()
    for thread in (capturing, replaying):
        thread.join(LIMIT_S)
    assert (cuda.replayed, cuda.wrong) == (started + 2, 0)


def test_on_a_cpu_nothing_is_captured(calls: Calls) -> None:
    run = graphed.Graphed(calls)
    for _ in range(3):
        run(Value(0.0, device="cpu"))
    assert (len(calls.plain), calls.captured) == (3, [])
