"""Writes and reads the samples of a job as one table, in Parquet or CSV."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from faceorch import proc
from faceorch.files import open_below, write_atomically
from faceorch.telemetry.attribution import Attribution
from faceorch.telemetry.samples import GpuSample, UsageSample, Watched

Format = Literal["parquet", "csv"]
_FRAME = b"PAR1"
_LARGEST_BYTES = 512 * 2**20  # days of samples
_READING_BYTES, _READING_S = 4 * 2**30, 120.0

# Columns in their order, with their Arrow types. A row is one sample of one GPU, or one of the container.
COLUMNS = {
    "repetition": "int32",
    "warmup": "bool",
    "t_s": "float64",
    "stage": "string",
    "gpu": "int32",
    "vram_bytes": "int64",
    "device_memory_bytes": "int64",
    "gpu_utilisation_percent": "float64",
    "gpu_memory_utilisation_percent": "float64",
    "power_w": "float64",
    "energy_j": "float64",
    "sm_clock_mhz": "float64",
    "temperature_c": "float64",
    "throttle_bits": "int64",
    "foreign_processes": "int32",
    "cpu_s": "float64",
    "memory_bytes": "int64",
    "high_water_bytes": "int64",
    "block_read_bytes": "int64",
    "block_written_bytes": "int64",
    "network_received_bytes": "int64",
    "network_sent_bytes": "int64",
    "threads": "int32",
}
Row = dict[str, Any]


def rows(
    watched: Watched,
    attributions: Mapping[str, Attribution],
    indices: Mapping[str, int],
    *,
    repetition: int,
    warmup: bool,
) -> list[Row]:
    """Return the rows of one repetition by time; `t_s` is relative to the request to start it."""
    found = [*_gpu_rows(watched, attributions, indices), *_usage_rows(watched)]
    found.sort(key=lambda row: row["t_s"])
    for row in found:
        row["stage"] = _stage(watched.marks, row["t_s"])
        row["t_s"] = round(row["t_s"] - watched.begun_s, 4)
        row["repetition"], row["warmup"] = repetition, warmup
    return found


def _gpu_rows(watched: Watched, attributions: Mapping[str, Attribution], indices: Mapping[str, int]) -> Iterator[Row]:
    for uuid, attribution in attributions.items():
        samples = [sample for sample in watched.gpus if sample.gpu == uuid]
        theirs = {foreign.pid for foreign in attribution.foreign}
        for sample, own in zip(samples, attribution.own_bytes, strict=True):
            yield _gpu_row(sample, own, indices.get(uuid), theirs)


def _gpu_row(sample: GpuSample, own: int | None, index: int | None, theirs: set[int]) -> Row:
    return {
        "t_s": sample.t_s,
        "gpu": index,
        "vram_bytes": own,
        "device_memory_bytes": sample.used_bytes,
        "gpu_utilisation_percent": sample.utilisation_percent,
        "gpu_memory_utilisation_percent": sample.memory_utilisation_percent,
        "power_w": sample.power_w,
        "energy_j": sample.energy_j,
        "sm_clock_mhz": sample.sm_clock_mhz,
        "temperature_c": sample.temperature_c,
        "throttle_bits": sample.throttle,
        "foreign_processes": None if sample.processes is None else sum(p.pid in theirs for p in sample.processes),
    }


def _usage_rows(watched: Watched) -> Iterator[Row]:
    for sample in watched.usage:
        yield _usage_row(sample)


def _usage_row(sample: UsageSample) -> Row:
    return {
        "t_s": sample.t_s,
        "cpu_s": sample.cpu_s,
        "memory_bytes": sample.memory_bytes,
        "high_water_bytes": sample.high_water_bytes,
        "block_read_bytes": sample.read_bytes,
        "block_written_bytes": sample.write_bytes,
        "network_received_bytes": sample.received_bytes,
        "network_sent_bytes": sample.sent_bytes,
        "threads": sample.threads,
    }


def _stage(marks: Sequence[tuple[float, str]], t_s: float) -> str:
    current = "start"
    for begun_s, name in marks:
        if begun_s > t_s:
            break
        current = name or "stop"
    return current


def file_name(format_: Format) -> str:
    """Return the file name of a timeline in a network's folder."""
    return f"telemetry.{format_}"


