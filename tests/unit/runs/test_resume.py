"""A run taken up again: what is missing in it is done, and the command that is shown does that."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from faceorch.comparison import resume
from faceorch.errors import CannotRun, RunFolderError
from faceorch.record.kinds import JobStatus, OutcomeKind, RunStatus
from faceorch.record.reason import Reason
from faceorch.telemetry import timeline
from tests.conftest import GREY_RUNNER, MakeNetwork, compare_here, ignore, reason_of, write_tone
from tests.resuming import SLEEPING, interrupted, printed_command, reported_command, shell
from tests.unit.conftest import FAILS_ONCE, Listener, RequestFor
from tests.unit.runs.conftest import Counting, failing


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """The user's folder, with what a shell and a message must quote in its name."""
    folder = tmp_path / "my 'own' $HOME folder"
    folder.mkdir()
    return folder


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    return folder


@pytest.fixture
def arguments(make_network: MakeNetwork, portrait: Path, clip: Path, here: Path) -> list[str]:
    """A run whose every path is relative to the user's folder."""
    make_network("sleeping", SLEEPING)
    relative = {name: os.path.relpath(path, here) for name, path in (("--image", portrait), ("--audio", clip))}
    words = ["run", "--runtime", "venv", "--network", "sleeping", "--weights", "my weights", "--out", "my results"]
    words += ["--python", f"sleeping={os.path.relpath(sys.executable, here)}"]
    return words + [word for pair in relative.items() for word in pair]


def run_of(here: Path) -> tuple[Path, dict[str, Any]]:
    (folder,) = (path for path in (here / "my results").iterdir() if not path.name.startswith("."))
    return folder, json.loads((folder / "run.json").read_text("utf-8"))


def awaken(here: Path) -> None:
    (here.parent / "networks" / "sleeping" / "code" / "runner.py").write_text(GREY_RUNNER, "utf-8")


