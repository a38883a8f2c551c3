"""Several repetitions of a job: which are left to do. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from faceorch.record.request import Request
from faceorch.record.run import Repetition


class Turn(Struct, frozen=True):
    """A repetition that is to be done: `number` counts from 1 among the warm-ups, or among those that count."""

    number: int
    of: int
    warmup: bool

    def __str__(self) -> str:
        return f"{'warm-up' if self.warmup else 'repetition'} {self.number} of {self.of}"


def turns(request: Request, done: Sequence[Repetition]) -> list[Turn]:
    """Return what is left to do; a run that is taken up again warms up again."""
    have = {repetition.number for repetition in done if not repetition.warmup}
    left = [number for number in range(1, request.repeat + 1) if number not in have]
    if not left:
        return []
    warm = [Turn(number, request.warmup, True) for number in range(1, request.warmup + 1)]
    return warm + [Turn(number, request.repeat, False) for number in left]
