"""What a runner's events and its end mean."""

from __future__ import annotations

import pytest

from faceorch.record.judgement import Box
from faceorch.record.kinds import OutcomeKind
from faceorch.record.run import Times
from faceorch.runs.outcome import explain_error, explain_exit
from faceorch.runs.transcript import RunnerError, Transcript
from faceorch.runtimes import Exit
from faceorch_runner import ErrorKind, Event, EventKind
from tests.conftest import MakeNetwork


@pytest.mark.parametrize(
    ("end", "in_container", "kind", "reason"),
    [
        (
            Exit(code=137, signal=9, oom_killed=True),
            True,
            "out_of_memory",
            "it used more memory than its limit of 1 GB",
        ),
        (Exit(code=0, oom_killed=True), True, "out_of_memory", "it used more memory than its limit of 1 GB"),
        (Exit(code=137, signal=9), True, "killed", "it was killed (signal 9)"),
        (Exit(code=-11, signal=11), False, "crash", "it crashed in native code (SIGSEGV)"),
        (Exit(code=134, signal=6), True, "crash", "it crashed in native code (SIGABRT)"),
        (Exit(code=0), False, "crash", "it ended before it was done and without saying why"),
        (Exit(code=3), False, "crash", "it ended with exit code 3 and without saying why"),
        (Exit(code=127), True, "start_failed", "its image cannot be started (exit code 127)"),
        (Exit(code=None), False, "crash", "it ended with exit code None and without saying why"),
    ],
)
def test_an_end_without_a_word_is_explained(
    make_network: MakeNetwork, end: Exit, in_container: bool, kind: str, reason: str
) -> None:
    failure = explain_exit(end, make_network("grey"), in_container=in_container)
    assert failure.kind.value == kind
    assert failure.text.startswith(reason)
    assert failure.remedy


@pytest.mark.parametrize("kind", list(ErrorKind))
def test_every_kind_of_the_contract_has_an_outcome_and_a_remedy(make_network: MakeNetwork, kind: ErrorKind) -> None:
    failure = explain_error(RunnerError(kind, "why"), make_network("grey"))
    assert failure.kind.value == kind.value
    assert failure.remedy


def test_a_full_disk_is_told_apart(make_network: MakeNetwork) -> None:
    error = RunnerError(ErrorKind.CRASH, "OSError: [Errno 28] No space left on device")
    assert explain_error(error, make_network("grey")).kind is OutcomeKind.DISK_FULL


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
