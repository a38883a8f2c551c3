"""What a runner prints, from the threads that read it to who follows it."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Iterator
from enum import Enum

_PIECES = 256  # of at most 64 KiB
_TURN_S = 0.2


class Stream(str, Enum):
    """Where a piece of output came from."""

    STDOUT = "stdout"
    STDERR = "stderr"


Piece = tuple[Stream, bytes]


class Output:
    """Pieces of output as they arrive. A runner that prints faster than it is followed has to wait."""

    def __init__(self) -> None:
        self._queue: queue.Queue[Piece | None] = queue.Queue(_PIECES)
        self._left = threading.Event()

    def put(self, piece: Piece | None) -> None:
        """Hand over a piece, or None when there will be no more; once nobody follows, what has no room is dropped."""
        while not self._left.is_set():
            with contextlib.suppress(queue.Full):
                self._queue.put(piece, timeout=_TURN_S)
                return
        with contextlib.suppress(queue.Full):
            self._queue.put_nowait(piece)

    def leave(self) -> None:
        """Stop following: the threads that read are never held up again."""
        self._left.set()

    def get(self, timeout: float | None = None) -> Piece | None:
        """Return the next piece, None when all output has ended; `queue.Empty` when none comes in time."""
        return self._queue.get(timeout=timeout)

    def rest(self) -> Iterator[Piece]:
        """Yield what is here now, and wait for nothing."""
        for _ in range(self._queue.qsize()):
            piece = self._queue.get_nowait()
            if piece is not None:
                yield piece
