"""Events on stdout: JSON text sequences (RFC 7464), so that whatever else is printed there stays plain log.

One event is a record separator (0x1E), one JSON object and a newline.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

RECORD_SEPARATOR = b"\x1e"


class EventKind(str, Enum):
    """Kinds of event, in the order in which a job meets them."""

    SETUP = "setup"
    STAGE = "stage"
    PROGRESS = "progress"
    METRIC = "metric"
    DONE = "done"
    ERROR = "error"


@dataclass(frozen=True)
class Event:
    """One event.

    `t_s` is the time in seconds since the runner started, `job` the id of the job it belongs to
    (None: the runner as a whole), `data` the remaining fields, which docs/contract.md lists by kind.
    """

    kind: EventKind
    t_s: float
    job: str | None = None
    data: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the event as it stands on the wire."""
        return {"event": self.kind.value, "t_s": round(self.t_s, 4), "job": self.job, **self.data}

    @classmethod
    def from_json(cls, raw: object) -> Event:
        """Return the event that `raw` describes; `ValueError` when it is none."""
        if not isinstance(raw, dict):
            raise ValueError("an event is a JSON object")
        data = dict(raw)
        kind = EventKind(data.pop("event", None))
        t_s, job = data.pop("t_s", None), data.pop("job", None)
        if isinstance(t_s, bool) or not isinstance(t_s, (int, float)) or not (job is None or isinstance(job, str)):
            raise ValueError("an event carries 't_s' (seconds) and 'job' (text or null)")
        return cls(kind, float(t_s), job, data)


class EventStream:
    """Writes events to a file descriptor; safe to use from several threads."""

    def __init__(self, fd: int, started_s: float | None = None) -> None:
        self._fd = fd
        self._lock = threading.Lock()
        self.started_s = time.monotonic() if started_s is None else started_s

    def emit(self, kind: EventKind, /, job: str | None = None, **data: Any) -> Event:
        """Write one event and return it."""
        event = Event(kind, time.monotonic() - self.started_s, job, data)
        text = json.dumps(event.to_json(), separators=(",", ":"), ensure_ascii=True, default=str)
        record = RECORD_SEPARATOR + text.encode("ascii") + b"\n"
        with self._lock:
            view = memoryview(record)
            while view:
                view = view[os.write(self._fd, view) :]
        return event


class EventParser:
    """Splits a byte stream into events and lines of log, whatever the size of the pieces in which it arrives."""

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, piece: bytes) -> Iterator[Event | str]:
        """Yield what `piece` completes: an `Event`, or a line of log as text."""
        self._buffer += piece
        while (end := self._buffer.find(b"\n")) >= 0:
            line, self._buffer = self._buffer[:end], self._buffer[end + 1 :]
            yield from self._line(line)

    def close(self) -> Iterator[Event | str]:
        """Yield what is left when the stream has ended."""
        line, self._buffer = self._buffer, b""
        if line:
            yield from self._line(line)

    @staticmethod
    def _line(line: bytes) -> Iterator[Event | str]:
        before, separator, record = line.partition(RECORD_SEPARATOR)
        if before.strip() or not separator:
            yield before.decode("utf-8", "replace").rstrip("\r")
        if not separator:
            return
        try:
            yield Event.from_json(json.loads(record))
        except ValueError:
            yield record.decode("utf-8", "replace")
