"""What a runner printed: events to events.jsonl, everything else to log.txt."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Literal

from faceorch.files import open_own
from faceorch.runtimes import Stream
from faceorch_runner import Event, EventParser

LIMIT_BYTES = 64 * 2**20
_TAIL_LINES = 20


class JobLog:
    """Splits a runner's output into events and log lines, and keeps both; a context manager."""

    def __init__(self, folder: Path, attempt: int) -> None:
        self._folder, self._attempt = folder, attempt
        self._parsers = {stream: EventParser() for stream in Stream}
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._written = 0

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
            if isinstance(item, Event) and stream is Stream.STDOUT:
                self._events.write(json.dumps(item.to_json()) + "\n")
                self._events.flush()
                yield item
            elif isinstance(item, str):
                self.write_line(item)

    def write_line(self, line: str) -> None:
        """Write one line of log; past LIMIT_BYTES only the tail is kept in memory."""
        self._tail.append(line)
        size = len(line) + 1
        if self._written < LIMIT_BYTES <= self._written + size:
            self._text.write(f"faceorch: the log has reached {LIMIT_BYTES // 2**20} MiB; the rest is not written\n")
        self._written += size
        if self._written < LIMIT_BYTES:
            self._text.write(line + "\n")

    def flush(self) -> None:
        """Take what is left of unfinished lines, and bring everything to disk."""
        for parser in self._parsers.values():
            for item in parser.close():
                if isinstance(item, str):
                    self.write_line(item)
        self._text.flush()

    def tail(self) -> list[str]:
        """Return the last lines of the log."""
        return list(self._tail)
