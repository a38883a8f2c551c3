"""The command that is shown to resume a run does that: printed, copied, run in the same folder and in another."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from faceorch.comparison import resume
from faceorch.record.kinds import JobStatus
from faceorch.telemetry import timeline
from tests.conftest import GREY_RUNNER, MakeNetwork, compare_here, ignore, reason_of
from tests.resuming import SLEEPING, interrupted, printed_command, reported_command, shell
from tests.unit.conftest import FAILS_ONCE, RequestFor
from tests.unit.runs.conftest import Counting


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
