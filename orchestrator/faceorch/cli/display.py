"""Three ways to show a run: a live table on a terminal, plain lines elsewhere, JSON lines for machines."""

from __future__ import annotations

import json
import os
import shlex
import sys
import time
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec
from rich.console import Console, OverflowMethod
from rich.live import Live
from rich.markup import escape
from rich.text import Text

from faceorch.observe import Observer
from faceorch.record import Job, JobStatus, Run, RunStatus

_PLAIN_STEP_S = 5.0
_MARKS = {JobStatus.DONE: "done", JobStatus.FAILED: "FAILED", JobStatus.SKIPPED: "skipped"}


class Display(Observer, AbstractContextManager["Display"]):
    """An observer that may hold the terminal while its context lasts."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def make_observer(*, as_json: bool, quiet: bool) -> Display:
    """Return the display that fits the options and the terminal. NO_COLOR is honoured by rich."""
    if as_json:
        return _JsonLines()
    console = Console(highlight=False, soft_wrap=True, stderr=False)
    if quiet:
        return _Plain(console, quiet=True)
    return _LiveTable(console) if console.is_terminal and not console.is_dumb_terminal else _Plain(console)


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


class _Progress:
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
        self.stage, self.note, self.done, self.total = stage, "", 0, 0
        self._first, self._counting_since_s = 0, time.monotonic()

    def count(self, done: int, total: int, unit: str) -> None:
        if self.total == 0:  # the first count: what came before it was preparation of this stage
            self._first, self._counting_since_s = done, time.monotonic()
        self.done, self.total, self.unit = done, total, unit

    @property
    def elapsed_s(self) -> float:
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
        return f"{self.done}/{self.total} {self.unit}" if self.total else ""


def outcome_line(job: Job) -> str:
    """Return one line on how a job ended."""
    if job.status is JobStatus.DONE and job.video is not None:
        pace = "" if job.compute_s_per_video_s is None else f", {job.compute_s_per_video_s:.2f} s per second of video"
        size = f"{job.video.width}x{job.video.height}, {job.video.fps:g} fps"
        return f"{job.video.file} ({size}) in {duration(job.times.total_s)}{pace}"
    return f"{job.reason or 'not finished'} -> {job.remedy}" if job.remedy else job.reason or "not finished"


class _Plain(Display):
    def __init__(self, console: Console, *, quiet: bool = False) -> None:
        self._console, self._quiet = console, quiet
        self._state = _Progress()
        self._said_s = 0.0

    def __enter__(self) -> _Plain:
        return self

    def _say(self, text: str) -> None:
        self._console.print(escape(text))

    def run_started(self, run: Run) -> None:
        if self._quiet:
            return
        for job in run.jobs:
            if job.status is JobStatus.SKIPPED:
                self._say(f"{job.network}: skipped: {outcome_line(job)}")

    def job_started(self, job: Job) -> None:
        self._state = _Progress()

    def repetition(self, network: str, name: str) -> None:
        if not self._quiet:
            self._say(f"{network}: {name}")

    def stage(self, network: str, name: str) -> None:
        self._state.enter(name)
        if not self._quiet:
            self._say(f"{network}: {name} (after {duration(self._state.elapsed_s)})")

    def progress(self, network: str, done: int, total: int, unit: str) -> None:
        state = self._state
        state.count(done, total, unit)
        now_s = time.monotonic()
        if not self._quiet and (done == total or now_s - self._said_s >= _PLAIN_STEP_S):
            self._said_s = now_s
            left = "" if state.remaining_s is None or done == total else f", {duration(state.remaining_s)} left"
            self._say(f"{network}: {state.stage} {state.counts} ({duration(state.elapsed_s)}{left})")

    def note(self, network: str, text: str) -> None:
        if not self._quiet and text:
            self._say(f"{network}: {text}" if network else text)

    def job_ended(self, job: Job) -> None:
        self._say(f"{job.network}: {_MARKS[job.status]}: {outcome_line(job)}")

    def run_ended(self, run: Run, folder: Path) -> None:
        for line in closing_lines(run, folder):
            self._say(line)


class _LiveTable(Display):
    """One line per network: stage, counts, elapsed and remaining time."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._jobs: list[Job] = []
        self._current: str | None = None
        self._turn = ""
        self._state = _Progress()
        self._live = Live(console=console, get_renderable=self._lines, refresh_per_second=8, transient=False)

    def __enter__(self) -> _LiveTable:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live.is_started:
            self._live.stop()

    def _lines(self) -> Text:
        """Return one line per network; what does not fit is cut at its end, never at its beginning."""
        rows = [self._row(job) for job in self._jobs]
        widths = [max((len(row[column][0]) for row in rows), default=0) for column in range(4)]
        lines = []
        for row in rows:
            cells = [
                (text.ljust(width + 2 if width else 0), style)
                for (text, style), width in zip(row[:4], widths, strict=True)
            ]
            lines.append(Text.assemble(*cells, row[4]))
        overflow: OverflowMethod = "ellipsis" if self._console.encoding.startswith("utf") else "crop"
        for line in lines:
            line.truncate(self._console.width, overflow=overflow)
        return Text("\n").join(lines)

    def _row(self, job: Job) -> list[tuple[str, str]]:
        """Return name, stage, elapsed, remaining and detail, each with its style."""
        name = (job.network, "bold")
        if job.network == self._current:
            state = self._state
            left = "" if state.remaining_s is None else f"{duration(state.remaining_s)} left"
            detail = state.counts or state.note
            return [name, (state.stage, "cyan"), (duration(state.elapsed_s), ""), (left, ""), (detail, "")]
        total = duration(job.times.total_s)
        match job.status:
            case JobStatus.DONE:
                return [name, ("done", "green"), (total, ""), ("", ""), (outcome_line(job), "")]
            case JobStatus.FAILED:
                return [name, ("FAILED", "red"), (total, ""), ("", ""), (outcome_line(job), "")]
            case JobStatus.SKIPPED:
                return [name, ("skipped", "yellow"), ("", ""), ("", ""), (outcome_line(job), "dim")]
            case _:
                return [name, ("waiting", "dim"), ("", ""), ("", ""), ("", "")]

    def run_started(self, run: Run) -> None:
        self._jobs = run.jobs
        self._live.start()

    def job_started(self, job: Job) -> None:
        self._current, self._state, self._turn = job.network, _Progress(), ""

    def repetition(self, network: str, name: str) -> None:
        self._turn = f"{name}: "

    def stage(self, network: str, name: str) -> None:
        self._state.enter(f"{self._turn}{name}")

    def progress(self, network: str, done: int, total: int, unit: str) -> None:
        self._state.count(done, total, unit)

    def note(self, network: str, text: str) -> None:
        if network:
            self._state.note = text
        else:
            self._console.print(escape(text))

    def job_ended(self, job: Job) -> None:
        self._current = None
        self._live.refresh()

    def run_ended(self, run: Run, folder: Path) -> None:
        self._current = None
        self._live.stop()
        for job in run.jobs:
            if job.status in (JobStatus.FAILED, JobStatus.SKIPPED):
                # The table cuts long lines; what to do must be readable in full.
                self._console.print(f"{escape(job.network)}: {_MARKS[job.status]}: {escape(outcome_line(job))}")
        for line in closing_lines(run, folder):
            self._console.print(escape(line))


class _JsonLines(Display):
    """One JSON object per line on stdout."""

    def __enter__(self) -> _JsonLines:
        return self

    def _emit(self, event: str, **data: Any) -> None:
        sys.stdout.write(json.dumps({"event": event, **data}, ensure_ascii=True) + "\n")
        sys.stdout.flush()

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
        lines.append(f"interrupted; finish it with: faceorch run --resume {shlex.quote(path)}")
    return lines
