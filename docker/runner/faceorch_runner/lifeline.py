"""The lifeline: a process that ends the runner, and all that it has started, once the host has gone.

The runner cannot do that by itself: native code may hold Python's lock, so that no thread of it runs, and a child may
have a session of its own. So the first process only watches, and a fork of it is the runner. Linux only.
"""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

EXIT_OWNER_DIED = 75
GRACE_S = 2.0  # how long a runner may take to leave by itself when stdin has ended
_CLEARING_S = 5.0
_SET_PDEATHSIG, _SET_CHILD_SUBREAPER = 1, 36  # prctl(2)
_PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def hold() -> None:
    """Go on as a child of this process, which watches over it and never returns.

    What arrives on stdin is passed on. When stdin ends, the child has `GRACE_S` to leave; then it is killed, and all
    processes that come from it. The watcher ends as the child did.
    """
    if sys.platform != "linux":
        return  # the runner's own thread is the lifeline
    try:
        import ctypes
    except ImportError:  # a Python that was built without it
        return
    prctl = ctypes.CDLL(None).prctl
    prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # what a child of the runner leaves behind comes to this process
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, _ignore)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    source, sink = os.pipe()
    watcher = os.getpid()
    # Until both know what to do with them: the child may be at work before the watcher has run again.
    signal.pthread_sigmask(signal.SIG_BLOCK, _PASSED_ON)
    child = os.fork()
    if child == 0:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _PASSED_ON)
        prctl(_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != watcher:
            os._exit(EXIT_OWNER_DIED)
        os.dup2(source, 0)
        for fd in (source, sink, woken, wake):
            os.close(fd)
        return
    os.close(source)
    os.set_blocking(sink, False)
    for number in _PASSED_ON:
        signal.signal(number, lambda got, _: _kill(child, got))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _PASSED_ON)
    status = _watch(child, sink, woken)
    _clear()
    _end_as(status)


def _ignore(number: int, frame: Any) -> None:
    """Do nothing: that a signal has come wakes the watcher."""


def _kill(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _watch(child: int, sink: int, woken: int) -> int:
    """Pass stdin on to the child until it has ended; return its wait status."""
    poll = select.poll()
    poll.register(0, select.POLLIN)
    poll.register(woken, select.POLLIN)
    waiting, until_s = b"", None
    while True:
        left_ms = None if until_s is None else max(0, round((until_s - time.monotonic()) * 1000))
        ready = {fd for fd, _ in poll.poll(left_ms)}
        if woken in ready:
            os.read(woken, 4096)
        if (status := _reap(child)) is not None:
            return status
        if until_s is not None and time.monotonic() >= until_s:
            _kill(child, signal.SIGKILL)
            until_s = None
        if 0 in ready:
            piece = os.read(0, 65536)
            waiting += piece
            if not piece:
                poll.unregister(0)
                until_s = time.monotonic() + GRACE_S
        waiting = _pass_on(sink, waiting)
        if waiting:
            poll.register(sink, select.POLLOUT)
        elif sink in ready:
            poll.unregister(sink)
        if until_s is not None and not waiting and sink >= 0:
            with contextlib.suppress(KeyError):
                poll.unregister(sink)
            os.close(sink)
            sink = -1


def _pass_on(sink: int, waiting: bytes) -> bytes:
    """Write what the child takes at once; return what is left."""
    try:
        return waiting[os.write(sink, waiting) :] if waiting else b""
    except BlockingIOError:
        return waiting
    except BrokenPipeError:
        return b""


def _reap(child: int) -> int | None:
    """Collect every process that has ended; return the wait status of `child` when it is among them."""
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return None
            if pid == child:
                return status
    return None


def _clear() -> None:
    """Kill all that comes from the runner and is still there."""
    until_s = time.monotonic() + _CLEARING_S
    with contextlib.suppress(ChildProcessError):
        while time.monotonic() < until_s:
            for pid in _descendants(os.getpid()):
                _kill(pid, signal.SIGKILL)
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
            time.sleep(0.005)


def _descendants(root: int) -> Iterator[int]:
    """Yield the processes that come from `root`."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").iterdir():
        if path.name.isdecimal():
            with contextlib.suppress(OSError, IndexError, ValueError):
                # The name, in brackets, may hold anything; field 4, the parent, comes after it.
                parent = int((path / "stat").read_bytes().rpartition(b")")[2].split()[1])
                children.setdefault(parent, []).append(int(path.name))
    waiting = [root]
    while waiting:
        found = children.get(waiting.pop(), [])
        yield from found
        waiting += found


def _end_as(status: int) -> None:
    """End this process as another one has ended."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        os._exit(128 + number)  # the first process of a container cannot kill itself
    os._exit(os.WEXITSTATUS(status))
