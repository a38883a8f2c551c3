"""What a hostile runner may print: each piece of it is an event of the contract or a line of log, and nothing else."""

from __future__ import annotations

import json
import os
import threading
import tracemalloc
from pathlib import Path

import pytest

from faceorch_runner import Event, EventKind, EventParser
from faceorch_runner.events import LINE_BYTES, EventStream
from tests.unit.printed import GOOD, record


def test_events_survive_any_cut_and_any_noise(tmp_path: Path) -> None:
    path = tmp_path / "stream"
    with path.open("wb") as file:
        stream = EventStream(file.fileno())
        stream.emit(EventKind.STAGE, "a", name="x\ny\x1e")
        os.write(file.fileno(), b"noise without end")
        stream.emit(EventKind.PROGRESS, "a", done=1, total=2, unit="frames")
        os.write(file.fileno(), b"\x1e{broken\nplain line\n\x1e[1]\ntail")
    data = path.read_bytes()
    for size in (1, 2, 7, len(data)):
        parser = EventParser()
        items = [i for n in range(0, len(data), size) for i in parser.feed(data[n : n + size])]
        items += parser.close()
        assert [i.kind for i in items if isinstance(i, Event)] == [EventKind.STAGE, EventKind.PROGRESS]
        assert [i for i in items if isinstance(i, str)] == [
            "noise without end",
            "not an event (Expecting property name enclosed in double quotes: line 1 column 2 (char 1)): {broken",
            "plain line",
            "not an event (an event is a JSON object): [1]",
            "tail",
        ]


def parse(data: bytes) -> list[Event | str]:
    parser = EventParser()
    return [*parser.feed(data), *parser.close()]


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


def test_nothing_of_another_thread_comes_between_what_is_held_together(tmp_path: Path) -> None:
    with (tmp_path / "stream").open("wb") as file:
        stream, goes_on = EventStream(file.fileno()), threading.Event()

        def other() -> None:
            goes_on.set()
            stream.emit(EventKind.STAGE, name="setup")

        thread = threading.Thread(target=other)
        with stream.held():
            stream.emit(EventKind.STAGE, "a", name="check")
            thread.start()
            goes_on.wait()
            thread.join(0.05)  # it would be through by now
            stream.emit(EventKind.ERROR, "a", kind="no_face", message="nobody in it")
        thread.join()
    events = [event for event in parse((tmp_path / "stream").read_bytes()) if isinstance(event, Event)]
    assert [event.data.get("name", "nobody") for event in events] == ["check", "nobody", "setup"]
    assert [event.t_s for event in events] == sorted(event.t_s for event in events)
