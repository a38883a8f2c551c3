"""The timelines of a run, thinned for pictures: each is read by a process of its own, for the files may be anybody's.

A damaged Parquet file can end the process that reads it, or take all its memory. So a child reads them, with limits,
and prints one line of JSON for each; when it dies, the file at which it did is left out.
"""

from __future__ import annotations

import itertools
import json
import math
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from faceorch import proc

BINS = 240  # values of a series in a picture
_FILE_BYTES = 256 * 2**20
_MEMORY_BYTES = 4 * 2**30
_CPU_S = 20
_WAIT_S = 60.0
_LONGEST_S = 14 * 86400.0

_ahead: list[subprocess.Popen[bytes]] = []

Name = Annotated[str, Meta(max_length=100)]


class Stage(msgspec.Struct, frozen=True):
    """One stage of a job: from when to when, in seconds after the request."""

    name: Name
    from_s: float
    to_s: float


class Timeline(msgspec.Struct, frozen=True):
    """Series by quantity, each of `BINS` values evenly over `length_s` (null: nothing was measured then)."""

    length_s: float
    stages: Annotated[list[Stage], Meta(max_length=200)]
    series: dict[Name, Annotated[list[float | None], Meta(min_length=BINS, max_length=BINS)]]


def read_timelines(folder: Path, wanted: Mapping[str, tuple[str, int]]) -> dict[str, Timeline]:
    """Return what can be read of the timelines of a run folder: network -> (file, repetition) in, network -> out."""
    found: dict[str, Timeline] = {}
    left = list(wanted.items())
    while left:
        answered = _ask(folder, left)
        for (network, _), line in zip(left, answered, strict=False):
            if isinstance(line, Timeline):
                found[network] = line
        left = left[len(answered) + 1 :]  # the next one is what the child died of
    return found


def start_ahead() -> None:
    """Start the next child before it is needed: half of what a picture takes is the start of a program."""
    _ahead.append(_start())


def end_ahead() -> None:
    """End a child that was not needed."""
    while _ahead:
        _end(_ahead.pop())


def _start() -> subprocess.Popen[bytes]:
    # From the root: -m imports from the current folder first, and that may be anybody's.
    return proc.start([sys.executable, "-m", __name__], env=proc.own_environment(), cwd=Path(os.sep))


def _end(process: subprocess.Popen[bytes]) -> bytes:
    """End a child; return what it has printed."""
    process.kill()
    return process.communicate()[0]


def _ask(folder: Path, wanted: Sequence[tuple[str, tuple[str, int]]]) -> list[Timeline | None]:
    """Let a child read files until it is done or dies; return its answers, None for what it could not read."""
    process = _ahead.pop() if _ahead else _start()
    if process.poll() is not None:  # it died before it was asked: no file was at fault
        _end(process)
        process = _start()
    order = json.dumps([os.fspath(folder.absolute()), [place for _, place in wanted]])
    try:
        printed, _ = process.communicate(order.encode(), timeout=_WAIT_S)
    except subprocess.TimeoutExpired:
        printed = _end(process)
    except BaseException:
        _end(process)
        raise
    answers: list[Timeline | None] = []
    for line in printed.decode("utf-8", "replace").splitlines():
        if line == "null":
            answers.append(None)
        elif line.startswith("{"):  # anything else is what a library printed as it died
            try:
                answers.append(msgspec.json.decode(line, type=Timeline))
            except msgspec.DecodeError:
                answers.append(None)
    return answers


def thin(rows: Iterable[Mapping[str, Any]], repetition: int) -> Timeline | None:
    """Return one repetition's samples as series for a picture; None when there are none."""
    own = [row for row in rows if row["repetition"] == repetition and not row["warmup"] and _time(row) is not None]
    if not own:
        return None
    length_s = max(_time(row) or 0.0 for row in own)
    if length_s <= 0:
        return None
    usage = [row for row in own if row["gpu"] is None]
    gpus = [row for row in own if row["gpu"] is not None]
    series = {
        "vram_bytes": _series(gpus, "vram_bytes", length_s, max, together=True),
        "gpu_utilisation_percent": _series(gpus, "gpu_utilisation_percent", length_s, _mean, together=False),
        "power_w": _series(gpus, "power_w", length_s, _mean, together=True),
        "cpu_cores": _series(_rates(usage), "cpu_cores", length_s, _mean, together=False),
        "memory_bytes": _series(usage, "memory_bytes", length_s, max, together=False),
    }
    known = {name: values for name, values in series.items() if any(value is not None for value in values)}
    return Timeline(length_s, _stages(own, length_s), known)


def _time(row: Mapping[str, Any]) -> float | None:
    t_s = row["t_s"]
    return t_s if isinstance(t_s, float) and 0 <= t_s <= _LONGEST_S else None


def _value(row: Mapping[str, Any], key: str) -> float | None:
    value = row.get(key)
    good = isinstance(value, (int, float)) and math.isfinite(value) and 0 <= value < 2.0**63
    return float(value) if good else None  # type: ignore[arg-type]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _series(
    rows: Iterable[Mapping[str, Any]], key: str, length_s: float, join: Any, *, together: bool
) -> list[float | None]:
    """Return a quantity in bins; of several GPUs the sum (`together`), or all of them in one mean."""
    bins: list[dict[Any, list[float]]] = [{} for _ in range(BINS)]
    for row in rows:
        value, t_s = _value(row, key), _time(row)
        if value is not None and t_s is not None:
            at = min(BINS - 1, int(t_s / length_s * BINS))
            bins[at].setdefault(row.get("gpu") if together else None, []).append(value)
    return [sum(join(values) for values in one.values()) if one else None for one in bins]


def _rates(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return how many cores were busy between each two samples of CPU time."""
    found = []
    for before, after in itertools.pairwise(rows):
        (first, last), (from_s, to_s) = ((_value(r, "cpu_s") for r in (before, after)), (before["t_s"], after["t_s"]))
        if first is not None and last is not None and to_s > from_s and last >= first:
            found.append({"t_s": to_s, "cpu_cores": (last - first) / (to_s - from_s)})
    return found


def _stages(rows: Sequence[Mapping[str, Any]], length_s: float) -> list[Stage]:
    found: list[Stage] = []
    for row in sorted(rows, key=lambda row: _time(row) or 0.0):
        name, t_s = str(row["stage"])[:100], _time(row) or 0.0
        if found and found[-1].name == name:
            found[-1] = Stage(name, found[-1].from_s, t_s)
        else:
            if found:
                found[-1] = Stage(found[-1].name, found[-1].from_s, t_s)
            found.append(Stage(name, t_s, t_s))
    if found:
        found[0] = Stage(found[0].name, 0.0, found[0].to_s)
        found[-1] = Stage(found[-1].name, found[-1].from_s, length_s)
    return found[:200]


def _child() -> None:
    """Read the files that stdin asks for and print a line for each."""
    import resource

    from faceorch.files import Refused, open_below
    from faceorch.telemetry import timeline

    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_S, _CPU_S))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    order = sys.stdin.buffer.read()
    root, wanted = json.loads(order) if order else ("", [])  # nothing: whoever started it has died
    for name, repetition in wanted:
        try:
            open_below(Path(root), name, limit=_FILE_BYTES).close()
            found = thin(timeline.read(Path(root) / name, expendable=True), repetition)
        except (Refused, OSError, timeline.Damaged, KeyError, TypeError, ValueError):
            found = None
        print(msgspec.json.encode(found).decode(), flush=True)


if __name__ == "__main__":
    _child()
