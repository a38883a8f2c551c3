"""Samples one job from outside: GPUs at 10 Hz in one thread, its container or processes at 5 Hz in another."""

from __future__ import annotations

import contextlib
import platform
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Protocol

from faceorch.telemetry.machine import read_machine
from faceorch.telemetry.nvml import Nvml, Unavailable
from faceorch.telemetry.processes import Facts, LookUp, ProcLookUp
from faceorch.telemetry.samples import Target, UsageSample, Watched

GPU_HZ = 10.0
USAGE_HZ = 5.0
# Sampling budget as a share of one core. A probe over budget samples less often.
GPU_SHARE, USAGE_SHARE = 0.015, 0.004  # together under 2 %; without a GPU, usage may take the GPU's
_SAVED_S = 0.02
_SLACK_S = 0.02
# One query may take a driver very long (it initialises the GPU for the first process). Sampling must resume soon.
_LONGEST_REST_S = 1.0
_JOIN_S = 5.0


class Probe(Protocol):
    """Reads a job's resource usage."""

    @property
    def method(self) -> str:
        """The method, as in `Measured.method`."""

    @property
    def reasons(self) -> Mapping[str, str]:
        """For each field that stays unknown, the reason."""

    def read(self) -> UsageSample | None:
        """Return the current usage; None if there is nothing to read, or no longer."""


class Watchable(Protocol):
    """The part of a started runner that sampling needs."""

    @property
    def target(self) -> Target:
        """Its container or session."""

    @property
    def probe(self) -> Probe:
        """The probe that reads its usage."""

    @property
    def look_up(self) -> LookUp:
        """The function that identifies a process of the host."""


class Pace:
    """Decides when to sample next: `hz` times a second from `now_s` on, without drift.

    Sampling takes at most `share` of one core, averaged over some seconds. Expensive samples are taken less often, but
    at least once a second. `late` counts the late ones.
    """

    def __init__(self, hz: float, share: float, now_s: float) -> None:
        self._interval_s, self._share = 1.0 / hz, share
        self._next_s = self._counted_s = now_s
        self._saved_s = _SAVED_S  # processor time that may be used now
        self.late = 0

    def rest_s(self, now_s: float, spent_s: float) -> float:
        """Return how long to wait after a sample that ended at `now_s` and took `spent_s` of processor time."""
        saved_s = min(_SAVED_S, self._saved_s + (now_s - self._counted_s) * self._share) - spent_s
        self._saved_s = saved_s = max(saved_s, -_LONGEST_REST_S * self._share)
        self._counted_s = now_s
        self._next_s += self._interval_s
        if self._next_s + _SLACK_S < now_s or saved_s < 0:
            self.late += 1
            self._next_s = max(now_s, now_s - saved_s / self._share if saved_s < 0 else self._next_s)
        return max(0.0, self._next_s - now_s)


class Ticker:
    """Calls `read` repeatedly in a thread of its own until it returns False or the context ends.

    `cpu_s` is the processor time of the calls, `late` counts the late ones, `failure` is the error that ended them.
    """

    def __init__(self, name: str, read: Callable[[], bool], hz: float, share: float) -> None:
        self._read, self._hz, self._share = read, hz, share
        self._wake = threading.Event()
        self._over = False
        self._thread = threading.Thread(target=self._loop, name=name, daemon=True)
        self.cpu_s = 0.0
        self.late = 0
        self.failure = ""

    def __enter__(self) -> Ticker:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()
        self._thread.join(_JOIN_S)

    def end(self) -> None:
        """Stop after the current reading, without waiting for it."""
        self._over = True
        self._wake.set()

    def now(self) -> None:
        """Read at once, without waiting for the next turn."""
        self._wake.set()

    def once(self) -> bool:
        """Read in the calling thread; return whether there is more to read."""
        begun_s = time.thread_time()
        try:
            return self._read()
        except Exception as error:  # a failed measurement must not cost the job's result
            self.failure = f"{type(error).__name__}: {error}"
            return False
        finally:
            self.cpu_s += time.thread_time() - begun_s

    def _loop(self) -> None:
        pace = Pace(self._hz, self._share, time.monotonic())
        while True:
            self._wake.clear()
            if self._over:
                return
            before_s = self.cpu_s
            if not self.once():
                return
            rest_s = pace.rest_s(time.monotonic(), self.cpu_s - before_s)
            self.late = pace.late
            self._wake.wait(rest_s)


