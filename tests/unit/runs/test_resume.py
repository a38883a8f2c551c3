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

from tests.conftest import GREY_RUNNER, MakeNetwork
from tests.resuming import SLEEPING, interrupted, printed_command, reported_command, shell


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
