"""What a runner does besides animating: stand-in weights for smoke tests, and repacking weights as safetensors.

A job file with an `op` asks for it: `synthetic` or `convert` (docs/contribute/network-weights.md).
"""

from __future__ import annotations

import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .errors import JobFileError, RunnerError
from .events import EventKind, EventStream
from .jobs import SCHEMA, Feed, job_file_fields, json_object, nothing_left, take
from .lifeline import EXIT_OWNER_DIED
from .network import load_module

MARKER = "SYNTHETIC"


@dataclass(frozen=True)
class Synthetic:
    """Write stand-in weights below the weights folder; `full`: in the dimensions of the real ones."""

    full: bool


@dataclass(frozen=True)
class Conversion:
    """One file to repack: paths below the weights folder and below `out`, the entry that holds the tensors, and
    whether floats become fp16."""

    source: str
    target: str
    key: str | None
    half: bool


@dataclass(frozen=True)
class Convert:
    """Repack weights as safetensors."""

    files: tuple[Conversion, ...]


Task = Synthetic | Convert


@dataclass(frozen=True)
class TaskFile:
    """A job file that asks for a task. `sandboxed`: what a pickle does here can reach nothing of value."""

    network: str
    code: Path
    weights: Path
    out: Path
    device: str
    feed: Feed
    sandboxed: bool
    task: Task

    def to_json(self) -> dict[str, Any]:
        """Return the content of the job file."""
        return {
            "schema": SCHEMA,
            "network": self.network,
            "code": str(self.code),
            "weights": str(self.weights),
            "out": str(self.out),
            "device": self.device,
            "feed": self.feed.value,
            "sandboxed": self.sandboxed,
            "op": "synthetic" if isinstance(self.task, Synthetic) else "convert",
            **asdict(self.task),
        }

    @classmethod
    def from_json(cls, raw: object) -> TaskFile:
        """Return the task that `raw` describes; `JobFileError` when it is none."""
        fields, feed = job_file_fields(raw)
        file = cls(
            network=take(fields, "network", str),
            code=Path(take(fields, "code", str)),
            weights=Path(take(fields, "weights", str)),
            out=Path(take(fields, "out", str)),
            device=take(fields, "device", str),
            feed=feed,
            sandboxed=take(fields, "sandboxed", bool),
            task=_task(fields),
        )
        nothing_left(fields, "the job file")
        return file


def _task(fields: dict[str, Any]) -> Task:
    operation = take(fields, "op", str)
    if operation == "synthetic":
        return Synthetic(take(fields, "full", bool))
    if operation == "convert":
        return Convert(tuple(_conversion(entry) for entry in take(fields, "files", list)))
    raise JobFileError(f"'op' is {operation!r}, one of synthetic, convert needed")


def _conversion(raw: object) -> Conversion:
    fields = json_object(raw, "a file to convert")
    made = Conversion(
        source=take(fields, "source", str),
        target=take(fields, "target", str),
        key=take(fields, "key", (str, type(None))),
        half=take(fields, "half", bool),
    )
    nothing_left(fields, "a file to convert")
    return made


def run_task(file: TaskFile, events: EventStream) -> None:
    """Do what a job file asks for; raises on failure."""
    if file.feed is Feed.STDIN:
        threading.Thread(target=_hold, name="lifeline", daemon=True).start()
    events.emit(EventKind.STAGE, None, name="synthetic" if isinstance(file.task, Synthetic) else "convert")
    started_s = time.monotonic()
    if isinstance(file.task, Synthetic):
        make_synthetic(file.code, file.network, file.weights, full=file.task.full)
    else:
        _convert(file, file.task)
    events.emit(EventKind.DONE, None, elapsed_s=round(time.monotonic() - started_s, 4))


def make_synthetic(code: Path, network: str, weights: Path, *, full: bool) -> None:
    """Let the network's own `synthetic.py` write stand-in weights below the weights folder."""
    module = load_module(code, network, "synthetic")
    make = getattr(module, "make", None)
    if not callable(make):
        raise RunnerError(f"{module.__file__} has no function make(weights, *, full)")
    make(weights, full=full)
    (weights / MARKER).write_text("Stand-in weights of faceorch smoke: random values, of no use for anything else.\n")


def _convert(file: TaskFile, task: Convert) -> None:
    from .convert import convert

    for entry in task.files:
        source, target = file.weights / entry.source, file.out / entry.target
        convert(source, target, key=entry.key, half=entry.half, trusted=file.sandboxed)


def _hold() -> None:
    """Leave at once when stdin ends: then the host is dead, or wants this to stop."""
    import os

    for _ in sys.stdin.buffer:
        pass
    os._exit(EXIT_OWNER_DIED)
