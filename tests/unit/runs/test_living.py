"""What the runners that live now use, GPU by GPU."""

from __future__ import annotations

import pytest

from faceorch.runs.living import Live
from faceorch.runtimes import Running
from faceorch.telemetry.nvml import read_gpus
from faceorch.telemetry.processes import Facts
from faceorch.telemetry.samples import Target, UsageSample
from tests.fake_nvml import MIB, FakeNvml
from tests.unit.telemetry.conftest import OURS, Runner


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
