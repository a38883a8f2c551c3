"""Watches one job from outside: GPUs at 10 Hz in one thread, its container or processes at 2 Hz in another."""

from __future__ import annotations

import contextlib
import platform
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Protocol

from faceorch.telemetry.nvml import Nvml, Unavailable
from faceorch.telemetry.processes import Facts, LookUp, ProcLookUp
from faceorch.telemetry.samples import Target, UsageSample, Watched

GPU_HZ = 10.0
USAGE_HZ = 2.0
# Looking must not cost more than one hundredth of a core: a slow reading is followed by a longer rest.
_REST = 100.0
_JOIN_S = 5.0


class Probe(Protocol):
    """Reads what a job has used of the host."""

    @property
    def method(self) -> str:
        """How: a word for `Measured.method`."""

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


class Ticker:
    """Calls `read` again and again in a thread of its own until it returns False or the context ends.

    The times of calls do not drift. `cpu_s` is the processor time that the calls took, `late` how many came late,
    `failure` what ended them before their time.
    """

    def __init__(self, name: str, read: Callable[[], bool], hz: float) -> None:
        self._read, self._interval_s = read, 1.0 / hz
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
        self._over = True
        self._wake.set()
        self._thread.join(_JOIN_S)

    def now(self) -> None:
        """Read at once, out of turn."""
        self._wake.set()

    def _loop(self) -> None:
        next_s = time.monotonic()
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
            now_s = time.monotonic()
            next_s += self._interval_s
            if next_s < now_s + spent_s * _REST:
                self.late += 1
                next_s = now_s + spent_s * _REST
            self._wake.wait(max(0.0, next_s - time.monotonic()))


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

    def _whose(self, pid: int) -> Facts | None:
        return self._look_up(pid)  # another one once the runner has started

    def __enter__(self) -> Watch:
        if self._nvml is not None:
            try:
                self._nvml.__enter__()
            except Unavailable as error:
                self.seen.no_gpu, self._nvml = str(error), None
        if self._nvml is not None:
            self.seen.mig, self.seen.errors = self._nvml.mig, self._nvml.errors
            self.seen.before = self._nvml.read(time.monotonic())
        self.seen.begun_s = self.seen.ended_s = time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._nvml is not None:
            self._nvml.__exit__(kind, error, trace)
            self._nvml = None

    def mark(self, name: str, t_s: float) -> None:
        """Note that the stage `name` begins; an empty name says that the job's work is over."""
        self.seen.marks.append((t_s, name))
        if not name and self._usage is not None:
            self._usage.now()  # the runner leaves, and its counters with it

    @contextlib.contextmanager
    def following(self, process: Watchable) -> Iterator[None]:
        """Look at a started runner until the context ends."""
        if not self._hz:
            yield
            return
        seen, nvml = self.seen, self._nvml
        seen.target, self._look_up = process.target, process.look_up
        probe = process.probe
        seen.usage_method = probe.method

        def read_gpus() -> bool:
            if nvml is None:
                return False
            seen.gpus += nvml.read(time.monotonic())
            return True

        def read_usage() -> bool:
            sample = probe.read()
            if sample is not None:
                seen.usage.append(sample)
            return sample is not None or not seen.usage  # it may not have begun yet; once gone, it stays gone

        tickers = (Ticker("faceorch-gpus", read_gpus, self._hz), Ticker("faceorch-usage", read_usage, USAGE_HZ))
        self._usage = tickers[1]
        try:
            with tickers[0], tickers[1]:
                yield
        finally:
            self._usage = None
            read_gpus()  # the last word: what the counters say now that it is over
            seen.ended_s = time.monotonic()
            seen.cpu_s = sum(ticker.cpu_s for ticker in tickers)
            seen.late = sum(ticker.late for ticker in tickers)
            seen.failures = [ticker.failure for ticker in tickers if ticker.failure]
            if not seen.usage:
                seen.no_usage = "it ended before it could be looked at"


def _is_wsl2() -> bool:
    return "microsoft" in platform.release().lower()
