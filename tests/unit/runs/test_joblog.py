"""What a hostile runner may print: what is kept of it has limits, and can do nothing where it is shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from faceorch.runs import joblog
from faceorch.runs.joblog import JobLog
from faceorch.runtimes import Stream
from faceorch_runner import Event, EventKind
from tests.unit.printed import GOOD, record


class Said:
    """Feeds a job log and reads back what it kept."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *pieces: bytes, stream: Stream = Stream.STDOUT) -> tuple[list[Event], str, list[str]]:
        with JobLog(self.folder, 1) as log:
            events = [event for piece in pieces for event in log.feed(stream, piece)]
            log.flush()
            tail = log.tail()
        return events, (self.folder / "log.txt").read_text("utf-8"), tail

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "events.jsonl").read_text("utf-8").splitlines()]


@pytest.fixture
def said(tmp_path: Path) -> Said:
    return Said(tmp_path)


def stage(name: str) -> bytes:
    return record(json.dumps({"event": "stage", "t_s": 1, "name": name}))


def metric(name: str, unit: str = "s") -> bytes:
    return record(json.dumps({"event": "metric", "t_s": 1, "name": name, "unit": unit, "value": 1}))


ESCAPES = {
    "a\x1b[31mred\x1b[0m": "ared",
    "a\x1b]0;title\x07b": "ab",
    "a\x1b]52;c;ZXZpbA==\x1b\\b": "ab",
    "a\x9b2Jb": "ab",
    "a\x1bcb": "ab",
    "a\x1b]never ended": "a",
    "a\x07\x08b": "a\\x07\\x08b",
    "a\u202eb": "a\\u202eb",
    "a\ud800b": "a\\ud800b",
    "a\u2028b": "a\\u2028b",
    "a\tb": "a    b",
    "Gr\u00fc\u00dfe": "Gr\u00fc\u00dfe",
}


@pytest.mark.parametrize(("given", "kept"), list(ESCAPES.items()), ids=[ascii(text) for text in ESCAPES])
def test_no_text_of_an_event_can_do_anything(said: Said, given: str, kept: str) -> None:
    failed = {"event": "error", "t_s": 1, "job": given, "kind": given, "message": given}
    events, _, _ = said(stage(given), metric(given, given), record(json.dumps(failed)))
    texts = [value for event in events for value in (*event.data.values(), event.job) if isinstance(value, str)]
    assert texts == [kept] * 6
    assert [event["event"] for event in said.events] == ["stage", "metric", "error"]


@pytest.mark.parametrize(("given", "kept"), list(ESCAPES.items()), ids=[ascii(text) for text in ESCAPES])
def test_no_line_of_log_can_do_anything(said: Said, given: str, kept: str) -> None:
    _, log, tail = said(given.encode("utf-8", "replace") + b"\n", stream=Stream.STDERR)
    wanted = "a?b" if "\ud800" in given else kept
    assert log == wanted + "\n"
    assert tail == [wanted]


def test_long_names_and_messages_are_cut(said: Said) -> None:
    failed = {"event": "error", "t_s": 1, "kind": "crash", "message": "m" * 50000}
    events, _, _ = said(stage("n" * 50000), record(json.dumps(failed)))
    assert events[0].data["name"] == "n" * 99 + "\u2026"
    assert len(events[1].data["message"]) == 1000


def test_a_tail_of_long_lines_is_cut(said: Said) -> None:
    _, log, tail = said((b"x" * 60000 + b"\n") * 30)
    assert [len(line) for line in tail] == [1000] * 20
    assert len(log) == 30 * 60001


@pytest.mark.parametrize(("make", "what"), [(stage, "stages"), (metric, "metrics")])
def test_twenty_thousand_names_are_sixty_four(said: Said, make: Any, what: str) -> None:
    events, log, _ = said(*(make(f"n{number}") for number in range(20000)), make("n5"))
    assert [event.data["name"] for event in events] == [*(f"n{number}" for number in range(64)), "n5"]
    assert log == f"faceorch: the runner names more than 64 {what}; the others are left out\n"


def test_one_stage_cannot_begin_without_end(said: Said) -> None:
    events, log, _ = said(*(stage("ab"[number % 2]) for number in range(5000)))
    assert len(events) == joblog.LIMIT_STAGES
    assert log == f"faceorch: more than {joblog.LIMIT_STAGES} stages have begun; the others are left out\n"


def test_notes_have_an_end_and_are_cleaned(said: Said) -> None:
    note = {"event": "note", "t_s": 1, "job": "a", "message": "\x1b[31m" + "x" * 5000}
    events, log, _ = said(*[record(json.dumps(note))] * 100)
    assert len(events) == joblog.LIMIT_NOTES
    assert all(len(event.data["message"]) <= 1000 and "\x1b" not in event.data["message"] for event in events)
    assert log == f"faceorch: the runner makes more than {joblog.LIMIT_NOTES} notes; the others are left out\n"


def test_each_runner_has_limits_of_its_own(tmp_path: Path) -> None:
    """As in repetitions: what one has said is not held against the next."""
    with JobLog(tmp_path, 1) as log:
        for _ in range(3):
            assert len(list(log.feed(Stream.STDOUT, b"".join(stage(f"{n}") for n in range(64))))) == 64
            log.flush()


def test_events_past_the_limit_count_but_are_not_written(said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joblog, "LIMIT_BYTES", 10000)
    progress = record(json.dumps(GOOD))
    events, log, _ = said(*[progress] * 1000, record('{"event": "done", "t_s": 1, "elapsed_s": 1}'))
    assert len(events) == 1001
    assert events[-1].kind is EventKind.DONE
    assert (said.folder / "events.jsonl").stat().st_size <= 10000
    assert "later events are not written" in log


def test_the_log_is_limited_in_bytes(said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joblog, "LIMIT_BYTES", 10000)
    said("\u00fc".encode() * 100 + b"\n", *["\u00fc".encode() * 100 + b"\n"] * 200)
    assert (said.folder / "log.txt").stat().st_size < 10200


def test_an_event_on_stderr_is_log(said: Said) -> None:
    events, log, _ = said(record(json.dumps(GOOD)), stream=Stream.STDERR)
    assert events == []
    assert json.loads(log) == GOOD


BOX = {"event": "box", "t_s": 1, "job": "a", "picture": "video", "name": "mouth"}
BOX |= {"left": 0.5, "top": 0.25, "width": 0.5, "height": 0.1}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"picture": "elsewhere"}, "'picture' is not one of portrait, video"),
        ({"name": "nose"}, "'name' is not one of face, eyes, mouth"),
        ({"name": ["mouth"]}, "'name' is not text"),
        ({"left": 0.6}, "a box has a size and lies within its picture"),
        ({"height": 0}, "a box has a size and lies within its picture"),
        ({"height": 0.8}, "a box has a size and lies within its picture"),
        ({"top": -0.1}, "'top' is below 0"),
        ({"width": True}, "'width' is not a finite number"),
        ({"width": 1e300}, "'width' is not a finite number"),
        ({"depth": 1}, "box has no field 'depth'"),
    ],
)
def test_a_box_that_is_none_is_log(said: Said, change: dict[str, Any], why: str) -> None:
    events, log, _ = said(record(json.dumps(BOX)), record(json.dumps(BOX | change)))
    assert [event.to_json() for event in events] == [BOX]
    assert log.startswith(f"not an event ({why}): ")
