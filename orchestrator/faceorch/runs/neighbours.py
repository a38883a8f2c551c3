"""Runners of other faceorchs on this machine: whoever measures beside them measures them too."""

from __future__ import annotations

from collections.abc import Iterable

from faceorch.errors import EngineError
from faceorch.runtimes import Runtime

Neighbour = tuple[str, str]  # a run's id and the network


def neighbours(runtimes: Iterable[Runtime], run: str) -> frozenset[Neighbour]:
    """Return the runners that live now and belong to other runs than `run`; an engine that is away has none."""
    found: set[Neighbour] = set()
    for runtime in runtimes:
        try:
            found |= {(running.run, running.network) for running in runtime.running() if running.run != run}
        except EngineError:
            continue
    return frozenset(found)


def remark(beside: Iterable[Neighbour]) -> tuple[str, ...]:
    """Return what is to be said of a job that ran beside others; nothing when there were none."""
    names = [f"{network} of {run}" if run else network for run, network in sorted(beside)]
    if not names:
        return ()
    return (
        f"another faceorch ran at the same time ({', '.join(names)}): times are not this network's alone; "
        "run one after the other",
    )
