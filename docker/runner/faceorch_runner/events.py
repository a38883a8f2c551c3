"""Events on stdout: JSON text sequences (RFC 7464), so that whatever else is printed there stays plain log.

One event is a record separator (0x1E), one JSON object and a newline. The host reads these with the parser below, from
runners that it does not trust.
"""

from __future__ import annotations

import json
import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

RECORD_SEPARATOR = b"\x1e"
LINE_BYTES = 64 * 2**10
_SHOWN = 200  # of a line that is not what it should be
_DIGITS, _LARGEST = 20, 2**63
_LINE_END = re.compile(rb"[\r\n]")


class EventKind(str, Enum):
    """Kinds of event, in the order in which a job meets them."""

    SETUP = "setup"
    STAGE = "stage"
    PROGRESS = "progress"
    METRIC = "metric"
    BOX = "box"
    NOTE = "note"
    DONE = "done"
    ERROR = "error"


# The fields of each kind: their names, types, and whether they must be there. No name is empty; numbers are finite and,
# but for some metrics, not negative.
_FIELDS: dict[EventKind, dict[str, tuple[type, bool]]] = {
    EventKind.SETUP: {
        "elapsed_s": (float, True),
        "device": (str, False),
        "runner": (str, False),
        "python": (str, False),
    },
    EventKind.STAGE: {"name": (str, True)},
    EventKind.PROGRESS: {"done": (float, True), "total": (float, True), "unit": (str, False)},
    EventKind.METRIC: {"name": (str, True), "value": (float, True), "unit": (str, True)},
    EventKind.BOX: {
        "picture": (str, True),
        "name": (str, True),
        "left": (float, True),
        "top": (float, True),
        "width": (float, True),
        "height": (float, True),
    },
    EventKind.NOTE: {"message": (str, True)},
    EventKind.DONE: {"elapsed_s": (float, True), "video": (str, False)},
    EventKind.ERROR: {"kind": (str, True), "message": (str, True)},
}
# Units of what cannot be below zero.
_COUNTED = frozenset({"s", "bytes", "frames"})
# What a box may be of, and in which picture.
PARTS = ("face", "eyes", "mouth")
PICTURES = ("portrait", "video")
_ROUNDED = 1e-4  # of a picture's side: shares are told with four decimals


@dataclass(frozen=True)
class Event:
    """One event.

    `t_s` is the time in seconds since the runner started, `job` the id of the job it belongs to
    (None: the runner as a whole), `data` the remaining fields, which docs/reference/runner-contract.md lists by kind.
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
        """Return the event that `raw` describes; `ValueError` when it is not one of the contract."""
        if not isinstance(raw, dict):
            raise ValueError("an event is a JSON object")
        data = dict(raw)
        kind = _kind(data.pop("event", None))
        t_s, job = data.pop("t_s", None), data.pop("job", None)
        if not _is_number(t_s) or t_s < 0 or not (job is None or isinstance(job, str)):
            raise ValueError("an event carries 't_s' (seconds) and 'job' (text or null)")
        _check_fields(kind, data)
        return cls(kind, float(t_s), job, data)


def _kind(value: object) -> EventKind:
    try:
        return EventKind(value)
    except ValueError:
        raise ValueError(f"'event' is not one of {', '.join(kind.value for kind in EventKind)}") from None


def _check_fields(kind: EventKind, data: dict[str, Any]) -> None:
    fields = _FIELDS[kind]
    if unknown := sorted(data.keys() - fields.keys()):
        raise ValueError(f"{kind.value} has no field {unknown[0][:_DIGITS]!r}")
    for name, (wanted, needed) in fields.items():
        if name not in data:
            if needed:
                raise ValueError(f"{kind.value} lacks {name!r}")
            continue
        value = data[name]
        if wanted is str and not (isinstance(value, str) and (value or name != "name")):
            raise ValueError(f"{name!r} is not text")
        if wanted is float:
            if not _is_number(value):
                raise ValueError(f"{name!r} is not a finite number")
            if value < 0 and (name != "value" or data.get("unit") in _COUNTED):
                raise ValueError(f"{name!r} is below 0")
    if kind is EventKind.BOX:
        _check_box(data)


def _check_box(data: dict[str, Any]) -> None:
    for name, known in (("picture", PICTURES), ("name", PARTS)):
        if data[name] not in known:
            raise ValueError(f"{name!r} is not one of {', '.join(known)}")
    for edge, side in (("left", "width"), ("top", "height")):
        if not data[side] or data[edge] + data[side] > 1 + _ROUNDED:
            raise ValueError("a box has a size and lies within its picture")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= _LARGEST


class EventStream:
    """Writes events to a file descriptor; safe to use from several threads."""

    def __init__(self, fd: int, started_s: float | None = None) -> None:
        self._fd = fd
        self._lock = threading.RLock()
        self.started_s = time.monotonic() if started_s is None else started_s

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other threads' events from coming between those that are emitted within."""
        with self._lock:
            yield

    def emit(self, kind: EventKind, /, job: str | None = None, **data: Any) -> Event:
        """Write one event and return it."""
        with self._lock:  # the time too: events come in the order of their times
            event = Event(kind, time.monotonic() - self.started_s, job, data)
            text = json.dumps(event.to_json(), separators=(",", ":"), ensure_ascii=True, default=_plain)
            record = RECORD_SEPARATOR + text.encode("ascii") + b"\n"
            view = memoryview(record)
            while view:
                view = view[os.write(self._fd, view) :]
        return event


