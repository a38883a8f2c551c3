"""Two runs at once on one machine: each says so."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any, cast

from faceorch.errors import EngineError
from faceorch.runs.events import Event, StageStarted
from faceorch.runs.neighbours import Neighbours
from faceorch.runtimes import Running, Runtime


class Runners:
    """A runtime in which runners of these runs live."""

    def __init__(self, *runs: str) -> None:
        self.runs = runs

    def running(self) -> list[Running]:
        if not self.runs:
            raise EngineError("no engine", "start it")
        nothing = cast(Any, None)
        when = datetime.now(timezone.utc)
        return [
            Running(key="1", network="hallo", run=run, started=when, target=nothing, probe=nothing, look_up=nothing)
            for run in self.runs
        ]


def beside(*runtimes: Runners) -> Neighbours:
    return Neighbours(cast(list[Runtime], runtimes), "mine")


SAID = (
    "another faceorch ran at the same time (hallo of other): times are not this network's alone; "
    "run one after the other"
)


def test_runners_of_other_runs_are_named() -> None:
    seen = beside(Runners("mine", "other"), Runners())
    seen.look()
    assert seen.remarks() == (SAID,)


def test_alone_there_is_nothing_to_say() -> None:
    seen = beside(Runners("mine"))
    seen.look()
    assert seen.remarks() == ()


def test_those_that_came_and_went_meanwhile_are_seen_while_the_job_works() -> None:
    heard: list[Event] = []
    seen = beside(Runners("other"))
    listening = seen.listening(heard.append)
    listening(StageStarted(network="baseline", name="load"))
    assert seen.remarks() == ()
    listening(StageStarted(network="baseline", name="animate"))
    assert seen.remarks() == (SAID,)
    assert [getattr(event, "name", "") for event in heard] == ["load", "animate"]
