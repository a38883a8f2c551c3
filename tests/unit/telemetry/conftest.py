"""A driver that counts who has it open, a runner that is watched, and samples of a GPU."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from faceorch.telemetry import watch as watch_module
from faceorch.telemetry.processes import Facts, LookUp
from faceorch.telemetry.samples import GpuProcess, GpuSample, Target, UsageSample
from faceorch.telemetry.watch import Probe
from tests.conftest import LIMIT_S, wait_until
from tests.fake_nvml import MIB, FakeNvml

OURS, THEIRS = "a" * 64, "b" * 64
TARGET = Target(container=OURS)


def process(
    pid: int, mib: int | None, container: str = OURS, *, started: int | None = 1000, session: int = 0
) -> GpuProcess:
    return GpuProcess(
        pid=pid,
        memory_bytes=None if mib is None else mib * MIB,
        started=started,
        container=container if started is not None else "",
        session=session,
    )


def sample(t_s: float, *processes: GpuProcess, used: int | None = 500, gpu: str = "GPU-0") -> GpuSample:
    return GpuSample(
        t_s=t_s,
        gpu=gpu,
        used_bytes=None if used is None else used * MIB,
        total_bytes=8192 * MIB,
        power_w=100.0,
        energy_j=100.0 * t_s,
        processes=processes,
    )


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeNvml]:
    fake = FakeNvml(compute=[(7, 900)]).install(monkeypatch)
    monkeypatch.setattr(watch_module, "_JOIN_S", LIMIT_S)
    yield fake
    assert fake.opened == 0, "NVML was left open"
    left = [thread.name for thread in threading.enumerate() if thread.name.startswith("faceorch")]
    assert left == [], "a thread was left"


class Runner:
    """A runner that is watched: process 7 is its own, and it uses a second of CPU at each look."""

    method = "process_tree"
    target = Target(container=OURS)

    def __init__(self) -> None:
        self.looks = 0
        self.reasons: dict[str, str] = {}

    def wait_for_look(self, number: int = 1) -> None:
        wait_until(lambda: self.looks >= number, f"look {number} at the runner")

    @property
    def probe(self) -> Probe:
        return self

    @property
    def look_up(self) -> LookUp:
        return lambda pid: Facts(1, OURS if pid == 7 else "")

    def read(self) -> UsageSample | None:
        self.looks += 1
        return UsageSample(t_s=time.monotonic(), cpu_s=float(self.looks), memory_bytes=MIB * self.looks)
