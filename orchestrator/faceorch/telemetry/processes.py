"""Processes of this host: who owns a process id, and what a process tree has used."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import psutil
from msgspec import Struct

from faceorch.telemetry.samples import UsageSample

if TYPE_CHECKING:
    from docker import APIClient

_CONTAINER = re.compile(r"[0-9a-f]{64}")
# How often the engine is asked, at most and at least, and how long an answer is trusted about processes that it lacks:
# a new process takes longer than that to allocate its first memory on a GPU.
_REFRESH_S, _SOONEST_S, _FRESH_S = 1.0, 0.2, 0.05


class Facts(Struct, frozen=True):
    """The identity of a process: its start in clock ticks since boot, its container's id, its session."""

    started: int
    container: str = ""
    session: int = 0


LookUp = Callable[[int], "Facts | None"]


class ProcLookUp:
    """Looks up process ids in this host's /proc; caches the control group of a process, which does not change."""

    def __init__(self, root: Path = Path("/proc")) -> None:
        self._root = root
        self._containers: dict[tuple[int, int], str] = {}

    def __call__(self, pid: int) -> Facts | None:
        """Return the facts of a process; None if there is no process of this id or it may not be read."""
        try:
            # The name in parentheses may contain anything; numbers follow it. man 5 proc: fields 3 to 52.
            fields = (self._root / str(pid) / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()
            session, started = int(fields[3]), int(fields[19])
            key = (pid, started)
            if key not in self._containers:
                text = (self._root / str(pid) / "cgroup").read_text("utf-8", "replace")
                # Docker in Docker nests them: the last id is the innermost container.
                self._containers[key] = (_CONTAINER.findall(text) or [""])[-1]
        except (OSError, ValueError, IndexError):
            return None
        return Facts(started, self._containers[key], session)


class EngineLookUp:
    """Asks the engine which processes a container has; used if faceorch itself runs in a container."""

    def __init__(self, api: APIClient, container: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._api, self._container, self._clock = api, container, clock
        self._ours: frozenset[int] = frozenset()
        self._others: set[int] = set()
        self._asked_s = float("-inf")

    def __call__(self, pid: int) -> Facts | None:
        """Return the facts of a process, with its container if it is in it; None until the engine has been asked."""
        since_s = self._clock() - self._asked_s
        new = pid not in self._ours and pid not in self._others
        if since_s >= _REFRESH_S or (new and since_s >= _SOONEST_S):
            self._refresh()
            self._asked_s, since_s = self._clock(), 0.0
        if pid in self._ours:
            return Facts(0, self._container)
        if since_s < _FRESH_S:  # the engine has just been asked and did not list it
            self._others.add(pid)
        return Facts(0) if pid in self._others else None

    def _refresh(self) -> None:
        try:
            answer = self._api.top(self._container, ps_args="-o pid,ppid,comm")
            column = [title.upper() for title in answer["Titles"]].index("PID")
            self._ours = frozenset(int(row[column]) for row in answer["Processes"])
        except Exception:
            return  # it has just ended, or the engine talks nonsense: keep what is known


class TreeProbe:
    """Reads the resource usage of a process and all its descendants."""

    method = "process_tree"
    reasons: Mapping[str, str] = MappingProxyType(
        dict.fromkeys(("received_bytes", "sent_bytes"), "not counted for processes of this host")
    )

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._tree: list[psutil.Process] = []
        self._begun_s = self._found_s = time.monotonic()

    def read(self) -> UsageSample | None:
        """Return the tree's current usage; None if the process has ended."""
        # Finding children reads every process of the host. That takes milliseconds: too much for every sample, but for
        # the first ones, since a runner's first process starts the one that works.
        now_s = time.monotonic()
        if not self._tree or now_s - self._found_s >= min(_REFRESH_S, self._found_s - self._begun_s):
            try:
                root = psutil.Process(self._pid)
                self._tree = [root, *root.children(recursive=True)]
            except psutil.Error:
                return None
            self._found_s = now_s
        cpu_s, memory, threads = 0.0, 0, 0
        read: int | None = 0
        written: int | None = 0
        for process in self._tree:
            try:
                with process.oneshot():
                    times = process.cpu_times()
                    resident, running = process.memory_info().rss, process.num_threads()
                    # A parent's `children_*` only count those that have ended, so nothing is counted twice.
                    cpu_s += times.user + times.system
                    cpu_s += getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
            except psutil.Error:
                continue  # ended meanwhile
            memory, threads = memory + resident, threads + running
            try:
                io = process.io_counters()
                read = None if read is None else read + io.read_bytes
                written = None if written is None else written + io.write_bytes
            except (psutil.Error, AttributeError):
                read = written = None
        if memory == 0:  # all of it has ended; what has not been waited for yet still has a thread, and no memory
            return None
        return UsageSample(
            t_s=time.monotonic(),
            cpu_s=cpu_s,
            memory_bytes=memory,
            read_bytes=read,
            write_bytes=written,
            threads=threads,
        )
