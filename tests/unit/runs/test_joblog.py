"""What a hostile runner may print: each piece of it is an event of the contract or a line of log, and nothing else."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from faceorch.runs import joblog
from faceorch.runs.joblog import JobLog
from faceorch.runtimes import Stream
from faceorch_runner import Event, EventKind, EventParser
from faceorch_runner.events import LINE_BYTES, EventStream

GOOD = {"event": "progress", "t_s": 1.5, "job": "a", "done": 1, "total": 2, "unit": "frames"}


def parse(data: bytes) -> list[Event | str]:
    parser = EventParser()
    return [*parser.feed(data), *parser.close()]


def record(text: str | bytes) -> bytes:
    return b"\x1e" + (text if isinstance(text, bytes) else text.encode()) + b"\n"


def changed(**fields: object) -> str:
    return json.dumps({**GOOD, **fields})


def test_the_good_one_is_an_event() -> None:
    (event,) = parse(record(json.dumps(GOOD)))
    assert event == Event(EventKind.PROGRESS, 1.5, "a", {"done": 1, "total": 2, "unit": "frames"})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[" * 20000, "nested too deeply"),
        ('{"a":' * 10000 + "1" + "}" * 10000, "nested too deeply"),
        (changed(extra=[[1]]), "progress has no field 'extra'"),
        (changed(done=10**400), "a number has too many digits"),
        (changed(done="X").replace('"X"', "9" * 5000), "a number has too many digits"),
        (changed(done=-(10**400)), "a number has too many digits"),
        (changed(done=10**19), "'done' is not a finite number"),
        (changed(done=float("nan")), "NaN is not a number"),
        (changed(t_s=float("inf")), "Infinity is not a number"),
        (changed(t_s=float("-inf")), "-Infinity is not a number"),
        (json.dumps(GOOD).replace("1.5", "1e999"), "an event carries 't_s'"),
        (changed(done="X").replace('"X"', "1e999"), "'done' is not a finite number"),
        (changed(done="1"), "'done' is not a finite number"),
        (changed(done=True), "'done' is not a finite number"),
        (changed(done=-1), "'done' is below 0"),
        (changed(t_s=-0.5), "an event carries 't_s'"),
        (changed(t_s=None), "an event carries 't_s'"),
        (changed(job=5), "an event carries 't_s'"),
        (changed(unit=5), "'unit' is not text"),
        (changed(event="x" * 5000), "'event' is not one of setup, stage"),
        (changed(event=["done"]), "'event' is not one of setup, stage"),
        (changed(event="stage"), "stage has no field"),
        ('{"event": "stage", "t_s": 1}', "stage lacks 'name'"),
        ('{"event": "stage", "t_s": 1, "name": ""}', "'name' is not text"),
        ('{"event": "done", "t_s": 1, "elapsed_s": -5}', "'elapsed_s' is below 0"),
        ('{"event": "setup", "t_s": 1, "elapsed_s": -5}', "'elapsed_s' is below 0"),
        ('{"event": "metric", "t_s": 1, "name": "encode_s", "unit": "s", "value": -1}', "'value' is below 0"),
        ('{"event": "done", "t_s": 1, "t_s": 2, "elapsed_s": 1}', "a key occurs twice"),
        ("null", "an event is a JSON object"),
        ("5", "an event is a JSON object"),
        ('"text"', "an event is a JSON object"),
        ("", "Expecting value"),
        (b"\xff\xfe", "codec can't decode"),
        (b'{"event": "stage", "t_s": 1, "name": "\xed\xa0\x80"}', "codec can't decode"),
    ],
)
def test_what_is_not_an_event_is_a_line_that_says_why(text: str | bytes, reason: str) -> None:
    (line,) = parse(record(text))
    assert isinstance(line, str)
    assert line.startswith("not an event (")
    assert reason in line
    assert len(line) < 600
    assert parse(record(text) + record(json.dumps(GOOD)))[1:] == parse(record(json.dumps(GOOD)))


def test_a_metric_without_a_floor_may_be_negative() -> None:
    (event,) = parse(record('{"event": "metric", "t_s": 1, "name": "offset", "unit": "", "value": -1.5}'))
    assert isinstance(event, Event)
    assert event.data["value"] == -1.5


@pytest.mark.parametrize("size", [1000, 65536])
def test_a_line_without_end_is_not_kept(size: int) -> None:
    """Whatever comes in between, the parser holds one limit's worth, and looks at each byte once."""
    parser, piece = EventParser(), b"\x1e[" * (size // 2)
    tracemalloc.start()
    try:
        for _ in range(40 * 2**20 // size):
            assert list(parser.feed(piece)) == []
        assert tracemalloc.get_traced_memory()[1] < 4 * LINE_BYTES
    finally:
        tracemalloc.stop()
    total = 40 * 2**20 // size * size
    (line, event) = parser.feed(b"\n" + record(json.dumps(GOOD)))
    assert line == "\x1e[" * 100 + f" [a line of {total} bytes; longer than {LINE_BYTES} is not kept]"
    assert isinstance(event, Event)


def test_the_longest_line_is_kept_whole() -> None:
    assert parse(b"x" * LINE_BYTES + b"\n") == ["x" * LINE_BYTES]


def test_a_carriage_return_ends_a_line_and_two_are_one() -> None:
    assert parse(b"10 %\r20 %\rdone\r\n\r\nnext\n\nlast\r\n") == ["10 %", "20 %", "done", "", "next", "", "last"]


def test_numbers_of_numpy_are_numbers_on_the_wire(tmp_path: Path) -> None:
    import numpy

    with (tmp_path / "stream").open("wb") as file:
        EventStream(file.fileno()).emit(
            EventKind.PROGRESS, done=numpy.int64(3), total=numpy.float32(4), unit=Path("frames")
        )
    (event,) = parse((tmp_path / "stream").read_bytes())
    assert isinstance(event, Event)
    assert event.data == {"done": 3, "total": 4.0, "unit": "frames"}


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