class Watch:
    """Samples one job; a context manager that is entered before the job starts.

    `gpus` are the UUIDs of the job's GPUs; `no_gpu` is the reason if there are none. With `hz` 0 nothing is
    sampled: the reference for what sampling costs.
    """

    def __init__(self, gpus: Sequence[str], *, no_gpu: str = "", hz: float = GPU_HZ) -> None:
        self.seen = Watched(no_gpu=no_gpu or ("" if gpus else "no GPU was used"), wsl2=_is_wsl2())
        if not hz:
            self.seen.no_gpu = self.seen.no_usage = "measuring was turned off"
        self._hz = hz
        self._look_up: LookUp = ProcLookUp()
        self._nvml = None if self.seen.no_gpu else Nvml(gpus, self._whose)
        self._usage: Ticker | None = None
        self._stack = contextlib.ExitStack()

    def _whose(self, pid: int) -> Facts | None:
        return self._look_up(pid)  # replaced once the runner has started

    def __enter__(self) -> Watch:
        if self._nvml is not None:
            try:
                self._stack.enter_context(self._nvml)
            except Unavailable as error:
                self.seen.no_gpu, self._nvml = str(error), None
        if self._nvml is not None:
            self.seen.mig, self.seen.errors = self._nvml.mig, self._nvml.errors
            self.seen.before = self._nvml.read(time.monotonic(), whole=True)
        self.seen.begun_s = self.seen.ended_s = time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def mark(self, name: str, t_s: float) -> None:
        """Record that the stage `name` begins; an empty name marks the end of the job's work."""
        self.seen.marks.append((t_s, name))
        if not name and self._usage is not None:
            self._usage.now()  # the runner exits, and its counters disappear

    @contextlib.contextmanager
    def following(self, process: Watchable) -> Iterator[None]:
        """Sample a started runner until the context ends; `seen` is complete once the watch itself has ended."""
        if not self._hz:
            yield
            return
        self.seen.target, self._look_up = process.target, process.look_up
        self._usage = self._stack.enter_context(self._usage_ticker(process.probe))
        try:
            with self._gpu_ticker():
                yield
        finally:
            if self._nvml is not None:  # the final values of the counters
                self.seen.gpus += self._nvml.read(time.monotonic(), whole=True)
            self.seen.ended_s = time.monotonic()
            # An engine may take a second for its last response. It is awaited once the container has been removed.
            self._usage.end()

    @contextlib.contextmanager
    def _gpu_ticker(self) -> Iterator[None]:
        nvml = self._nvml
        if nvml is None:
            yield
            return

        def read() -> bool:
            self.seen.gpus += nvml.read(time.monotonic())
            return True

        ticker = Ticker("faceorch-gpus", read, self._hz, GPU_SHARE)
        try:
            with ticker:
                yield
        finally:
            self._account(ticker)

    @contextlib.contextmanager
    def _usage_ticker(self, probe: Probe) -> Iterator[Ticker]:
        seen = self.seen
        seen.usage_method, seen.usage_reasons = probe.method, dict(probe.reasons)

        def read() -> bool:
            seen.machine.append(read_machine())
            sample = probe.read()
            if sample is not None:
                seen.usage.append(sample)
            return sample is not None or not seen.usage  # it may not have started yet; once ended, it stays ended

        ticker = Ticker("faceorch-usage", read, USAGE_HZ, GPU_SHARE if self._nvml is None else USAGE_SHARE)
        if probe.method != "docker_stats":  # which may take a second; the others take a thousandth
            ticker.once()  # so that however busy the host and short the job, it was looked at
        try:
            with ticker:
                yield ticker
        finally:
            self._account(ticker)
            if not seen.usage:
                seen.no_usage = "it ended before it could be sampled"

    def _account(self, ticker: Ticker) -> None:
        self.seen.cpu_s += ticker.cpu_s
        self.seen.late += ticker.late
        self.seen.failures += [ticker.failure] if ticker.failure else []


def _is_wsl2() -> bool:
    return "microsoft" in platform.release().lower()
