"""How a pull of weights is shown: bars on a terminal, plain lines elsewhere, JSON lines for machines."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import TransferSpeedColumn as Rate

from faceorch.weights.pull import PullObserver, Task
from faceorch.words import size

_PLAIN_STEP_S = 10.0


class PullDisplay(PullObserver, AbstractContextManager["PullDisplay"]):
    """An observer that may hold the terminal while its context lasts."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def make_pull_observer(*, as_json: bool, quiet: bool) -> PullDisplay:
    """Return the display that fits the options and the terminal."""
    if as_json:
        return _JsonLines()
    console = Console(highlight=False, soft_wrap=True)
    return _Bars(console) if console.is_terminal and not console.is_dumb_terminal and not quiet else _Plain(quiet)


def _wanted(tasks: Sequence[Task]) -> str:
    missing = [task for task in tasks if not task.ready]
    there = f"{len(tasks) - len(missing)} of {len(tasks)} files are there"
    return f"{there}; {size(sum(t.file.size for t in missing))} to bring" if missing else there


class _Plain(PullDisplay):
    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._done = self._total = 0
        self._begun_s = self._said_s = time.monotonic()

    def __enter__(self) -> _Plain:
        return self

    def _say(self, text: str) -> None:
        if not self._quiet:
            sys.stdout.write(text + "\n")
            sys.stdout.flush()

    def started(self, tasks: Sequence[Task]) -> None:
        self._total = sum(t.file.size for t in tasks if not t.ready)
        self._say(_wanted(tasks))

    def moved(self, task: Task, count: int) -> None:
        self._done += count
        now_s = time.monotonic()
        if now_s - self._said_s >= _PLAIN_STEP_S:
            self._said_s = now_s
            rate = self._done / (now_s - self._begun_s)
            left = f", {max(0, self._total - self._done) / rate:.0f} s left" if rate > 0 else ""
            self._say(f"{size(self._done)} of {size(self._total)}, {rate / 1e6:.1f} MB/s{left}")

    def note(self, task: Task, text: str) -> None:
        self._say(f"{task.name}: {text}")

    def ended(self, task: Task) -> None:
        if task.error is not None:
            self._say(f"{task.name}: FAILED: {task.error.message}")
        elif not task.ready:
            self._say(f"{task.name}: there and verified")


class _Bars(PullDisplay):
    """A bar for all, and one for each file under way."""

    def __init__(self, console: Console) -> None:
        columns = (BarColumn(20), DownloadColumn(), Rate(), TimeRemainingColumn())
        self._progress = Progress(TextColumn("{task.description}"), *columns, console=console)
        self._console = console
        self._bars: dict[int, TaskID] = {}
        self._all: TaskID | None = None

    def __enter__(self) -> _Bars:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def started(self, tasks: Sequence[Task]) -> None:
        self._console.print(_wanted(tasks))
        missing = [task for task in tasks if not task.ready]
        if missing:
            self._all = self._progress.add_task("all", total=sum(t.file.size for t in missing))

    def moved(self, task: Task, count: int) -> None:
        if id(task) not in self._bars:
            self._bars[id(task)] = self._progress.add_task(escape(task.name), total=task.file.size)
        self._progress.advance(self._bars[id(task)], count)
        if self._all is not None:
            self._progress.advance(self._all, count)

    def note(self, task: Task, text: str) -> None:
        self._console.print(escape(f"{task.name}: {text}"))

    def ended(self, task: Task) -> None:
        if (bar := self._bars.pop(id(task), None)) is not None:
            self._progress.remove_task(bar)
        if task.error is not None:
            self._console.print(f"{escape(task.name)}: [red]FAILED[/]: {escape(task.error.message)}")
        elif not task.ready:
            self._console.print(f"{escape(task.name)}: [green]there and verified[/]")


class _JsonLines(PullDisplay):
    """One JSON object per line on stdout; `moved` is told once a second for each file."""

    def __init__(self) -> None:
        self._bytes: dict[int, int] = {}
        self._said_s: dict[int, float] = {}

    def __enter__(self) -> _JsonLines:
        return self

    def _emit(self, event: str, task: Task | None, **data: Any) -> None:
        place = {} if task is None else {"networks": task.networks, "path": task.file.path}
        sys.stdout.write(json.dumps({"event": event, **place, **data}) + "\n")
        sys.stdout.flush()

    def started(self, tasks: Sequence[Task]) -> None:
        missing = [task for task in tasks if not task.ready]
        self._emit("started", None, files=len(tasks), missing=len(missing), bytes=sum(t.file.size for t in missing))

    def moved(self, task: Task, count: int) -> None:
        have = self._bytes[id(task)] = self._bytes.get(id(task), 0) + count
        if time.monotonic() - self._said_s.get(id(task), 0.0) >= 1.0:
            self._said_s[id(task)] = time.monotonic()
            self._emit("progress", task, done=have, total=task.file.size)

    def note(self, task: Task, text: str) -> None:
        self._emit("note", task, text=text)

    def ended(self, task: Task) -> None:
        error = task.error
        self._emit("ended", task, sha256=task.sha256, error=error and error.message, remedy=error and error.remedy)
