"""The runner of the judge: one portrait, one clip and the videos made of them in, findings and series out.

The judge is a package like a network's with a function `begin(weights)` in its module `judge`; `weights` is the folder
of its weights, None where it has none or they are not there. It returns a session. Its `self_check` is empty when the
judge has proved on a drawn clip that it measures right, otherwise it is one line. Its method
`judge(portrait, audio, video, series, progress)` returns what it found as JSON-ready values, writes every series as
Parquet to `series`, and tells with `progress(share)` how far it is. `check(progress)` is the long check of itself: it
returns one line per thing that it tried and raises `RunnerError` when one went wrong.
"""

from __future__ import annotations

import json
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from .deadline import Deadline
from .errors import RunnerError, one_line
from .events import EventKind, EventStream
from .network import load_module


@dataclass(frozen=True)
class Judged:
    """One video to judge; its findings are `<id>.json` and `<id>.parquet` below `out`."""

    id: str
    video: Path


@dataclass(frozen=True)
class Judge:
    """Judge the videos that were made of one portrait and one clip; `full`: after the judge's long check of itself."""

    portrait: Path
    audio: Path
    videos: tuple[Judged, ...]
    timeout_s: float | None = None
    full: bool = False


class Session(Protocol):
    """What `begin()` of a judge returns."""

    self_check: str

    def judge(
        self, portrait: Path, audio: Path, video: Path, series: Path, progress: Callable[[float], None]
    ) -> dict[str, Any]:
        """Return what was found in one video; `RunnerError` when it cannot be decoded at all."""

    def check(self, progress: Callable[[float], None]) -> list[str]:
        """Check the judge at length; `RunnerError` says what went wrong."""


def judge(task: Judge, code: Path, name: str, weights: Path | None, out: Path, events: EventStream) -> None:
    """Judge every video; one that cannot be decoded, or at which the judge stumbles, does not keep the others back.

    `RunnerError` when the judge fails its check of itself: then nothing is judged.
    """
    deadline = Deadline(events, None, task.timeout_s)
    try:
        session = _begin(code, name, weights, events)
        if task.full:
            events.emit(EventKind.STAGE, None, name="full check")
            for line in session.check(_Progress(events, None)):
                events.emit(EventKind.NOTE, None, message=line)
        for video in task.videos:
            events.emit(EventKind.STAGE, video.id, name=f"judge {video.id}")
            found = _one(session, task, video, out, events)
            (out / f"{video.id}.json").write_text(json.dumps(found, allow_nan=False), "utf-8")
    finally:
        deadline.cancel()


def _begin(code: Path, name: str, weights: Path | None, events: EventStream) -> Session:
    events.emit(EventKind.STAGE, None, name="import")
    module = load_module(code, name, "judge")
    begin = getattr(module, "begin", None)
    if not callable(begin):
        raise RunnerError(f"{module.__file__} has no function begin(weights)")
    events.emit(EventKind.STAGE, None, name="setup")
    session: Session = begin(weights)
    events.emit(EventKind.STAGE, None, name="self-check")
    if session.self_check:
        raise RunnerError(session.self_check)
    return session


def _one(session: Session, task: Judge, video: Judged, out: Path, events: EventStream) -> dict[str, Any]:
    """Return what the judge found in one video, or `error` with the line that says why it found nothing."""
    progress, series = _Progress(events, video.id), out / f"{video.id}.parquet"
    begun_s = time.monotonic()
    try:
        found = session.judge(task.portrait, task.audio, video.video, series, progress)
        json.dumps(found, allow_nan=False)
    except Exception as error:
        if not isinstance(error, RunnerError):
            traceback.print_exception(type(error), error, error.__traceback__, file=sys.stderr)
        return {"error": one_line(error)}
    events.emit(EventKind.METRIC, video.id, name="judge_s", value=time.monotonic() - begun_s, unit="s")
    return found


class _Progress:
    """Tells how far the judge is, a hundred times at most."""

    def __init__(self, events: EventStream, job: str | None) -> None:
        self._events, self._job, self._told = events, job, -1

    def __call__(self, share: float) -> None:
        """Report which share of the current stage is done, 0 to 1."""
        percent = min(100, max(0, int(100 * share)))
        if percent != self._told:
            self._told = percent
            self._events.emit(EventKind.PROGRESS, self._job, done=percent, total=100, unit="%")
