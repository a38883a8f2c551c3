"""Two runs at once on one machine: each says so."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any, cast

from faceorch.errors import EngineError
from faceorch.runs.neighbours import neighbours, remark
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


def test_runners_of_other_runs_are_named() -> None:
    found = neighbours(cast(list[Runtime], [Runners("mine", "other"), Runners()]), "mine")
    assert remark(found) == (
        "another faceorch ran at the same time (hallo of other): times are not this network's alone; "
        "run one after the other",
    )


def test_alone_there_is_nothing_to_say() -> None:
    assert remark(neighbours(cast(list[Runtime], [Runners("mine")]), "mine")) == ()
