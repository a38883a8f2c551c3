"""The command that is shown to resume a run does that with containers, too."""

from __future__ import annotations

import json
import os
import shlex
import signal
from pathlib import Path

import pytest

from tests.engine.conftest import Probe
from tests.resuming import interrupted, printed_command, reported_command, shell


@pytest.fixture
def here(tmp_path: Path) -> Path:
    folder = tmp_path / "my own folder"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("place", ["here", "elsewhere"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_the_command_that_is_shown_finishes_the_run(
    probe: Probe, here: Path, tmp_path: Path, number: signal.Signals, place: str
) -> None:
    probe.write("import time; progress.stage('sleeping'); time.sleep(3000)")
    probe.build()
    relative = {"--image": probe.portrait, "--audio": probe.clip}
    words = ["run", "--runtime", "docker", "--network", "probe", "--out", "results"]
    words += [word for name, path in relative.items() for word in (name, os.path.relpath(path, here))]
    output = interrupted(words, here, number)
    (folder,) = (here / "results").iterdir()
    assert json.loads((folder / "run.json").read_text("utf-8"))["jobs"][0]["environment"]["runtime"] == "docker"
    if number is signal.SIGINT:
        command = printed_command(output)
    else:
        assert shell(f"faceorch report {shlex.quote(f'results/{folder.name}')}", here).returncode == 0
        command = reported_command(folder / "report.md")
    # The image of the tests has no FFmpeg: what the runner says shows that it had all that it needs.
    probe.write(
        """
        assert job.portrait.read_bytes() and job.audio.read_bytes()
        raise ValueError("awake")
        """
    )
    probe.build()
    done = shell(command, here if place == "here" else tmp_path)
    assert (done.returncode, "probe: FAILED: ValueError: awake" in done.stdout) == (1, True), done.stdout + done.stderr
    relative_command = f"faceorch run --resume results/{folder.name}"
    done = shell(relative_command, here)
    assert (done.returncode, "probe: FAILED: ValueError: awake" in done.stdout) == (1, True), done.stdout + done.stderr


def test_without_the_engine_it_says_so_and_changes_nothing(
    probe: Probe, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    probe.write("import time; progress.stage('sleeping'); time.sleep(3000)")
    probe.build()
    words = ["run", "--runtime", "docker", "--network", "probe", "--out", "results"]
    words += ["--image", str(probe.portrait), "--audio", str(probe.clip)]
    command = printed_command(interrupted(words, here, signal.SIGINT))
    (folder,) = (here / "results").iterdir()
    before = (folder / "run.json").read_bytes()
    monkeypatch.setenv("DOCKER_HOST", f"unix://{here}/nowhere.sock")
    done = shell(command, here)
    assert done.returncode == 6
    assert done.stderr.startswith("error: probe cannot run here now: ")
    assert (folder / "run.json").read_bytes() == before
