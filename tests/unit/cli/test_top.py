"""`faceorch top`: what runs now, seen from another process."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from faceorch.runs.living import Live
from faceorch.runtimes import Running
from faceorch.telemetry.nvml import read_gpus
from faceorch.telemetry.processes import Facts
from faceorch.telemetry.samples import Target, UsageSample
from tests.conftest import MakeNetwork
from tests.fake_nvml import MIB, FakeNvml
from tests.unit.conftest import SLEEPING, faceorch, run_arguments
from tests.unit.telemetry.test_watch import OURS, Runner


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


class Steady(Runner):
    """A runner that is looked at twice a second, whenever that is."""

    def read(self) -> UsageSample | None:
        self.looks += 1
        return UsageSample(t_s=self.looks / 2, cpu_s=float(self.looks), memory_bytes=MIB)


class OneContainer:
    """A runtime in which one container runs: process 7 is its own."""

    name = "docker"
    elsewhere = ""

    def running(self) -> list[Running]:
        runner = Steady()
        from datetime import datetime, timezone

        return [
            Running(
                key=OURS,
                network="hallo",
                run="r",
                started=datetime.now(timezone.utc),
                target=Target(container=OURS),
                probe=runner,
                look_up=lambda pid: Facts(1, OURS if pid == 7 else ""),
            )
        ]


def test_of_each_gpu_it_shows_the_containers_share_and_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    # Process ids above what Linux gives out by default: this host's own /proc has none of them.
    far = 2**22 - 7
    nvml = FakeNvml(compute=[(7, 900), (far, 100)]).install(monkeypatch)
    monkeypatch.setattr("faceorch.runs.living.ProcLookUp", lambda: lambda pid: None)
    with Live((OneContainer(),), read_gpus().gpus, no_gpu="", run=None) as live:  # type: ignore[arg-type]
        live.look()
        now = live.look()
    (runner,) = now.runners
    (gpu,) = now.gpus
    assert (runner.vram_bytes, gpu.foreign, gpu.sample.power_w) == (900 * MIB, 1, 150.0)
    assert runner.cpu_cores == 2.0, "a second of CPU at each look"
    assert nvml.opened == 0
