"""How a runner is started. A runtime turns a `Launch` into a `Process`; it knows nothing of runs and records."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Protocol

from msgspec import Struct, field

from faceorch.networks.discover import Network
from faceorch.owner import Owner
from faceorch.record.reason import Reason
from faceorch.runtimes.output import Output, Stream
from faceorch.telemetry.processes import LookUp
from faceorch.telemetry.samples import Target
from faceorch.telemetry.watch import Probe
from faceorch_runner import Feed, Job, JobFile, Judge, Task, TaskFile

__all__ = [
    "Exit",
    "Launch",
    "Output",
    "Places",
    "Preparing",
    "Process",
    "Ready",
    "Running",
    "Runtime",
    "Stream",
    "job_file",
]


class Ready(Struct, frozen=True, kw_only=True):
    """A network can run in a runtime: the environment it will get."""

    identity: str
    name: str
    given: bool = False
    base: str | None = None
    builder: str | None = None
    python: str | None = None
    prepared: bool = True
    note: str = ""


class Launch(Struct, frozen=True, kw_only=True):
    """What to start. All paths are the host's; `out` exists, is empty and belongs to this job alone.

    `order` is what the runner is asked for: a job to animate, or a task.
    """

    network: Network
    environment: Ready
    owner: Owner
    run: str
    order: Job | Task
    out: Path
    job_file: Path
    weights: Path | None = None
    weights_writable: bool = False
    gpus: tuple[str, ...] = ()

    @property
    def inputs(self) -> tuple[Path, ...]:
        """The files that an order has: portrait and clip, and after them the videos to judge."""
        if not isinstance(self.order, (Job, Judge)):
            return ()
        videos = tuple(judged.video for judged in self.order.videos) if isinstance(self.order, Judge) else ()
        return (self.order.portrait, self.order.audio, *videos)


class Places(Struct, frozen=True, kw_only=True):
    """Where the runner finds what a launch speaks of, in its own file system."""

    code: Path
    weights: Path | None
    out: Path
    inputs: tuple[Path, ...]
    sandboxed: bool


def job_file(launch: Launch, places: Places) -> bytes:
    """Return the job file for a launch, as the contract's own types write it."""
    network, device = launch.network.name, "cuda" if launch.gpus else "cpu"
    if isinstance(launch.order, Job):
        portrait, audio = places.inputs
        job = dataclasses.replace(launch.order, portrait=portrait, audio=audio)
        file = JobFile(network, places.code, places.weights, places.out, device, Feed.STDIN, (job,)).to_json()
    else:
        task = launch.order
        if isinstance(task, Judge):
            portrait, audio, *files = places.inputs
            videos = tuple(
                dataclasses.replace(known, video=file) for known, file in zip(task.videos, files, strict=True)
            )
            task = dataclasses.replace(task, portrait=portrait, audio=audio, videos=videos)
        file = TaskFile(
            network,
            places.code,
            places.weights,
            places.out,
            device,
            Feed.STDIN,
            sandboxed=places.sandboxed,
            task=task,
        ).to_json()
    return json.dumps(file, indent=1).encode()


class Exit(Struct, frozen=True, kw_only=True):
    """How a runner ended: `code` is None when nobody knows, `signal` is set when a signal ended it."""

    code: int | None
    signal: int | None = None
    oom_killed: bool = False


class Process(Protocol):
    """A started runner."""

    @property
    def target(self) -> Target:
        """What its processes are known by, for whoever watches the machine."""

    @property
    def probe(self) -> Probe:
        """A reader of what it uses of the host."""

    @property
    def look_up(self) -> LookUp:
        """What tells whose a process of its host is."""

    @property
    def output(self) -> Output:
        """Pieces of output as they arrive; None once both streams have ended."""

    def send(self, line: bytes) -> None:
        """Write one line to the runner's stdin."""

    def stop(self) -> None:
        """End it: stdin first (the lifeline), then a polite signal, then a kill; returns when it is gone."""

    def wait(self, limit_s: float) -> Exit | None:
        """Return how it ended, None when it is still there after `limit_s`; `UserError` when nobody can tell."""


class Preparing(Struct):
    """How `prepare` tells what it is doing: one line at a time, and everything to a log file."""

    log: Path
    line: Callable[[str], None] = field(default=lambda _: None)


class Running(Struct, frozen=True, kw_only=True):
    """A runner that lives now, started by any faceorch; `key` is its container's or process's id."""

    key: str
    network: str
    run: str
    started: datetime
    target: Target
    probe: Probe
    look_up: LookUp


class Runtime(Protocol):
    """One way to start runners."""

    name: str

    @property
    def elsewhere(self) -> str:
        """Why this machine's GPUs say nothing about the runners; empty when they run on this machine."""

    def ready(self, network: Network, base: str, *, gpu: bool = False) -> Ready | Reason:
        """Return whether `network` could run here on `base` now (or after `prepare`), without changing anything.

        `gpu`: it will be given GPUs.
        """

    def prepare(self, network: Network, ready: Ready, preparing: Preparing) -> Ready:
        """Make the environment, when `ready.prepared` is False; `UserError` when that fails."""

    def start(self, launch: Launch) -> AbstractContextManager[Process]:
        """Start the runner; leaving the context removes everything that was started, on every path."""

    def running(self) -> list[Running]:
        """Return the runners that live now, the oldest first."""

    def sweep(self) -> list[str]:
        """Remove what dead owners left behind; return one line per thing removed."""
