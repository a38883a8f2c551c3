"""What the runners that live now use: the measurements of a run, for looking at while it goes on."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime
from types import TracebackType

from msgspec import Struct

from faceorch.record.run import Gpu
from faceorch.runtimes import Running, Runtime
from faceorch.telemetry.attribution import attribute
from faceorch.telemetry.nvml import Nvml, Unavailable
from faceorch.telemetry.processes import Facts, ProcLookUp
from faceorch.telemetry.samples import GpuSample, UsageSample
from faceorch.telemetry.summary import cpu_cores


class RunnerNow(Struct, frozen=True, kw_only=True):
    """One runner: None where a figure is not known (yet). `vram_bytes` is over all GPUs, `vram_note` says why not."""

    network: str
    run: str
    key: str
    started: datetime
    cpu_cores: float | None
    memory_bytes: int | None
    threads: int | None
    vram_bytes: int | None
    vram_note: str


class GpuNow(Struct, frozen=True, kw_only=True):
    """One GPU, and how many processes on it are no runner's."""

    gpu: Gpu
    sample: GpuSample
    foreign: int | None


class Now(Struct, frozen=True, kw_only=True):
    """Everything at one moment; `no_gpu` says why `gpus` is empty."""

    runners: tuple[RunnerNow, ...]
    gpus: tuple[GpuNow, ...]
    no_gpu: str


class Live:
    """Looks again and again; a context manager that holds NVML open."""

    def __init__(self, runtimes: Sequence[Runtime], gpus: Sequence[Gpu], *, no_gpu: str, run: str | None) -> None:
        self._runtimes, self._gpus, self._run = runtimes, {gpu.uuid: gpu for gpu in gpus}, run
        self._no_gpu = no_gpu
        self._nvml = None if no_gpu else Nvml(list(self._gpus), self._whose)
        self._proc = ProcLookUp()
        self._runners: dict[str, Running] = {}
        self._last: dict[str, UsageSample] = {}

    def __enter__(self) -> Live:
        if self._nvml is not None:
            try:
                self._nvml.__enter__()
            except Unavailable as error:
                self._no_gpu, self._nvml = str(error), None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._nvml is not None:
            self._nvml.__exit__(kind, error, trace)

    def look(self) -> Now:
        """Return how things are now; a runner's CPU is known from its second look on."""
        known = self._runners
        alive = [running for runtime in self._runtimes for running in runtime.running()]
        # A runner keeps the reader that it was first seen with: what that has learned stays.
        self._runners = {running.key: known.get(running.key, running) for running in alive}
        samples = [] if self._nvml is None else self._nvml.read(time.monotonic(), whole=True)
        mine = [r for r in self._runners.values() if self._run is None or r.run == self._run]
        runners = tuple(self._runner(running, samples) for running in mine)
        gpus = tuple(
            GpuNow(gpu=self._gpus[sample.gpu], sample=sample, foreign=self._foreign(sample)) for sample in samples
        )
        return Now(runners=runners, gpus=gpus, no_gpu=self._no_gpu)

    def _whose(self, pid: int) -> Facts | None:
        facts = self._proc(pid)
        if facts is not None:
            return facts
        answers = [running.look_up(pid) for running in self._runners.values() if running.target.container]
        return next((a for a in answers if a is not None and a.container), next(iter(answers), None))

    def _runner(self, running: Running, samples: Sequence[GpuSample]) -> RunnerNow:
        usage, before = running.probe.read(), self._last.get(running.key)
        busy = cpu_cores([before, usage]) if before is not None and usage is not None else []
        if usage is not None:
            self._last[running.key] = usage
        vram, note = self._vram(running, samples)
        return RunnerNow(
            network=running.network,
            run=running.run,
            key=running.key,
            started=running.started,
            cpu_cores=busy[0][1] if busy else None,
            memory_bytes=None if usage is None else usage.memory_bytes,
            threads=None if usage is None else usage.threads,
            vram_bytes=vram,
            vram_note=note,
        )

    def _vram(self, running: Running, samples: Sequence[GpuSample]) -> tuple[int | None, str]:
        if not samples:
            return None, self._no_gpu
        shares = [attribute((), (sample,), running.target) for sample in samples]
        known = [share.own_bytes[0] for share in shares if share.method == "per_process"]
        if not known:
            return None, shares[0].note
        return sum(value or 0 for value in known), ""

    def _foreign(self, sample: GpuSample) -> int | None:
        if sample.processes is None:
            return None
        containers = {r.target.container for r in self._runners.values()} - {""}
        sessions = {r.target.session for r in self._runners.values()} - {0}
        return sum(p.container not in containers and p.session not in sessions for p in sample.processes)
