"""Runners of other faceorchs on this machine: whoever measures beside them measures them too."""

from __future__ import annotations

from collections.abc import Sequence

from faceorch.errors import EngineError
from faceorch.runs.events import Event, Listener, StageStarted
from faceorch.runtimes import Runtime

_WORKING = "animate"


class Neighbours:
    """The runners of other runs than `run` that were there when somebody looked."""

    def __init__(self, runtimes: Sequence[Runtime], run: str) -> None:
        self._runtimes, self._run = runtimes, run
        self._seen: set[tuple[str, str]] = set()

    def look(self) -> None:
        """Record which runners are there now; an engine that does not answer has none."""
        for runtime in self._runtimes:
            try:
                alive = runtime.running()
            except EngineError:
                continue
            self._seen |= {(running.run, running.network) for running in alive if running.run != self._run}

    def listening(self, tell: Listener) -> Listener:
        """Return a listener that hands all on, and looks when the job's own work begins."""

        def hear(event: Event) -> None:
            if isinstance(event, StageStarted) and event.name == _WORKING:
                self.look()
            tell(event)

        return hear

    def remarks(self) -> tuple[str, ...]:
        """Return what is to be said of a job that ran beside others; nothing when there were none."""
        if not self._seen:
            return ()
        names = ", ".join(f"{network} of {run}" if run else network for run, network in sorted(self._seen))
        remedy = "times are not this network's alone; run one after the other"
        return (f"another faceorch ran at the same time ({names}): {remedy}",)
