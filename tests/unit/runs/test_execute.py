"""Whatever goes wrong in one job is that job's outcome: the record stays readable, and the next job has its turn."""

from __future__ import annotations

import html
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from faceorch.comparison import resume
from faceorch.errors import InputError, OutputError
from faceorch.record.folder import RunFolder
from faceorch.record.kinds import JobStatus, OutcomeKind, RunStatus
from faceorch.record.run import Job, Times
from faceorch.runs import attempt, events, execute, history, job, joblog
from faceorch.runs.attempt import Attempt
from faceorch.runs.events import Event, JobEnded, JobStarted, Progressed, StageStarted
from faceorch.runs.repeats import Turn
from faceorch.runs.transcript import Transcript
from faceorch.telemetry import timeline
from tests.conftest import MakeNetwork, compare_here, ignore, reason_of
from tests.unit.conftest import Listener, RequestFor
from tests.unit.runs.conftest import REFUSING, failing, loaded

# A runner that says something of its own on the real stdout, before it makes its video or instead of that.
SAYING = """
import json, os, sys, time
from pathlib import Path
from faceorch_runner import Network
import faceorch_runner.main as main

def find_events():
    frame = sys._getframe()
    while frame is not None:
        if isinstance(frame.f_locals.get("self"), main._Runner):
            return frame.f_locals["self"].events
        frame = frame.f_back

def say(line):
    data = line if isinstance(line, bytes) else line.encode()
    fd = find_events()._fd
    while data:
        data = data[os.write(fd, data):]

def event(text):
    say(chr(0x1e) + text + chr(10))

class Saying(Network):
    def animate(self, job, progress):
        {body}
        with job.video(64, 48, 25) as video:
            for _ in range(25):
                video.write(bytes(64 * 48 * 3))
        return video.path
"""
LEAVE = "; os._exit(0)"

HOSTILE = {
    "negative done": 'event(\'{"event":"done","t_s":1,"elapsed_s":-5}\')' + LEAVE,
    "infinite time": 'event(\'{"event":"stage","t_s":Infinity,"name":"x"}\')',
    "too large a time": 'event(\'{"event":"stage","t_s":1e999,"name":"x"}\')',
    "negative metric": 'event(\'{"event":"metric","t_s":1,"name":"first_frame_s","unit":"s","value":-1}\')',
    "negative metric of no unit": ('event(\'{"event":"metric","t_s":1,"name":"first_frame_s","unit":"","value":-1}\')'),
    "metric that is not a number": ('event(\'{"event":"metric","t_s":1,"name":"x","unit":"","value":NaN}\')'),
    "deep brackets": "event('[' * 60000)",
    "infinite progress": 'event(\'{"event":"progress","t_s":1,"done":1e999,"total":1e999}\')',
    "400 digits": 'event(\'{"event":"progress","t_s":1,"done":\' + \'9\' * 400 + \',"total":1}\')',
    "5000 digits": 'event(\'{"event":"progress","t_s":\' + \'9\' * 5000 + \',"done":1,"total":1}\')',
    "lone surrogate": 'event(\'{"event":"error","t_s":1,"kind":"crash","message":"\\\\ud800"}\')' + LEAVE,
    "surrogate stage": 'event(\'{"event":"stage","t_s":1,"name":"\\\\udcff"}\')',
    "surrogate job": 'event(\'{"event":"stage","t_s":1,"job":"\\\\udcff","name":"x"}\')',
    "terminal": 'event(\'{"event":"stage","t_s":1,"name":"\\\\u001b]0;x\\\\u0007"}\')',
    "20,000 stages": "[progress.stage(f'stage {n}') for n in range(20000)]",
    "20,000 metrics": "[progress.metric(f'metric {n}', n, 'u') for n in range(20000)]",
    "one long line": "say(b'x' * 20000000 + b'\\n')",
    "bytes": "say(bytes(range(256)) * 100 + b'\\n')",
    "times that go back": '[event(\'{"event":"stage","t_s":%d,"name":"x%d"}\' % (100 - n, n)) for n in range(50)]',
}


@pytest.mark.parametrize("name", list(HOSTILE))
def test_no_event_loses_a_result_or_the_next_jobs_turn(
    make_network: MakeNetwork, request_for: RequestFor, name: str
) -> None:
    make_network("good")
    make_network("hostile", SAYING.format(body=HOSTILE[name]))
    make_network("last")
    folder = compare_here(request_for("good", "hostile", "last"), ignore)
    run = loaded(folder).run
    assert run.status is RunStatus.DONE
    assert [run.job(network).status for network in ("good", "last")] == [JobStatus.DONE] * 2
    hostile = run.job("hostile")
    assert hostile.status is (JobStatus.FAILED if HOSTILE[name].endswith(LEAVE) else JobStatus.DONE), hostile.reason
    why = "" if hostile.reason is None else hostile.reason.text
    assert "has a bug" not in why
    assert len(hostile.times.stages) <= 64
    for text in (why, *hostile.times.stages, *hostile.log_tail):
        assert text.isprintable()
    page = (folder.path / "report.html").read_text("utf-8")
    assert "\x1b" not in page
    resume(folder.path, ignore)


