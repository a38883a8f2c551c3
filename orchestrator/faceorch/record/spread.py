"""What several repetitions say together: ranges, outliers, and whether networks can be told apart. Pure."""

from __future__ import annotations

import re
import statistics
from collections.abc import Mapping, Sequence

from msgspec import Struct

from faceorch.record.run import Repetition, Spread

# Fewer repetitions than this say nothing about their spread.
FEWEST = 3
# An outlier lies further from the median than five standard deviations (estimated from the median deviation, which
# outliers do not move: 1.4826 is its factor for a normal distribution), and by more than a tenth.
_DEVIATIONS, _SCALE, _SHARE = 5.0, 1.4826, 0.1

_TIMES = ("total_s", "start_s", "setup_s", "animate_s", "first_frame_s", "encode_s", "stop_s")
_METRICS = (
    "vram_peak_bytes",
    "torch_peak_reserved_bytes",
    "torch_peak_allocated_bytes",
    "memory_peak_bytes",
    "cpu_s",
    "energy_wh",
    "energy_wh_per_video_s",
)
# The spreads whose outliers are remarked upon, and what they are called.
_TURN = re.compile(r"repetition (?P<number>\d+) of (?P<of>\d+): (?P<text>.*)", re.DOTALL)
_LISTED = 6
_NUMBER = re.compile(r"\d+(\.\d+)?")
_REMARKED = {"animate_s": "to animate", "total_s": "from start to stop"}


def middle(counted: Sequence[Repetition]) -> Repetition:
    """Return the repetition whose time from start to stop is the median (the shorter one of two)."""
    known = sorted((r for r in counted if r.times.total_s is not None), key=lambda r: r.times.total_s or 0.0)
    return known[(len(known) - 1) // 2] if known else counted[0]


def spreads(counted: Sequence[Repetition]) -> dict[str, Spread]:
    """Return minimum, median, maximum and outliers of every figure that was measured in the same way each time."""
    found: dict[str, Spread] = {}
    for name in _TIMES:
        _add(found, name, "s", [(r.number, getattr(r.times, name)) for r in counted])
    _add(found, "compute_s_per_video_s", "s/s", [(r.number, r.compute_s_per_video_s) for r in counted])
    for name in _METRICS:
        measured = [(r.number, r.metrics[name]) for r in counted if name in r.metrics]
        known = [(number, m) for number, m in measured if m.value is not None]
        if len({m.method for _, m in known}) == 1:
            _add(found, name, known[0][1].unit, [(number, m.value) for number, m in known])
    return found


def remarks(counted: Sequence[Repetition], found: Mapping[str, Spread]) -> list[str]:
    """Return what whoever reads the figures of repetitions and their spreads should know, each with what to do."""
    said = _alike([note for repetition in counted for note in repetition.notes])
    for name, words in _REMARKED.items():
        spread = found.get(name)
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


def _alike(notes: Sequence[str]) -> list[str]:
    """Return notes with those of several repetitions that differ in their numbers alone as one: that of the first."""
    groups: dict[str, list[tuple[str, str, str]]] = {}
    for note in notes:
        turn = _TURN.fullmatch(note)
        key = note if turn is None else f"{turn['of']}: {_NUMBER.sub('#', turn['text'])}"
        groups.setdefault(key, []).append(
            ("", "", note) if turn is None else (turn["number"], turn["of"], turn["text"])
        )
    said = []
    for group in groups.values():
        (number, of, text), others = group[0], [number for number, _, _ in group[1:]]
        if not number:
            said.append(text)
        elif len({text for _, _, text in group}) == 1 and others:
            said.append(f"repetitions {_listed([number, *others])} of {of}: {text}")
        else:
            said.append(
                f"repetition {number} of {of}{f' (and much the same in {_listed(others)})' if others else ''}: {text}"
            )
    return said


def _listed(numbers: Sequence[str]) -> str:
    """Return numbers as in a sentence; of many, the first."""
    shown = [*numbers[:_LISTED], f"{len(numbers) - _LISTED} more"] if len(numbers) > _LISTED + 1 else list(numbers)
    return " and ".join(part for part in (", ".join(shown[:-1]), shown[-1]) if part)


def _add(found: dict[str, Spread], name: str, unit: str, values: Sequence[tuple[int, float | None]]) -> None:
    known = [(number, value) for number, value in values if value is not None]
    if not known:
        return
    numbers = [value for _, value in known]
    median = statistics.median(numbers)
    found[name] = Spread(
        unit=unit,
        count=len(known),
        min=min(numbers),
        median=median,
        max=max(numbers),
        spread=(max(numbers) - min(numbers)) / median if median else None,
        outliers=_outliers(known, median),
    )


def _outliers(values: Sequence[tuple[int, float]], median: float) -> list[int]:
    if len(values) < FEWEST:
        return []
    deviation = statistics.median(abs(value - median) for _, value in values) * _SCALE
    far = max(_DEVIATIONS * deviation, _SHARE * abs(median))
    return [number for number, value in values if abs(value - median) > far]


class Ranking(Struct, frozen=True):
    """Networks by one figure, the smallest first; those of one group cannot be told apart.

    When nothing can be ranked, `reason` says why.
    """

    groups: tuple[tuple[str, ...], ...]
    reason: str = ""


def rank(found: Mapping[str, Spread]) -> Ranking:
    """Rank networks by the ranges of one figure: ranges that overlap are not ranked."""
    if len(found) < 2:
        return Ranking((), "there is nothing to compare it with")
    few = [name for name, spread in found.items() if spread.count < FEWEST]
    if few:
        return Ranking((), f"{' and '.join(few)} ran fewer than {FEWEST} times (--repeat {FEWEST} or more)")
    groups: list[list[str]] = []
    reach = float("-inf")
    for name, spread in sorted(found.items(), key=lambda item: (item[1].min, item[1].median)):
        if spread.min > reach:
            groups.append([])
        groups[-1].append(name)
        reach = max(reach, spread.max)
    return Ranking(tuple(tuple(group) for group in groups))
