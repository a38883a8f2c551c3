"""What a runner prints: whatever it is, the record that follows from it can be saved and loaded again."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from faceorch.record.judgement import Box
from faceorch.record.run import Measured, Times
from faceorch.runs.joblog import JobLog
from faceorch.runs.transcript import Transcript
from faceorch.runtimes import Stream
from tests.fuzz.conftest import inputs
from tests.fuzz.mutation import ODD, damaged_bytes, damaged_value

GOOD = [
    {"event": "stage", "t_s": 0.1, "job": None, "name": "setup"},
    {"event": "setup", "t_s": 0.2, "job": None, "elapsed_s": 0.1, "device": "cpu", "runner": "1", "python": "3"},
    {"event": "progress", "t_s": 0.3, "job": "grey", "done": 1, "total": 25, "unit": "frames"},
    {"event": "metric", "t_s": 0.4, "job": "grey", "name": "encode_s", "value": 0.1, "unit": "s"},
    {
        "event": "box",
        "t_s": 0.4,
        "job": "grey",
        "picture": "video",
        "name": "mouth",
        "left": 0.4,
        "top": 0.6,
        "width": 0.2,
        "height": 0.1,
    },
    {"event": "note", "t_s": 0.4, "job": "grey", "message": "a face"},
    {"event": "error", "t_s": 0.5, "job": "grey", "kind": "crash", "message": "it broke"},
    {"event": "done", "t_s": 0.6, "job": "grey", "video": "grey.mp4", "elapsed_s": 0.5},
]
PRINTED = [b"\x1e" + json.dumps(event).encode() + b"\n" for event in GOOD] + [b"a line\n", b"\x1b[31mred\n"]
PIECES = st.one_of(
    damaged_bytes(PRINTED),
    st.sampled_from(GOOD).flatmap(damaged_value).map(lambda event: b"\x1e" + json.dumps(event).encode() + b"\n"),
    ODD.map(lambda value: b"\x1e" + json.dumps(value).encode() + b"\n"),
    st.sampled_from([*PRINTED, b"\x1e" + b"[" * 20_000 + b"\n", b'\x1e{"event": 1e999}\n', b"x" * 300_000]),
)


@inputs("events")
@given(st.lists(st.tuples(st.sampled_from(list(Stream)), PIECES), max_size=12))
def test_what_is_printed_never_spoils_the_record(pieces: list[tuple[Stream, bytes]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        said = Transcript(0.0)
        with JobLog(Path(name), 1) as log:
            for stream, piece in pieces:
                for event in log.feed(stream, piece):
                    said.add(event, 1.0)
            log.flush()
            tail = log.tail()
        for kept, kind in (
            (said.times(2.0, 3.0), Times),
            (said.metrics, dict[str, Measured]),
            (list(said.notes), list[str]),
            (said.boxes("video"), dict[str, Box]),
            (tail, list[str]),
        ):
            text = msgspec.json.encode(kept)
            msgspec.json.decode(text, type=kind)
        for line in (Path(name) / "events.jsonl").read_text("utf-8").splitlines():
            json.loads(line)
        assert all(line.isprintable() for line in tail)
        assert all(note.isprintable() for note in said.notes)