def failing_at(kind: type[Event], error: BaseException) -> events.Listener:
    """Return a listener that fails at the first network's events of one kind."""

    def listen(event: Event) -> None:
        network = event.job.network if isinstance(event, JobEnded) else getattr(event, "network", "")
        if isinstance(event, kind) and network == "afirst":
            raise error

    return listen


def assert_first_crashed(folder: RunFolder) -> Job:
    run = loaded(folder).run
    assert run.status is RunStatus.DONE
    first, second = run.job("afirst"), run.job("second")
    why = reason_of(first)
    assert (first.status, why.kind) == (JobStatus.FAILED, OutcomeKind.CRASH)
    assert why.text.startswith("faceorch has a bug: ")
    assert first.finished is not None
    (log,) = (folder.path / "afirst").glob("bug-*.log")
    assert why.remedy == f"please report it; details: {log}"
    assert "Traceback" in log.read_text("utf-8")
    assert second.status is JobStatus.DONE
    assert html.escape(why.text).replace("&#x27;", "&#39;") in (folder.path / "report.html").read_text("utf-8")
    assert not list((folder.path / "afirst").glob("out*"))
    return first


@pytest.mark.parametrize("kind", [JobStarted, StageStarted, Progressed])
def test_a_listener_that_fails(two: None, request_for: RequestFor, kind: type[Event]) -> None:
    folder = compare_here(request_for("afirst", "second"), failing_at(kind, KeyError("a\x1b[1m\nb")))
    assert reason_of(assert_first_crashed(folder)).text == r"faceorch has a bug: KeyError: 'a\x1b[1m\nb'"


def test_an_end_that_cannot_be_shown_keeps_the_result(two: None, request_for: RequestFor) -> None:
    folder = compare_here(request_for("afirst", "second"), failing_at(JobEnded, ValueError("x")))
    first, second = loaded(folder).run.jobs
    assert (first.status, second.status) == (JobStatus.DONE, JobStatus.DONE)
    assert first.notes == ["its end could not be shown: ValueError: x"]


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (attempt, "summarise"),
        (timeline, "write"),
        (Transcript, "times"),
        (Transcript, "add"),
        (job, "probe_video"),
        (job.JobRun, "_once"),
        (joblog.JobLog, "flush"),
    ],
)
@pytest.mark.parametrize("repeat", [1, 2])
def test_whatever_fails_within(
    two: None, request_for: RequestFor, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, repeat: int
) -> None:
    right, calls = getattr(owner, name), []

    def wrong(*arguments: Any, **named: Any) -> Any:
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError("out of order")
        return right(*arguments, **named)

    monkeypatch.setattr(owner, name, wrong)
    folder = compare_here(request_for("afirst", "second", repeat=repeat, warmup=repeat - 1), ignore)
    assert_first_crashed(folder)
    assert (folder.run.job("second").spreads != {}) is (repeat > 1)


