"""Who started a container or a process: enough to tell, later, whether that faceorch still lives.

An owner is a boot of a machine, a process id and that process's start time (process ids are used again).
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psutil


@dataclass(frozen=True, slots=True)
class Owner:
    """A faceorch process."""

    machine: str
    pid: int
    started_s: float

    @classmethod
    def me(cls) -> Owner:
        """Return this process."""
        return cls.of(os.getpid())

    @classmethod
    def of(cls, pid: int) -> Owner:
        """Return the live process `pid`; `psutil.NoSuchProcess` when there is none."""
        return cls(_machine(), pid, round(psutil.Process(pid).create_time(), 2))

    def alive(self) -> bool:
        """Say whether it still runs. Processes of other machines count as alive: nobody here can tell."""
        if self.machine.partition("/")[0] != _machine().partition("/")[0]:
            return True
        if self.machine != _machine():
            return False  # this machine, but an earlier boot
        try:
            return abs(psutil.Process(self.pid).create_time() - self.started_s) < 0.05
        except psutil.NoSuchProcess:
            return False

    def __str__(self) -> str:
        return f"{self.machine}:{self.pid}:{self.started_s}"

    @classmethod
    def parse(cls, text: str) -> Owner | None:
        """Return the owner that `str()` wrote, None when `text` is something else."""
        parts = text.rsplit(":", 2)
        try:
            return cls(parts[0], int(parts[1]), float(parts[2]))
        except (IndexError, ValueError):
            return None


@cache
def _machine() -> str:
    """Return `<host>/<boot>`: one boot of one machine."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        boot = str(round(psutil.boot_time()))
    return f"{socket.gethostname()}/{boot}"