def write(folder: Path, table: Sequence[Row], format_: Format) -> Path:
    """Write a table into a network's folder and return the file."""
    path = folder / file_name(format_)
    write_atomically(path, _parquet(table) if format_ == "parquet" else _csv(table))
    return path


class Damaged(Exception):
    """A timeline cannot be read; the message is one line on why."""


def read(path: Path) -> list[Row]:
    """Return the rows of a timeline that `write` wrote; raise `Damaged` for any other file.

    A damaged Parquet file makes the library panic, or abort: so a process of its own reads it.
    """
    try:
        data = _read(path)
        rows = _from_csv(data if path.suffix == ".csv" else _to_csv_elsewhere(data))
    except Exception as error:  # the library raises plain exceptions
        raise Damaged(f"{path} cannot be read: {error}") from error
    if rows and list(rows[0]) != list(COLUMNS):
        raise Damaged(f"{path} has other columns")
    return rows


def parse(data: bytes, suffix: str) -> list[Row]:
    """Return the rows of a file's content, in this process, which the library may end: for one that is expendable."""
    return _from_csv(data if suffix == ".csv" else _to_csv(data))


def _read(path: Path) -> bytes:
    with open_below(path.parent, path.name, limit=_LARGEST_BYTES) as file:
        return file.read(_LARGEST_BYTES)


def _from_csv(data: bytes) -> list[Row]:
    table = csv.DictReader(io.StringIO(data.decode("utf-8"), newline=""))
    return [{name: _parse(COLUMNS[name], text) for name, text in row.items()} for row in table]


def _to_csv_elsewhere(parquet: bytes) -> bytes:
    """Return a Parquet file as CSV, read by a process of its own."""
    footer = int.from_bytes(parquet[-8:-4], "little")
    if len(parquet) < 12 or parquet[:4] != _FRAME or parquet[-4:] != _FRAME or footer > len(parquet) - 12:
        raise Damaged("it is not a complete Parquet file")
    try:
        return proc.convert([sys.executable, "-m", __name__], parquet, limit_s=_READING_S)
    except proc.Failed as error:
        raise Damaged(f"it is damaged: {error}") from error


def _to_csv(parquet: bytes) -> bytes:
    """Return a Parquet file as CSV."""
    from arro3.io import read_parquet

    table = read_parquet(io.BytesIO(parquet)).read_all()
    columns = {name: table[name].to_pylist() for name in table.column_names}
    if list(columns) != list(COLUMNS):
        raise Damaged("it has other columns")
    return _csv(dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True))


def main() -> None:
    """Read Parquet on stdin and print it as CSV, within limits of memory and time."""
    proc.limit(memory_bytes=_READING_BYTES)
    try:
        sys.stdout.buffer.write(_to_csv(sys.stdin.buffer.read()))
    except Damaged as error:
        raise SystemExit(str(error)) from error


def import_library() -> None:
    """Import now what reads and writes Parquet: it takes a moment at the first use otherwise."""
    import arro3.core
    import arro3.io  # noqa: F401


def _parse(kind: str, text: str) -> Any:
    if text == "":
        return None
    if kind == "bool":
        return text == "true"
    return text if kind == "string" else float(text) if kind == "float64" else int(text)


def _parquet(table: Sequence[Row]) -> bytes:
    from arro3.core import Array, DataType, Table
    from arro3.io import write_parquet

    types = {
        "bool": DataType.bool(),
        "int32": DataType.int32(),
        "int64": DataType.int64(),
        "float64": DataType.float64(),
        "string": DataType.string(),
    }
    columns: dict[str, Any] = {
        name: Array([row.get(name) for row in table], types[kind]) for name, kind in COLUMNS.items()
    }
    buffer = io.BytesIO()
    write_parquet(Table.from_pydict(columns), buffer, compression="zstd(3)")
    return buffer.getvalue()


def _csv(table: Iterable[Row]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in table:
        values = (row.get(name) for name in COLUMNS)
        writer.writerow([str(value).lower() if isinstance(value, bool) else value for value in values])
    return text.getvalue().encode()


if __name__ == "__main__":
    main()
