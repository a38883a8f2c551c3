"""What a runner's events say: times by stage, notes once, and nonsense that is no crash."""

from __future__ import annotations

import pytest

from faceorch.record.judgement import Box
from faceorch.record.run import Times
from faceorch.runs.transcript import RunnerError, Transcript
from faceorch_runner import ErrorKind, Event, EventKind


def test_times_are_split_by_stage() -> None:
    transcript = Transcript(begun_s=100.0)
    stages = [("import", 0.1), ("check", 1.1), ("setup", 1.2), ("animate", 3.2), ("frames", 3.7)]
    for name, t_s in stages:
        transcript.add(Event(EventKind.STAGE, t_s, "a", {"name": name}), 100.5 + t_s)
    transcript.add(Event(EventKind.SETUP, 3.2, None, {"elapsed_s": 2.0}), 103.7)
    for name, value, unit in [
        ("first_frame_s", 0.6, "s"),
        ("encode_s", 0.2, "s"),
        ("torch_peak_reserved_bytes", 7, "bytes"),
    ]:
        transcript.add(Event(EventKind.METRIC, 9.0, "a", {"name": name, "value": value, "unit": unit}), 109.5)
    transcript.add(Event(EventKind.DONE, 9.2, "a", {"elapsed_s": 6.0}), 109.7)
    times = transcript.times(110.0, 10.0)
    assert transcript.done
    assert times.start_s == pytest.approx(0.6)
    assert times.import_s == pytest.approx(1.0)
    assert times.check_s == pytest.approx(0.1)
    assert (times.setup_s, times.animate_s, times.first_frame_s, times.encode_s) == (2.0, 6.0, 0.6, 0.2)
    assert times.stop_s == pytest.approx(0.3)
    assert times.stages == {"frames": pytest.approx(5.5)}
    assert transcript.metrics["torch_peak_reserved_bytes"].method == "allocator"
    assert set(transcript.metrics) == {"torch_peak_reserved_bytes"}


def test_a_runner_that_said_nothing_leaves_times_unknown() -> None:
    assert Transcript(begun_s=1.0).times(2.0, 1.0) == Times(total_s=1.0)


def test_nonsense_in_events_is_no_crash() -> None:
    transcript = Transcript(begun_s=0.0)
    transcript.add(Event(EventKind.METRIC, 1, None, {"name": "x", "value": "many"}), 1)
    transcript.add(Event(EventKind.ERROR, 1, None, {"kind": "unheard_of"}), 1)
    transcript.add(Event(EventKind.DONE, 1, None, {"elapsed_s": None}), 1)
    assert transcript.error == RunnerError(ErrorKind.CRASH, "no message")


def test_what_a_runner_notes_is_kept_once() -> None:
    transcript = Transcript(begun_s=0.0)
    for message in ("scaled down", "", "scaled down", "a small face"):
        transcript.add(Event(EventKind.NOTE, 1, "a", {"message": message}), 1)
    assert transcript.notes == ["scaled down", "a small face"]


def test_of_several_boxes_for_one_part_the_last_counts() -> None:
    transcript = Transcript(begun_s=0.0)
    for picture, name, left in (("video", "mouth", 0.1), ("portrait", "face", 0.2), ("video", "mouth", 0.3)):
        sides = {"left": left, "top": 0.5, "width": 0.2, "height": 0.1}
        transcript.add(Event(EventKind.BOX, 1, "a", {"picture": picture, "name": name, **sides}), 1)
    assert transcript.boxes("video") == {"mouth": Box(left=0.3, top=0.5, width=0.2, height=0.1)}
    assert transcript.boxes("portrait") == {"face": Box(left=0.2, top=0.5, width=0.2, height=0.1)}
