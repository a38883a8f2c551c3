"""Watches one job from outside: GPUs at 10 Hz in one thread, its container or processes at 5 Hz in another."""

from __future__ import annotations

import contextlib
import platform
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Protocol

from faceorch.telemetry.nvml import Nvml, Unavailable
from faceorch.telemetry.processes import Facts, LookUp, ProcLookUp
from faceorch.telemetry.samples import Target, UsageSample, Watched

GPU_HZ = 10.0
USAGE_HZ = 5.0
# Looking must not cost more than these shares of one core: what costs more is done less often.
GPU_SHARE, USAGE_SHARE = 0.015, 0.004  # together under 2 %; without a GPU, usage may take the GPU's
_SAVED_S = 0.02
_SLACK_S = 0.02
# One look may take a driver very long (it makes way for the first process of all): that must not blind us afterwards.
_LONGEST_REST_S = 1.0
_JOIN_S = 5.0


class Probe(Protocol):
    """Reads what a job has used of the host."""

    @property
    def method(self) -> str:
        """How: a word for `Measured.method`."""

    @property
    def reasons(self) -> Mapping[str, str]:
        """Why fields of its samples stay unknown, for those that do."""

    def read(self) -> UsageSample | None:
        """Return the usage now; None when there is nothing to read (any more)."""


class Watchable(Protocol):
    """A started runner, as far as watching it goes."""

    @property
    def target(self) -> Target:
        """Its container or session."""

    @property
    def probe(self) -> Probe:
        """What reads its usage."""

    @property
    def look_up(self) -> LookUp:
        """What tells whose a process of the host is."""


class Pace:
    """When to look next: `hz` times a second from `now_s` on, without drift.

    Looks take `share` of one core at most, over some seconds: those that cost more come less often, but once a second.
    `late` is how many came late.
    """

    def __init__(self, hz: float, share: float, now_s: float) -> None:
        self._interval_s, self._share = 1.0 / hz, share
        self._next_s = self._counted_s = now_s
        self._saved_s = _SAVED_S  # processor time that may be spent now
        self.late = 0

    def rest_s(self, now_s: float, spent_s: float) -> float:
        """Return how long to rest after a look that ended at `now_s` and took `spent_s` of processor time."""
        saved_s = min(_SAVED_S, self._saved_s + (now_s - self._counted_s) * self._share) - spent_s
        self._saved_s = saved_s = max(saved_s, -_LONGEST_REST_S * self._share)
        self._counted_s = now_s
        self._next_s += self._interval_s
        if self._next_s + _SLACK_S < now_s or saved_s < 0:
            self.late += 1
            self._next_s = max(now_s, now_s - saved_s / self._share if saved_s < 0 else self._next_s)
        return max(0.0, self._next_s - now_s)


class Ticker:
    """Calls `read` again and again in a thread of its own until it returns False or the context ends.

    `cpu_s` is the processor time that the calls took, `late` how many came late, `failure` what ended them before their
    time.
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
        """Let the reading that goes on be the last, without waiting for it."""
        self._over = True
        self._wake.set()

    def now(self) -> None:
        """Read at once, out of turn."""
        self._wake.set()

    def _loop(self) -> None:
        pace = Pace(self._hz, self._share, time.monotonic())
        while True:
            self._wake.clear()
            if self._over:
                return
            begun_s = time.thread_time()
            try:
                if not self._read():
                    return
            except Exception as error:  # a measurement that breaks must not take the job's result with it
                self.failure = f"{type(error).__name__}: {error}"
                return
            spent_s = time.thread_time() - begun_s
            self.cpu_s += spent_s
            rest_s = pace.rest_s(time.monotonic(), spent_s)
            self.late = pace.late
            self._wake.wait(rest_s)


class Watch:
    """What is seen of one job; a context manager that is entered before the job starts.

    `gpus` are the UUIDs of the job's GPUs, `no_gpu` says why there are none to look at. With `hz` 0 nothing is looked
    at, for whoever wants to know what looking costs.
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
        return self._look_up(pid)  # another one once the runner has started

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
        """Note that the stage `name` begins; an empty name says that the job's work is over."""
        self.seen.marks.append((t_s, name))
        if not name and self._usage is not None:
            self._usage.now()  # the runner leaves, and its counters with it

    @contextlib.contextmanager
    def following(self, process: Watchable) -> Iterator[None]:
        """Look at a started runner until the context ends; `seen` is complete when the watch itself has ended."""
        if not self._hz:
            yield
            return
        self.seen.target, self._look_up = process.target, process.look_up
        self._usage = self._stack.enter_context(self._usage_ticker(process.probe))
        try:
            with self._gpu_ticker():
                yield
        finally:
            if self._nvml is not None:  # the last word: what the counters say now that it is over
                self.seen.gpus += self._nvml.read(time.monotonic(), whole=True)
            self.seen.ended_s = time.monotonic()
            # An engine may take a second for its last answer: that is waited for when the container is gone.
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
            sample = probe.read()
            if sample is not None:
                seen.usage.append(sample)
            return sample is not None or not seen.usage  # it may not have begun yet; once gone, it stays gone

        ticker = Ticker("faceorch-usage", read, USAGE_HZ, GPU_SHARE if self._nvml is None else USAGE_SHARE)
        try:
            with ticker:
                yield ticker
        finally:
            self._account(ticker)
            if not seen.usage:
                seen.no_usage = "it ended before it could be looked at"

    def _account(self, ticker: Ticker) -> None:
        self.seen.cpu_s += ticker.cpu_s
        self.seen.late += ticker.late
        self.seen.failures += [ticker.failure] if ticker.failure else []


def _is_wsl2() -> bool:
    return "microsoft" in platform.release().lower()
