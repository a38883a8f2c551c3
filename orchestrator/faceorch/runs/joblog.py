"""What a runner printed: events to events.jsonl, everything else to log.txt.

Nothing of it is trusted: text passes one gate, and there is a limit for everything that could go on without end.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Literal

from faceorch.files import open_own
from faceorch.runtimes import Stream
from faceorch.untrusted import LINE, NAME, SENTENCE, text
from faceorch_runner import Event, EventKind, EventParser

LIMIT_BYTES = 64 * 2**20  # of each of the two files
LIMIT_NAMES = 64  # stages, and metrics, of one runner
LIMIT_NOTES = 16  # of one runner
LIMIT_STAGES = 2000  # how often a stage of one runner may begin
_TAIL_LINES = 20


class JobLog:
    """Splits a runner's output into events and log lines, and keeps both; a context manager."""

    def __init__(self, folder: Path, attempt: int) -> None:
        self._folder, self._attempt = folder, attempt
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._written = self._events_written = 0
        self._begin()

    def _begin(self) -> None:
        """Get ready for the output of another runner."""
        self._parsers = {stream: EventParser() for stream in Stream}
        self._names: dict[EventKind, set[str]] = {EventKind.STAGE: set(), EventKind.METRIC: set()}
        self._stages = self._notes = 0
        self._said: set[str] = set()

    def __enter__(self) -> JobLog:
        mode: Literal["w", "a"] = "w" if self._attempt == 1 else "a"
        self._text = open_own(self._folder / "log.txt", mode)
        self._events = open_own(self._folder / "events.jsonl", mode)
        if self._attempt > 1:
            self._text.write(f"--- attempt {self._attempt} ---\n")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._text.close()
        self._events.close()

    def feed(self, stream: Stream, piece: bytes) -> Iterator[Event]:
        """Write down one piece of output and yield the events in it. Only stdout carries events."""
        for item in self._parsers[stream].feed(piece):
            if isinstance(item, str):
                self.write_line(item)
            elif stream is not Stream.STDOUT:
                self.write_line(json.dumps(item.to_json()))
            elif self._accepts(event := _clean(item)):
                self._write_event(event)
                yield event

    def _accepts(self, event: Event) -> bool:
        """Return whether the event stays within what one runner may tell; the log says once why it does not."""
        if event.kind is EventKind.NOTE:
            self._notes += 1
            if self._notes > LIMIT_NOTES:
                self._say_once(f"the runner makes more than {LIMIT_NOTES} notes; the others are left out")
                return False
        names = self._names.get(event.kind)
        if names is None:
            return True
        if len(names) == LIMIT_NAMES and event.data["name"] not in names:
            self._say_once(f"the runner names more than {LIMIT_NAMES} {event.kind.value}s; the others are left out")
            return False
        names.add(event.data["name"])
        if event.kind is EventKind.STAGE:
            self._stages += 1
            if self._stages > LIMIT_STAGES:
                self._say_once(f"more than {LIMIT_STAGES} stages have begun; the others are left out")
                return False
        return True

    def _write_event(self, event: Event) -> None:
        line = json.dumps(event.to_json()) + "\n"
        if self._events_written + len(line) > LIMIT_BYTES:
            self._say_once(f"events.jsonl has reached {LIMIT_BYTES // 2**20} MiB; later events are not written")
            return
        self._events_written += len(line)
        self._events.write(line)
        self._events.flush()

    def _say_once(self, line: str) -> None:
        if line not in self._said:
            self._said.add(line)
            self.write_line(f"faceorch: {line}")

    def write_line(self, line: str) -> None:
        """Write one line of log; past LIMIT_BYTES only the tail is kept in memory."""
        line = text(line, LINE)
        self._tail.append(text(line, SENTENCE))
        size = len(line.encode("utf-8")) + 1
        if self._written < LIMIT_BYTES <= self._written + size:
            self._text.write(f"faceorch: the log has reached {LIMIT_BYTES // 2**20} MiB; the rest is not written\n")
        self._written += size
        if self._written < LIMIT_BYTES:
            self._text.write(line + "\n")

    def flush(self) -> None:
        """Write the unfinished lines of a runner that has ended, and flush everything to disk."""
        for parser in self._parsers.values():
            for item in parser.close():
                if isinstance(item, str):
                    self.write_line(item)
        self._begin()
        self._text.flush()

    def tail(self) -> list[str]:
        """Return the last lines of the log."""
        return list(self._tail)


def _clean(event: Event) -> Event:
    """Return the event with text that can be shown and kept."""
    limits = {"message": SENTENCE}
    data = {
        key: (text(value, limits.get(key, NAME)) or "?") if isinstance(value, str) else value
        for key, value in event.data.items()
    }
    return Event(event.kind, event.t_s, None if event.job is None else text(event.job, NAME), data)