@pytest.mark.parametrize("place", ["here", "elsewhere"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_the_command_that_is_shown_finishes_the_run(
    arguments: list[str], here: Path, elsewhere: Path, number: signal.Signals, place: str
) -> None:
    output = interrupted(arguments, here, number)
    folder, record = run_of(here)
    assert Path(record["request"]["pythons"]["sleeping"]).is_absolute()
    assert Path(record["request"]["weights"]).is_absolute()
    if number is signal.SIGINT:
        command = printed_command(output)
        assert record["jobs"][0]["reason"]["remedy"] == command
    else:  # nothing was printed: the report shows it, and --help a relative one
        done = shell(f"faceorch report {shlex.quote(os.path.relpath(folder, here))}", here)
        assert done.returncode == 0, done.stderr
        command = reported_command(folder / "report.md")
    assert reported_command(folder / "report.md") == command
    awaken(here)
    done = shell(command, here if place == "here" else elsewhere)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (folder / "sleeping.mp4").is_file()
    assert run_of(here)[1]["status"] == "done"
    again = shell(command, elsewhere)
    assert again.returncode == 0
    assert again.stdout.startswith("nothing is missing: every network of this run has its video\nvideos: ")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.parametrize("form", ["my results/{}", "./my results/{}/", "my results/{}/run.json"])
def test_a_relative_path_is_one_too(arguments: list[str], here: Path, number: signal.Signals, form: str) -> None:
    """As --help and README show it."""
    interrupted(arguments, here, number)
    folder, _ = run_of(here)
    awaken(here)
    done = shell(f"faceorch run --resume {shlex.quote(form.format(folder.name))}", here)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (folder / "sleeping.mp4").is_file()


def test_a_python_that_is_given_again_may_be_relative(arguments: list[str], here: Path, elsewhere: Path) -> None:
    command = printed_command(interrupted(arguments, here, signal.SIGINT))
    interpreter = os.path.relpath(sys.executable, elsewhere)
    interrupted([*shlex.split(command)[1:], "--python", f"sleeping={interpreter}"], elsewhere, signal.SIGINT)
    assert Path(run_of(here)[1]["request"]["pythons"]["sleeping"]).is_absolute()
    awaken(here)
    done = shell(command, here)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_command_that_repeats_a_run_does_that(arguments: list[str], here: Path) -> None:
    awaken(here)
    done = shell(shlex.join(["faceorch", *arguments]), here)
    assert done.returncode == 0, done.stdout + done.stderr
    folder, _ = run_of(here)
    page = (folder / "report.md").read_text("utf-8")
    command = page.partition("From this folder:\n\n```sh\n")[2].partition("\n```")[0]
    again = shell(command, folder)
    assert again.returncode == 0, again.stdout + again.stderr
    (second,) = (folder / "results").iterdir()
    assert (second / "sleeping.mp4").read_bytes() == (folder / "sleeping.mp4").read_bytes()


def test_a_run_that_failed_in_a_repetition_is_taken_up_where_it_stood(
    make_network: MakeNetwork, request_for: RequestFor, tmp_path: Path
) -> None:
    source = FAILS_ONCE.format(path=str(tmp_path / "count"), fail_at=3, how="raise ValueError('the fourth time')")
    make_network("grey", source)
    first = compare_here(request_for("grey", repeat=4, warmup=1), ignore)
    job = first.run.job("grey")
    assert reason_of(job).text == "ValueError: the fourth time (repetition 3 of 4)"
    assert [r.number for r in job.repetitions if not r.warmup] == [1, 2]
    kept = [r.started for r in job.repetitions if not r.warmup]
    assert (first.path / "grey.mp4").is_file()
    listener = Counting()
    again = resume(first.path, listener)
    assert listener.repetitions == ["grey: warm-up 1 of 1", "grey: repetition 3 of 4", "grey: repetition 4 of 4"]
    job = again.run.job("grey")
    assert job.status is JobStatus.DONE
    counted = [r for r in job.repetitions if not r.warmup]
    assert [r.number for r in counted] == [1, 2, 3, 4]
    assert [r.started for r in counted[:2]] == kept
    rows = timeline.read(again.path / str(job.timeline))
    assert {row["repetition"] for row in rows if not row["warmup"]} == {1, 2, 3, 4}


def test_repetitions_without_their_video_are_done_again(
    make_network: MakeNetwork, request_for: RequestFor, tmp_path: Path
) -> None:
    make_network("grey")
    folder = compare_here(request_for("grey", repeat=2), ignore)
    (folder.path / "grey.mp4").write_bytes(b"cut")
    listener = Counting()
    again = resume(folder.path, listener)
    assert listener.repetitions == ["grey: repetition 1 of 2", "grey: repetition 2 of 2"]
    assert again.run.job("grey").status is JobStatus.DONE


def test_it_does_only_what_is_missing(make_network: MakeNetwork, request_for: RequestFor, listener: Listener) -> None:
    make_network("good")
    bad = make_network("zbad", failing("raise ValueError('wrong')"))
    first = compare_here(request_for("good", "zbad"), listener)
    made = (first.path / "good.mp4").stat().st_mtime_ns
    (bad.code / "runner.py").write_text(GREY_RUNNER, "utf-8")
    again = resume(first.path, listener)
    assert [job.status for job in again.run.jobs] == [JobStatus.DONE, JobStatus.DONE]
    assert (first.path / "good.mp4").stat().st_mtime_ns == made
    job = again.run.job("zbad")
    assert (job.resumed, job.reason) == (1, None)
    log = (first.path / "zbad" / "log.txt").read_text("utf-8")
    assert "ValueError: wrong" in log
    assert "--- attempt 2 ---" in log


def test_a_run_that_was_killed_loads_and_is_finished(
    make_network: MakeNetwork, request_for: RequestFor, listener: Listener
) -> None:
    make_network("grey")
    folder = compare_here(request_for("grey"), listener)
    # What a kill -9 in the middle leaves: a job that is running, a half-made video.
    folder.run.put(structs.replace(folder.run.job("grey"), status=JobStatus.RUNNING, video=None))
    folder.run.status = RunStatus.RUNNING
    folder.save()
    (folder.path / "grey.mp4").unlink()
    (folder.path / "grey" / "out" / ".grey.part").mkdir(parents=True)
    again = resume(folder.path, listener)
    assert again.run.job("grey").status is JobStatus.DONE
    assert again.run.status is RunStatus.DONE
    assert not (folder.path / "grey" / "out").exists()


def test_a_video_that_was_deleted_or_changed_is_made_again(
    make_network: MakeNetwork, request_for: RequestFor, listener: Listener
) -> None:
    make_network("grey")
    folder = compare_here(request_for("grey"), listener)
    original = (folder.path / "grey.mp4").read_bytes()
    (folder.path / "grey.mp4").write_bytes(b"cut")
    resume(folder.path, listener)
    assert (folder.path / "grey.mp4").read_bytes() == original


def test_what_cannot_run_any_more_is_an_error_and_changes_nothing(
    make_network: MakeNetwork, request_for: RequestFor, listener: Listener, tmp_path: Path
) -> None:
    """As when the engine is gone."""
    make_network("grey")
    folder = compare_here(request_for("grey"), listener)
    (folder.path / "grey.mp4").unlink()
    before = (folder.path / "run.json").read_bytes()
    gone = tmp_path / "gone"
    with pytest.raises(CannotRun) as caught:
        resume(folder.path, listener, pythons={"grey": str(gone)})
    assert caught.value.message == f"grey cannot run here now: {gone} is not a Python interpreter"
    assert (folder.path / "run.json").read_bytes() == before


def test_of_two_the_one_that_cannot_run_any_more_fails(
    make_network: MakeNetwork, request_for: RequestFor, listener: Listener, tmp_path: Path
) -> None:
    make_network("grey")
    make_network("other")
    folder = compare_here(request_for("grey", "other"), listener)
    (folder.path / "grey.mp4").unlink()
    (folder.path / "other.mp4").unlink()
    run = resume(folder.path, listener, pythons={"other": str(tmp_path / "gone")}).run
    assert (run.job("grey").status, run.job("other").status) == (JobStatus.DONE, JobStatus.FAILED)
    assert reason_of(run.job("other")).kind is OutcomeKind.NO_PYTHON


def test_what_could_not_run_before_still_is_no_failure(
    make_network: MakeNetwork, request_for: RequestFor, listener: Listener, tmp_path: Path
) -> None:
    make_network("grey")
    make_network("other")
    folder = compare_here(request_for("grey", "other"), listener)
    reason = Reason(kind=OutcomeKind.NO_GPU, found="needs an NVIDIA GPU")
    job = structs.replace(folder.run.job("other"), status=JobStatus.SKIPPED, reason=reason, video=None)
    folder.run.put(job)
    folder.save()
    listener.heard.clear()
    run = resume(folder.path, listener, pythons={"other": str(tmp_path / "gone")}).run
    assert run.job("other").status is JobStatus.SKIPPED
    assert [entry[0] for entry in listener.heard] == ["run_started", "run_ended"]


def test_inputs_that_changed_are_refused(
    make_network: MakeNetwork, request_for: RequestFor, listener: Listener
) -> None:
    make_network("grey")
    folder = compare_here(request_for("grey"), listener)
    write_tone(folder.path / "inputs" / "clip.wav", seconds=2.0)
    with pytest.raises(RunFolderError, match=r"clip\.wav has changed since the run began"):
        resume(folder.path, listener)