def _plain(value: Any) -> Any:
    """Return numpy's and torch's numbers as Python's, anything else as text."""
    item = getattr(value, "item", None)
    return item() if callable(item) else str(value)


class EventParser:
    """Splits a byte stream into events and lines of log, whatever the size of the pieces in which it arrives.

    Nothing that arrives makes it fail: what is not an event of the contract becomes a line that says why. Of a line
    that is longer than `LINE_BYTES` only the beginning is kept.
    """

    def __init__(self) -> None:
        self._line = bytearray()
        self._size = 0  # of the line so far, with what was not kept
        self._after_return = False

    def feed(self, piece: bytes) -> Iterator[Event | str]:
        """Yield what `piece` completes: an `Event`, or a line of log as text. A carriage return ends a line too."""
        begin = 0
        for end in _LINE_END.finditer(piece):
            self._take(piece[begin : end.start()])
            begin = end.end()
            pair = end.group() == b"\n" and self._after_return and self._size == 0
            self._after_return = end.group() == b"\r"
            if not pair:
                yield from self._complete()
        self._take(piece[begin:])

    def close(self) -> Iterator[Event | str]:
        """Yield what is left when the stream has ended."""
        if self._size:
            yield from self._complete()

    def _take(self, part: bytes) -> None:
        self._size += len(part)
        self._line += part[: max(0, LINE_BYTES - len(self._line))]

    def _complete(self) -> Iterator[Event | str]:
        line, size = bytes(self._line), self._size
        self._line, self._size = bytearray(), 0
        if size > LINE_BYTES:
            yield f"{_text(line[:_SHOWN])} [a line of {size} bytes; longer than {LINE_BYTES} is not kept]"
            return
        before, separator, record = line.partition(RECORD_SEPARATOR)
        if before.strip() or not separator:
            yield _text(before)
        if not separator:
            return
        try:
            yield Event.from_json(_load(record))
        except ValueError as error:
            yield f"not an event ({error}): {_text(record[:_SHOWN])}"


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _load(record: bytes) -> object:
    """Return the JSON value of one record; `ValueError` for whatever is not strict JSON of a sensible size."""
    try:
        return json.loads(
            record.decode("utf-8"), parse_constant=_no_constant, parse_int=_integer, object_pairs_hook=_once_each
        )
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number")


def _integer(digits: str) -> int:
    if len(digits) > _DIGITS:
        raise ValueError("a number has too many digits")
    return int(digits)


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a key occurs twice")
    return fields
