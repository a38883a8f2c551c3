"""The runner's own limit of time: native code cannot be interrupted otherwise."""

from __future__ import annotations

import os
import threading

from .errors import ErrorKind
from .events import EventKind, EventStream


class Deadline:
    """Ends the whole process with the error `timeout` when it is not cancelled in time; without a limit, never."""

    def __init__(self, events: EventStream, job: str | None, timeout_s: float | None, exit_code: int = 1) -> None:
        self._timer: threading.Timer | None = None
        if timeout_s is None:
            return
        message = f"not finished after {timeout_s:g} s"

        def expire() -> None:
            events.emit(EventKind.ERROR, job, kind=ErrorKind.TIMEOUT.value, message=message)
            os._exit(exit_code)

        self._timer = threading.Timer(timeout_s, expire)
        self._timer.daemon = True
        self._timer.start()

    def cancel(self) -> None:
        """Let it pass."""
        if self._timer is not None:
            self._timer.cancel()
