"""The one door to other programs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, NamedTuple

from faceorch.files import open_own
from faceorch.untrusted import SENTENCE, text

_TAIL_LINES = 60
# prctl(PR_SET_PDEATHSIG, SIGKILL), which lasts over exec.
_TIE = "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 9, 0, 0, 0); os.execvp(sys.argv[1], sys.argv[1:])"


class Completed(NamedTuple):
    """How a program ended, and the last lines that it printed (stdout and stderr together)."""

    code: int
    tail: tuple[str, ...]


def run(
    arguments: Sequence[str],
    *,
    log: Path | None = None,
    env: Mapping[str, str] | None = None,
    on_line: Callable[[str], None] | None = None,
    on_start: Callable[[subprocess.Popen[str]], None] | None = None,
    tied: bool = False,
) -> Completed:
    """Run a program to its end, without a shell; append what it prints to `log`, line by line to `on_line`.

    `on_start` gets the process, for who has to end it from another thread. `tied`: it ends with this process, even when
    that is killed (Linux).
    """
    tail: list[str] = []
    prefix = [sys.executable, "-I", "-S", "-c", _TIE] if tied and sys.platform == "linux" else []
    with (
        open_own(log, "a") if log else open(os.devnull, "w") as file,
        subprocess.Popen(
            [*prefix, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=None if env is None else dict(env),
            text=True,
            encoding="utf-8",
            errors="replace",
        ) as process,
    ):
        assert process.stdout is not None
        if on_start is not None:
            on_start(process)
        file.write(f"$ {' '.join(arguments)}\n")
        try:
            for line in process.stdout:
                file.write(line)
                tail = [*tail[-_TAIL_LINES + 1 :], line.rstrip("\n")]
                if on_line is not None:
                    on_line(line.rstrip("\n"))
        except BaseException:
            process.kill()
            raise
    return Completed(process.returncode, tuple(tail))


def own_environment() -> dict[str, str]:
    """Return the environment for a child of faceorch's own code that starts in another folder.

    Relative entries of PYTHONPATH are made absolute; an empty one, which means the current folder, is left out.
    """
    entries = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(os.fspath(Path(entry).absolute()) for entry in entries)}


class Failed(Exception):
    """A program did not do what it was asked for; the message is its last line."""


def convert(arguments: Sequence[str], data: bytes, *, limit_s: float) -> bytes:
    """Return what a child of our own makes of `data`; `Failed` when it ends otherwise than well, or not in time.

    It runs in the root folder: `python -m` imports from the current one first, and that may be anybody's.
    """
    try:
        done = subprocess.run(
            list(arguments),
            input=data,
            capture_output=True,
            timeout=limit_s,
            check=False,
            cwd=os.sep,
            env=own_environment(),
        )
    except subprocess.TimeoutExpired as error:
        raise Failed(f"no end after {limit_s:g} s") from error
    if done.returncode != 0:
        raise Failed(last_line(done.stderr) or f"exit code {done.returncode}")
    return done.stdout


def last_line(printed: bytes) -> str:
    """Return the last line of what a program has printed, which says most of why it ended; empty without one."""
    lines = printed.decode("utf-8", "replace").strip().splitlines()
    return text(lines[-1], SENTENCE) if lines else ""


def limit(*, memory_bytes: int, cpu_s: int | None = None) -> None:
    """Hold this process, a child of faceorch's own, to limits; stricter ones that hold already stay."""
    import resource

    wanted = {resource.RLIMIT_AS: memory_bytes, resource.RLIMIT_CORE: 0}
    if cpu_s is not None:
        wanted[resource.RLIMIT_CPU] = cpu_s
    for what, value in wanted.items():
        hard = resource.getrlimit(what)[1]
        if hard == resource.RLIM_INFINITY or value < hard:
            resource.setrlimit(what, (value, value))


def start(
    arguments: Sequence[str], *, env: Mapping[str, str], cwd: Path, errors: IO[bytes] | None = None
) -> subprocess.Popen[bytes]:
    """Start a program with three pipes in a session of its own, so that Ctrl-C does not reach it.

    `errors` is the file that gets its stderr, instead of a pipe.
    """
    return subprocess.Popen(
        list(arguments),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors or subprocess.PIPE,
        env=dict(env),
        cwd=cwd,
        bufsize=0,
        start_new_session=True,
    )
