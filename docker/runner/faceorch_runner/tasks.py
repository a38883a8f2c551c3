"""What a runner does besides animating: stand-in weights, repacking weights as safetensors, judging videos.

A job file with an `op` asks for it: `synthetic` or `convert` (docs/contribute/network-weights.md), or `judge`
(docs/reference/runner-contract.md).
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
from .jobs import SCHEMA, Feed, job_file_fields, json_object, nothing_left, plain_id, take
from .judging import Judge, Judged, judge
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


Task = Synthetic | Convert | Judge
_OPERATIONS: dict[type, str] = {Synthetic: "synthetic", Convert: "convert", Judge: "judge"}


@dataclass(frozen=True)
class TaskFile:
    """A job file that asks for a task. `sandboxed`: what a pickle does here can reach nothing of value.

    `weights` is None for a judge that has none.
    """

    network: str
    code: Path
    weights: Path | None
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
            "weights": None if self.weights is None else str(self.weights),
            "out": str(self.out),
            "device": self.device,
            "feed": self.feed.value,
            "sandboxed": self.sandboxed,
            "op": _OPERATIONS[type(self.task)],
            **{key: _plain(value) for key, value in asdict(self.task).items()},
        }

    @classmethod
    def from_json(cls, raw: object) -> TaskFile:
        """Return the task that `raw` describes; `JobFileError` when it is none."""
        fields, feed = job_file_fields(raw)
        weights = take(fields, "weights", (str, type(None)))
        file = cls(
            network=take(fields, "network", str),
            code=Path(take(fields, "code", str)),
            weights=None if weights is None else Path(weights),
            out=Path(take(fields, "out", str)),
            device=take(fields, "device", str),
            feed=feed,
            sandboxed=take(fields, "sandboxed", bool),
            task=_task(fields),
        )
        nothing_left(fields, "the job file")
        if file.weights is None and not isinstance(file.task, Judge):
            raise JobFileError("'weights' is null, a folder needed")
        return file


def _plain(value: Any) -> Any:
    """Return paths as text, however deep they lie."""
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return str(value) if isinstance(value, Path) else value


def _task(fields: dict[str, Any]) -> Task:
    operation = take(fields, "op", str)
    if operation == "synthetic":
        return Synthetic(take(fields, "full", bool))
    if operation == "convert":
        return Convert(tuple(_conversion(entry) for entry in take(fields, "files", list)))
    if operation == "judge":
        return _judge(fields)
    raise JobFileError(f"'op' is {operation!r}, one of {', '.join(_OPERATIONS.values())} needed")


def _judge(fields: dict[str, Any]) -> Judge:
    timeout_s = fields.pop("timeout_s", None)
    task = Judge(
        portrait=Path(take(fields, "portrait", str)),
        audio=Path(take(fields, "audio", str)),
        videos=tuple(_judged(entry) for entry in take(fields, "videos", list)),
        timeout_s=None if timeout_s is None else float(timeout_s),
        full=fields.pop("full", False) is True,
    )
    ids = [video.id for video in task.videos]
    if len(ids) != len(set(ids)):
        raise JobFileError("two videos have the same id")
    return task


def _judged(raw: object) -> Judged:
    fields = json_object(raw, "a video to judge")
    made = Judged(id=plain_id(take(fields, "id", str)), video=Path(take(fields, "video", str)))
    nothing_left(fields, "a video to judge")
    return made


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
    started_s = time.monotonic()
    if isinstance(file.task, Judge):
        judge(file.task, file.code, file.network, file.weights, file.out, events)
    else:
        assert file.weights is not None  # `from_json` has seen to it
        events.emit(EventKind.STAGE, None, name=_OPERATIONS[type(file.task)])
        if isinstance(file.task, Synthetic):
            make_synthetic(file.code, file.network, file.weights, full=file.task.full)
        else:
            _convert(file.task, file.weights, file.out, trusted=file.sandboxed)
    events.emit(EventKind.DONE, None, elapsed_s=round(time.monotonic() - started_s, 4))


def make_synthetic(code: Path, network: str, weights: Path, *, full: bool) -> None:
    """Let the network's own `synthetic.py` write stand-in weights below the weights folder."""
    module = load_module(code, network, "synthetic")
    make = getattr(module, "make", None)
    if not callable(make):
        raise RunnerError(f"{module.__file__} has no function make(weights, *, full)")
    make(weights, full=full)
    (weights / MARKER).write_text("Stand-in weights of faceorch smoke: random values, of no use for anything else.\n")


def _convert(task: Convert, weights: Path, out: Path, *, trusted: bool) -> None:
    from .convert import convert

    for entry in task.files:
        convert(weights / entry.source, out / entry.target, key=entry.key, half=entry.half, trusted=trusted)


def _hold() -> None:
    """Leave at once when stdin ends: then the host is dead, or wants this to stop."""
    import os

    for _ in sys.stdin.buffer:
        pass
    os._exit(EXIT_OWNER_DIED)
