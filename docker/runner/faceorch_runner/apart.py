"""A network's checks in a process of their own, which look at the inputs while the runner loads the models.

Python lets one thread work at a time, and to import torch and to find a face are both work of Python's. Linux only.
"""

from __future__ import annotations

import ctypes
import gc
import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from .errors import ErrorKind, RunnerError, classify, one_line
from .jobs import Job
from .network import Network

_SET_PDEATHSIG = 1  # prctl(2)

_Result = TypeVar("_Result")


class Refused(RunnerError):
    """A check that failed over there, as it was told here."""

    def __init__(self, kind: ErrorKind, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Apart:
    """Makes one check after the other in a fork of this process; it ends with it.

    To be made before this process has threads, or anything to do with a GPU.
    """

    def __init__(self, network: Network) -> None:
        context = multiprocessing.get_context("fork")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(network, theirs, self._pipe), daemon=True)
        self._process.start()
        theirs.close()
        self._waiting = ThreadPoolExecutor(1, "checks")

    def meanwhile(self, work: Callable[[], _Result]) -> Future[_Result]:
        """Do work that waits for checks in a thread of its own."""
        return self._waiting.submit(work)

    def check(self, job: Job) -> Any:
        """Return what the network's check returns; `RunnerError` when it fails, or its process ends."""
        try:
            self._pipe.send(job)
            kind, said = self._pipe.recv()
        except (EOFError, OSError):
            self._process.join()
            raise RunnerError(f"the check of {job.portrait.name} was ended by {self._end()}") from None
        if kind is not None:
            raise Refused(ErrorKind(kind), said)
        return said

    def _end(self) -> str:
        code = self._process.exitcode or 0
        try:
            return signal.Signals(-code).name
        except ValueError:
            return f"exit code {code}"


def _serve(network: Network, pipe: Connection, theirs: Connection) -> None:
    """Check the jobs that arrive until the runner has gone."""
    theirs.close()
    gc.enable()  # off while the runner starts
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to the runner too
    runner = os.getppid()
    ctypes.CDLL(None).prctl(_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    while os.getppid() == runner:
        try:
            job = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send((None, network.check(job)))
        except BaseException as error:  # also when what it found cannot be sent
            if not isinstance(error, RunnerError):
                traceback.print_exception(type(error), error, error.__traceback__, file=sys.stderr)
            sys.stderr.flush()
            pipe.send((classify(error).value, one_line(error)))
