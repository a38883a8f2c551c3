"""Several repetitions of a job: which are left to do, and what whoever reads their figures should know. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from faceorch.record.request import Request
from faceorch.record.run import Repetition, Spread

# What an outlier is looked for in, and how it is called.
_OUTLIERS = {"animate_s": "to animate", "total_s": "from start to stop"}


@dataclass(frozen=True, slots=True)
class Turn:
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


def remarks(counted: Sequence[Repetition], spreads: Mapping[str, Spread]) -> list[str]:
    """Return what whoever reads the figures should know, each with what to do about it."""
    said = [note for repetition in counted for note in repetition.notes]
    for name, words in _OUTLIERS.items():
        spread = spreads.get(name)
        if spread is None:
            continue
        for number in spread.outliers:
            took_s = next(getattr(r.times, name) for r in counted if r.number == number)
            said.append(
                f"repetition {number} took {took_s:.2f} s {words}, the median is {spread.median:.2f} s: "
                "end other programs, warm up (--warmup 1), and run it again"
            )
    if len({repetition.video_sha256 for repetition in counted}) > 1:
        said.append("its repetitions made different videos from the same seed: compare its quality over several seeds")
    return list(dict.fromkeys(said))
