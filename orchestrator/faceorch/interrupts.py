"""Ctrl-C, and the signals that mean the same: raised in the main thread, where it can be, and never lost."""

from __future__ import annotations

import signal
import sys
from types import FrameType

_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")
_AGAIN_S = 0.01


class Interrupt(KeyboardInterrupt):
    """The user wants to stop.

    Code in C drops exceptions where it hashes, compares or destroys something, and an error in a clean-up takes the
    place of what was on its way. So it comes again when it has got lost; whoever ends it on purpose calls `take`.
    """

    taken = False

    def __del__(self) -> None:
        if not self.taken:
            signal.setitimer(signal.ITIMER_REAL, _AGAIN_S)


def install() -> None:
    """Let the signals that end a program raise an `Interrupt`; an ignored one stays ignored, as nohup requires."""
    for name in _SIGNALS:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)
    signal.signal(signal.SIGALRM, _interrupt)


def take(error: KeyboardInterrupt) -> None:
    """Mark an interrupt as dealt with, so that it does not come again."""
    if isinstance(error, Interrupt):
        error.taken = True


def ignore() -> None:
    """Let no interrupt that got lost come again: the program is leaving."""
    signal.signal(signal.SIGALRM, signal.SIG_IGN)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Raise, but not in the middle of an import, which could leave Python's import lock held for good: then later."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            signal.setitimer(signal.ITIMER_REAL, _AGAIN_S)
            return
        frame = frame.f_back
    sys.unraisablehook = _say_nothing
    raise Interrupt


def _say_nothing(what: sys.UnraisableHookArgs) -> None:
    """Print nothing of what an interrupt leaves half made."""
