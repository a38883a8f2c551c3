"""What is captured and when. Whether a graph gives the same bits is for a GPU (docs/benchmarks.md)."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from faceorch_kit import graphed


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
        def __init__(self, function: Any, inputs: Any) -> None:
            found.captured.append(inputs[0].shape)
            self.function = function

        def __call__(self, inputs: Any) -> Any:
            found.replayed += 1
            before = list(found.plain)
            outputs = self.function(*inputs)
            found.plain = before
            return outputs

    monkeypatch.setattr(graphed, "_Graph", Graph)
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


def test_on_a_cpu_nothing_is_captured(calls: Calls) -> None:
    run = graphed.Graphed(calls)
    for _ in range(3):
        run(Value(0.0, device="cpu"))
    assert (len(calls.plain), calls.captured) == (3, [])
