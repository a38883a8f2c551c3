"""A job's samples, thinned for pictures: what the page draws, in a small file beside the samples.

Samples of a run folder may be anybody's, and a damaged Parquet file can end the process that reads it, or take all its
memory. So a picture needs the small file alone; where there is none, a child reads the samples, within limits.
"""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from faceorch import proc
from faceorch.files import Refused, open_below, write_atomically

BINS = 240  # values of a series in a picture
NAME = "timeline.json"
_FILE_BYTES, _THINNED_BYTES = 256 * 2**20, 2**20
_MEMORY_BYTES = 4 * 2**30
_CPU_S = 20
_WAIT_S = 60.0
_LONGEST_S = 14 * 86400.0

Name = Annotated[str, Meta(max_length=100)]
Seconds = Annotated[float, Meta(ge=0, le=_LONGEST_S)]
Value = Annotated[float, Meta(ge=0, le=2.0**63)]


class Stage(msgspec.Struct, frozen=True):
    """One stage of a job: from when to when, in seconds after the request."""

    name: Name
    from_s: Seconds
    to_s: Seconds


class Timeline(msgspec.Struct, frozen=True):
    """Series of one repetition by quantity, each of `BINS` values evenly over `length_s` (null: not measured then)."""

    repetition: Annotated[int, Meta(ge=1)]
    length_s: Annotated[float, Meta(gt=0, le=_LONGEST_S)]
    stages: Annotated[list[Stage], Meta(max_length=200)]
    series: dict[Name, Annotated[list[Value | None], Meta(min_length=BINS, max_length=BINS)]]


def write(folder: Path, rows: Iterable[Mapping[str, Any]], repetition: int) -> None:
    """Write what a picture of one repetition needs into a network's folder."""
    write_atomically(folder / NAME, msgspec.json.encode(thin(rows, repetition)))


def read(folder: Path, samples: str, repetition: int) -> Timeline | None:
    """Return one repetition for a picture; `samples` is the file of all samples, below the run folder `folder`."""
    try:
        with open_below(folder, f"{samples.rpartition('/')[0]}/{NAME}", limit=_THINNED_BYTES) as file:
            found = msgspec.json.decode(file.read(_THINNED_BYTES), type=Timeline | None)
    except (Refused, OSError, msgspec.DecodeError):
        found = None
    if found is not None and found.repetition == repetition:
        return found
    try:  # an older faceorch has written none, or it is damaged
        with open_below(folder, samples, limit=_FILE_BYTES) as file:
            data = file.read(_FILE_BYTES)
        child = [sys.executable, "-m", __name__, Path(samples).suffix, str(repetition)]
        return msgspec.json.decode(proc.convert(child, data, limit_s=_WAIT_S), type=Timeline | None)
    except (Refused, OSError, proc.Failed, msgspec.DecodeError):
        return None


def thin(rows: Iterable[Mapping[str, Any]], repetition: int) -> Timeline | None:
    """Return one repetition's samples as series for a picture; None when there are none."""
    own = [row for row in rows if row["repetition"] == repetition and not row["warmup"] and _time(row) is not None]
    if not own:
        return None
    length_s = max(_time(row) or 0.0 for row in own)
    if length_s <= 0:
        return None
    usage = [row for row in own if row.get("gpu") is None]
    gpus = [row for row in own if row.get("gpu") is not None]
    series = {
        "vram_bytes": _series(gpus, "vram_bytes", length_s, max, together=True),
        "gpu_utilisation_percent": _series(gpus, "gpu_utilisation_percent", length_s, _mean, together=False),
        "power_w": _series(gpus, "power_w", length_s, _mean, together=True),
        "cpu_cores": _series(_rates(usage), "cpu_cores", length_s, _mean, together=False),
        "memory_bytes": _series(usage, "memory_bytes", length_s, max, together=False),
    }
    known = {name: values for name, values in series.items() if any(value is not None for value in values)}
    return Timeline(repetition, length_s, _stages(own, length_s), known)


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
    """Thin the samples on stdin, and print them."""
    from faceorch.telemetry import timeline

    proc.limit(memory_bytes=_MEMORY_BYTES, cpu_s=_CPU_S)
    suffix, repetition = sys.argv[1:]
    rows = timeline.parse(sys.stdin.buffer.read(), suffix)
    sys.stdout.buffer.write(msgspec.json.encode(thin(rows, int(repetition))))


if __name__ == "__main__":
    _child()