def test_what_fails_in_a_later_repetition_keeps_the_earlier_ones(
    two: None, request_for: RequestFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = history.repetition_of

    def wrong(made: Attempt, turn: Turn, *rest: Any, **named: Any) -> Any:
        if (made.video is not None and made.video.file, turn.number) == ("afirst.mp4", 3):
            raise RuntimeError("out of order")
        return right(made, turn, *rest, **named)

    monkeypatch.setattr(job, "repetition_of", wrong)
    folder = compare_here(request_for("afirst", "second", repeat=3), ignore)
    first = assert_first_crashed(folder)
    assert [repetition.number for repetition in first.repetitions] == [1, 2]
    assert (folder.path / "afirst.mp4").is_file()


@pytest.mark.parametrize("change", [{"total_s": -1.0}, {"stages": {"\ud800": 1.0}}])
def test_figures_that_the_record_cannot_hold_are_a_crash(
    two: None, request_for: RequestFor, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    right = history.job_of

    def wrong(known: history.History) -> Job:
        made = right(known)
        told = made.network == "afirst" and known.last is not None
        return structs.replace(made, times=structs.replace(made.times, **change)) if told else made

    monkeypatch.setattr(execute, "job_of", wrong)
    folder = compare_here(request_for("afirst", "second"), ignore)
    first = assert_first_crashed(folder)
    assert "InvalidRecord: " in reason_of(first).text
    assert first.times == Times()
    assert first.environment is not None
    assert first.log == "afirst/log.txt"


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interruption_is_not_a_crash(
    two: None, request_for: RequestFor, tmp_path: Path, error: type[BaseException]
) -> None:
    with pytest.raises(error):
        compare_here(request_for("afirst", "second"), failing_at(StageStarted, error()))
    (folder,) = (tmp_path / "results").iterdir()
    first, second = RunFolder.load(folder).run.jobs
    if error is KeyboardInterrupt:
        assert {reason_of(first).kind, reason_of(second).kind} == {OutcomeKind.INTERRUPTED}
    assert not list((folder / "afirst").glob("bug-*.log"))


def test_a_refused_input_still_ends_the_run(two: None, request_for: RequestFor, tmp_path: Path) -> None:
    with pytest.raises(InputError):
        compare_here(request_for("afirst", "second"), failing_at(StageStarted, InputError("no")))
    assert list((tmp_path / "results").iterdir()) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "results"
    disk.mkdir()
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("needs root to mount a small disk")
    options = ["mount", "-t", "tmpfs", "-o", "size=300m", "tmpfs", str(disk)]
    if subprocess.run(options, capture_output=True, check=False).returncode != 0:
        pytest.skip("this system does not allow mounts")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


FILLING = """
import os
from faceorch_runner import Network
class Filling(Network):
    def animate(self, job, progress):
        try:
            with open(job.work / "filler", "wb") as file:
                while True:
                    file.write(bytes(2**20))
        except OSError:
            pass
        for n in range(200):
            print("x" * 60000, flush=True)
            progress.metric(f"m{n % 60}", n, "u")
        os._exit(0)
"""


def test_a_disk_that_one_job_has_filled_is_its_outcome(
    make_network: MakeNetwork, request_for: RequestFor, small_disk: Path
) -> None:
    make_network("filling", FILLING)
    make_network("second")
    folder = compare_here(request_for("filling", "second"), ignore)
    run = loaded(folder).run
    assert (reason_of(run.job("filling")).kind, run.job("second").status) == (OutcomeKind.DISK_FULL, JobStatus.DONE)
    assert "No space left on device" in reason_of(run.job("filling")).text


def test_an_output_folder_that_went_read_only_ends_the_run(two: None, request_for: RequestFor) -> None:
    refused = OutputError("cannot write", "choose another --out")
    refused.__cause__ = PermissionError(13, "Permission denied")
    with pytest.raises(OutputError):
        compare_here(request_for("afirst", "second"), failing_at(StageStarted, refused))


def test_what_happens_is_told_in_order(make_network: MakeNetwork, request_for: RequestFor, listener: Listener) -> None:
    make_network("grey")
    compare_here(request_for("grey"), listener)
    stages = [entry[2] for entry in listener.heard if entry[0] == "stage"]
    assert stages == ["start", "import", "check", "setup", "animate", "frames"]
    assert ("progress", "grey", 25, 25, "frames") in listener.heard
    assert [e[0] for e in listener.heard if e[0] not in ("stage", "progress")] == [
        "run_started",
        "job_started",
        "job_ended",
        "run_ended",
    ]


@pytest.mark.parametrize(
    ("source", "kind", "reason"),
    [
        (failing("raise ValueError('wrong')"), "crash", "ValueError: wrong"),
        (failing("import os; os._exit(3)"), "crash", "it ended with exit code 3 and without saying why"),
        (failing("import os; os._exit(0)"), "crash", "it ended before it was done and without saying why"),
        (failing("import os; os.kill(os.getpid(), 11)"), "crash", "it crashed in native code (SIGSEGV)"),
        (
            failing("import os; os.kill(os.getpid(), 9)"),
            "killed",
            "it was killed (signal 9), by someone or by the system for want of memory",
        ),
        (failing("raise NoFace('no face in it')"), "no_face", "no face in it"),
        ("import no_such_module\n", "crash", "ModuleNotFoundError: No module named 'no_such_module'"),
    ],
)
def test_a_failing_network_is_a_result_and_the_others_go_on(
    make_network: MakeNetwork, request_for: RequestFor, listener: Listener, source: str, kind: str, reason: str
) -> None:
    make_network("bad", source)
    make_network("good")
    folder = compare_here(request_for("bad", "good"), listener)
    bad, good = folder.run.job("bad"), folder.run.job("good")
    why = reason_of(bad)
    assert (bad.status, why.kind.value, why.text) == (JobStatus.FAILED, kind, reason)
    assert why.remedy
    assert good.status is JobStatus.DONE
    assert folder.run.status is RunStatus.DONE
    assert "bad" in (folder.path / "report.html").read_text("utf-8")


def test_a_portrait_that_the_first_network_refuses_ends_the_run_and_leaves_nothing(
    make_network: MakeNetwork, request_for: RequestFor, listener: Listener, tmp_path: Path
) -> None:
    make_network("a_first", REFUSING)
    make_network("grey")
    with pytest.raises(InputError) as caught:
        compare_here(request_for("a_first", "grey"), listener)
    assert caught.value.message == "no face found in face.png"
    assert list((tmp_path / "results").iterdir()) == []
