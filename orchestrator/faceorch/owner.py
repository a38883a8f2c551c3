"""Who started a container or a process: enough to tell, later, whether that faceorch still lives.

An owner is a host, a boot of it, a PID namespace, a process id there, and that process's start in clock ticks since
boot (process ids are used again; setting the clock does not change ticks).
"""

from __future__ import annotations

import os
import re
import socket
import sys
from functools import cache
from pathlib import Path

import psutil
from msgspec import Struct

_UNKNOWN = "unknown"  # no boot id can be read here: ticks alone tell
# The end is not a number, so that an earlier faceorch does not take the whole for its own form and judge it.
_NEW = re.compile(r"(?P<host>[^/]+)/(?P<boot>[^/:]+):(?P<pid>\d{1,10}):(?P<ticks>\d{1,20})@(?P<namespace>\d{1,20})")
_OLD = re.compile(r"(?P<host>[^/]+)/(?P<boot>[^/:]+):(?P<pid>\d{1,10}):\d{1,20}(\.\d{1,20})?")
_PROC = Path("/proc")


class Owner(Struct, frozen=True):
    """A faceorch process. `namespace` and `ticks` are None in the notes of faceorchs that did not know them."""

    host: str
    boot: str
    namespace: int | None
    pid: int
    ticks: int | None

    @property
    def machine(self) -> str:
        """One boot of one machine, as text."""
        return f"{self.host}/{self.boot}"

    @classmethod
    def me(cls) -> Owner:
        """Return this process."""
        return cls.of(os.getpid())

    @classmethod
    def of(cls, pid: int) -> Owner:
        """Return the live process `pid`; `ProcessLookupError` when there is none."""
        ticks = _start_ticks(pid)
        if ticks is None:
            raise ProcessLookupError(f"no process {pid}")
        return cls(socket.gethostname(), _boot_id(), _namespace(), pid, ticks)

    def judged(self) -> bool | None:
        """Return whether it still runs, None when that cannot be told from here.

        An old note tells no namespace and no ticks: its process counts as running while its id is in use.
        """
        same_host = self.host == socket.gethostname()
        if self.boot != _boot_id():
            return False if same_host else None  # an earlier boot of this machine, or another machine
        if self.namespace not in (None, _namespace()) or (self.boot == _UNKNOWN and not same_host):
            return None
        ticks = _start_ticks(self.pid)
        if ticks is None or self.ticks is None:
            return None if _exists(self.pid) else False
        return ticks == self.ticks

    def alive(self) -> bool:
        """Return whether it must be taken to be running: it is, or nobody here can tell."""
        return self.judged() is not False

    def __str__(self) -> str:
        return f"{self.machine}:{self.pid}:{self.ticks}@{self.namespace}"

    @classmethod
    def parse(cls, text: str) -> Owner | None:
        """Return the owner that `str()` wrote, here or in an earlier faceorch; None when `text` is something else."""
        if (new := _NEW.fullmatch(text)) is not None:
            return cls(new["host"], new["boot"], int(new["namespace"]), int(new["pid"]), int(new["ticks"]))
        if (old := _OLD.fullmatch(text)) is not None:
            return cls(old["host"], old["boot"], None, int(old["pid"]), None)
        return None


@cache
def _boot_id() -> str:
    """Return what names this boot of this machine."""
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text("ascii").strip() or _UNKNOWN
    except OSError:
        return _UNKNOWN


@cache
def _namespace() -> int:
    """Return the PID namespace of this process; 0 where there is no such thing."""
    try:
        return (_PROC / "self/ns/pid").stat().st_ino
    except OSError:
        return 0


def _start_ticks(pid: int) -> int | None:
    """Return when `pid` started, in clock ticks since boot; None when it has ended or cannot be seen."""
    if not sys.platform.startswith("linux"):
        try:  # these systems keep the time of the start itself, which setting the clock does not change
            return round(psutil.Process(pid).create_time() * 100)
        except psutil.Error:
            return None
    try:
        stat = (_PROC / str(pid) / "stat").read_bytes()
    except OSError:
        return None
    # The name, in brackets, may hold anything; field 3 comes after it.
    fields = stat.rpartition(b")")[2].split()
    if len(fields) < 20 or fields[0] in (b"Z", b"X"):
        return None
    return int(fields[19])


def _exists(pid: int) -> bool:
    """Return whether a process `pid` is there, also one of another user that /proc hides. A zombie has ended."""
    if (_PROC / str(pid) / "stat").is_file():
        return _start_ticks(pid) is not None
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
