"""`faceorch top`: what runs now, seen from another process."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from faceorch.telemetry.nvml import read_gpus
from tests.conftest import MakeNetwork
from tests.unit.conftest import SLEEPING, faceorch, run_arguments


@pytest.fixture
def running(make_network: MakeNetwork, portrait: Path, clip: Path, tmp_path: Path) -> Iterator[Path]:
    """A run whose network sleeps; the path of its folder."""
    make_network("sleeping", SLEEPING)
    out = tmp_path / "results"
    arguments = [sys.executable, "-m", "faceorch", *run_arguments(portrait, clip, out, "sleeping"), "--json"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if '"progress"' in line:
                break
        (folder,) = (path for path in out.iterdir() if path.is_dir() and not path.name.startswith("."))
        reader = threading.Thread(target=process.stdout.read)
        reader.start()
        yield folder
        process.terminate()
        process.wait()
        reader.join()


NO_ENGINE = {"DOCKER_HOST": "unix:///nowhere.sock"}


def test_it_shows_what_runs_now(running: Path) -> None:
    done = faceorch("top", str(running), **NO_ENGINE)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["network", "up", "CPU", "cores", "memory", "VRAM", "threads", "run"]
    cells = lines[1].split()
    assert (cells[0], cells[-1]) == ("sleeping", running.name)
    assert "MB" in cells
    if not read_gpus().gpus:
        assert lines[-1] == f"GPUs: n/a: {read_gpus().reason}"


def test_for_machines_it_prints_json(running: Path) -> None:
    done = faceorch("top", "--json", "--once", **NO_ENGINE)
    now = json.loads(done.stdout)
    (runner,) = now["runners"]
    assert (runner["network"], runner["run"]) == ("sleeping", running.name)
    assert runner["memory_bytes"] > 2**20
    assert runner["cpu_cores"] is not None
    assert runner["threads"] >= 2, "the runner and its lifeline"


def test_another_runs_networks_are_not_shown(running: Path) -> None:
    done = faceorch("top", "results/other", **NO_ENGINE)
    assert done.stdout.splitlines()[0] == "no network of other runs now"


def test_with_nothing_running_it_says_so() -> None:
    done = faceorch("top", "--once", **NO_ENGINE)
    assert done.returncode == 0
    assert done.stdout.splitlines()[0] == "no network runs now"
