"""Three ways to show a run: a live table on a terminal, plain lines elsewhere, JSON lines for machines."""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any

import click
import msgspec

from faceorch.observe import Observer
from faceorch.record import Job, JobStatus, Run, RunStatus, resume_command

_PLAIN_STEP_S = 5.0
MARKS = {JobStatus.DONE: "done", JobStatus.FAILED: "FAILED", JobStatus.SKIPPED: "skipped"}


class Display(Observer, AbstractContextManager["Display"]):
    """An observer that may hold the terminal while its context lasts."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def make_observer(*, as_json: bool, quiet: bool) -> Display:
    """Return the display that fits the options and the terminal."""
    if as_json:
        return _JsonLines()
    if quiet or not sys.stdout.isatty() or os.environ.get("TERM", "dumb") in ("dumb", "unknown"):
        return _Plain(quiet=quiet)
    from faceorch.cli.live import LiveTable

    return LiveTable()


def duration(seconds: float | None) -> str:
    """Return `seconds` as people write it, `n/a` for None."""
    if seconds is None:
        return "n/a"
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d} min" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02d} h"


class Progress:
    """Where the current job is, and how long the current stage may still take."""

    def __init__(self) -> None:
        self.begun_s = time.monotonic()
        self.stage = "start"
        self.note = ""
        self.done = self.total = 0
        self.unit = ""
        self._counting_since_s = self.begun_s
        self._first = 0

    def enter(self, stage: str) -> None:
        """Begin a stage."""
        self.stage, self.note, self.done, self.total = stage, "", 0, 0
        self._first, self._counting_since_s = 0, time.monotonic()

    def count(self, done: int, total: int, unit: str) -> None:
        """Take how much of the stage is done."""
        if self.total == 0:  # the first count: what came before it was preparation of this stage
            self._first, self._counting_since_s = done, time.monotonic()
        self.done, self.total, self.unit = done, total, unit

    @property
    def elapsed_s(self) -> float:
        """Seconds since the job began."""
        return time.monotonic() - self.begun_s

    @property
    def remaining_s(self) -> float | None:
        """Seconds left in this stage at the pace so far; None while nobody knows."""
        finished = self.done - self._first
        if finished <= 0 or self.total <= 0:
            return None
        return (time.monotonic() - self._counting_since_s) / finished * max(0, self.total - self.done)

    @property
    def counts(self) -> str:
        """How much is done, in words."""
        return f"{self.done}/{self.total} {self.unit}" if self.total else ""


def outcome_line(job: Job) -> str:
    """Return one line on how a job ended."""
    if job.status is JobStatus.DONE and job.video is not None:
        pace = "" if job.compute_s_per_video_s is None else f", {job.compute_s_per_video_s:.2f} s per second of video"
        size = f"{job.video.width}x{job.video.height}, {job.video.fps:g} fps"
        return f"{job.video.file} ({size}) in {duration(job.times.total_s)}{pace}"
    return f"{job.reason or 'not finished'} -> {job.remedy}" if job.remedy else job.reason or "not finished"


class _Lines(Display):
    """Prints lines, for as long as somebody takes them: a run goes on without its reader."""

    _gone = False

    def _print(self, line: str) -> None:
        if self._gone:
            return
        try:
            click.echo(line)
        except OSError:  # the reader has left (`| head`), or the file's disk is full
            self._gone = True


class _Plain(_Lines):
    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._state = Progress()
        self._said_s = 0.0

    def __enter__(self) -> _Plain:
        return self

    def run_started(self, run: Run) -> None:
        if self._quiet:
            return
        for job in run.jobs:
            if job.status is JobStatus.SKIPPED:
                self._print(f"{job.network}: skipped: {outcome_line(job)}")

    def job_started(self, job: Job) -> None:
        self._state = Progress()

    def repetition(self, network: str, name: str) -> None:
        if not self._quiet:
            self._print(f"{network}: {name}")

    def stage(self, network: str, name: str) -> None:
        self._state.enter(name)
        if not self._quiet:
            self._print(f"{network}: {name} (after {duration(self._state.elapsed_s)})")

    def progress(self, network: str, done: int, total: int, unit: str) -> None:
        state = self._state
        state.count(done, total, unit)
        now_s = time.monotonic()
        if not self._quiet and (done == total or now_s - self._said_s >= _PLAIN_STEP_S):
            self._said_s = now_s
            left = "" if state.remaining_s is None or done == total else f", {duration(state.remaining_s)} left"
            self._print(f"{network}: {state.stage} {state.counts} ({duration(state.elapsed_s)}{left})")

    def note(self, network: str, text: str) -> None:
        if not self._quiet and text:
            self._print(f"{network}: {text}" if network else text)

    def job_ended(self, job: Job) -> None:
        self._print(f"{job.network}: {MARKS[job.status]}: {outcome_line(job)}")

    def run_ended(self, run: Run, folder: Path) -> None:
        for line in closing_lines(run, folder):
            self._print(line)


class _JsonLines(_Lines):
    """One JSON object per line on stdout."""

    def __enter__(self) -> _JsonLines:
        return self

    def _emit(self, event: str, **data: Any) -> None:
        self._print(json.dumps({"event": event, **data}, ensure_ascii=True))

    def run_started(self, run: Run) -> None:
        self._emit("run_started", run=msgspec.to_builtins(run))

    def job_started(self, job: Job) -> None:
        self._emit("job_started", network=job.network)

    def repetition(self, network: str, name: str) -> None:
        self._emit("repetition", network=network, name=name)

    def stage(self, network: str, name: str) -> None:
        self._emit("stage", network=network, name=name)

    def progress(self, network: str, done: int, total: int, unit: str) -> None:
        self._emit("progress", network=network, done=done, total=total, unit=unit)

    def note(self, network: str, text: str) -> None:
        self._emit("note", network=network or None, text=text)

    def job_ended(self, job: Job) -> None:
        self._emit("job_ended", job=msgspec.to_builtins(job))

    def run_ended(self, run: Run, folder: Path) -> None:
        self._emit("run_ended", folder=os.fspath(folder), run=msgspec.to_builtins(run))


def closing_lines(run: Run, folder: Path) -> list[str]:
    """Return what to mind, where the videos and the report are, and how to go on."""
    path = os.path.relpath(folder)
    lines = [f"{job.network}: mind: {note}" for job in run.jobs for note in job.notes if run.synthetic is None]
    lines += [f"videos: {path}", f"report: {path}/report.html"]
    if run.synthetic is not None:
        lines += [f"{job.network}: {note}" for job in run.jobs for note in job.notes if note.startswith("checked: ")]
        lines.append("synthetic: these videos show that the code runs, not what the networks can do")
    elif run.status is RunStatus.INTERRUPTED:
        lines.append(f"interrupted; finish it with: {resume_command(folder)}")
    return lines
