"""Tables for people: rows of text with footnotes, and a mark for what is really the best."""

from __future__ import annotations

from msgspec import Struct, field

from faceorch.record.kinds import JobStatus
from faceorch.record.run import Job, Run
from faceorch.record.spread import FEWEST
from faceorch.report import columns
from faceorch.report.columns import Column, Value

_TITLES: tuple[tuple[columns.Table, str], ...] = (
    ("times", "Outcomes and times"),
    ("videos", "Videos and motion"),
    ("costs", "What it cost"),
)


class Cell(Struct, frozen=True):
    """One figure as text, with the number of its footnote; `sort` is what it is sorted by."""

    column: Column
    text: str
    sort: str
    note: int | None = None
    best: bool = False


class Row(Struct, frozen=True):
    """One network: its figures, and when it has no video, why."""

    job: Job
    outcome: str
    cells: list[Cell]

    @property
    def problem(self) -> str:
        """Why there is no video, and what to do; empty when there is one."""
        if self.job.reason is None:
            return ""
        remedy = f" What to do: {self.job.reason.remedy}" if self.job.reason.remedy else ""
        return f"{self.job.reason.text}.{remedy}"


class Table(Struct):
    """Columns, rows, and footnotes in order."""

    key: str
    title: str
    columns: list[Column]
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def number(self, note: str) -> int | None:
        """Return the number of a footnote; equal texts share one."""
        if not note:
            return None
        if note not in self.notes:
            self.notes.append(note)
        return self.notes.index(note) + 1


def tables(run: Run) -> list[Table]:
    """Return the tables of a run that have anything in them; every network is in the first."""
    return [table for key, title in _TITLES if (table := _table(run, key, title)).rows and table.columns]


def _table(run: Run, key: columns.Table, title: str) -> Table:
    jobs = [job for job in run.jobs if key == "times" or _has(job, key)]
    shown = [
        column for column in columns.columns() if column.table == key and any(_said(column(job, run)) for job in jobs)
    ]
    if key == "times":
        shown = [column for column in shown if any(column(job, run).raw is not None for job in jobs)]
    table = Table(key, title, shown)
    best = {column.key: best_of(column, run) for column in shown}
    for job in jobs:
        cells = []
        for column in shown:
            value = column(job, run)
            note = table.number(value.footnote) if job.status in (JobStatus.DONE, JobStatus.FAILED) else None
            cells.append(Cell(column, value.text, _sort(value), note, best[column.key] == job.network))
        table.rows.append(Row(job, columns.outcome(job), cells))
    return table


def _has(job: Job, key: columns.Table) -> bool:
    """Return whether a job has a row in a table other than the first."""
    if key == "videos":
        return job.video is not None and job.status is JobStatus.DONE
    return bool(job.metrics) and job.status in (JobStatus.DONE, JobStatus.FAILED)


def _said(value: Value) -> bool:
    """Return whether a figure is worth a column: it is known, or it is known why it is not."""
    return value.raw is not None or bool(value.note)


def _sort(value: Value) -> str:
    return "" if value.raw is None else str(value.raw)


def best_of(column: Column, run: Run) -> str | None:
    """Return the network whose figure is the best one beyond doubt, if there is one.

    Its range over the repetitions lies apart from those of all others; fewer than three repetitions say nothing.
    """
    if column.better is None:
        return None
    jobs = [job for job in run.jobs if job.status is JobStatus.DONE and column(job, run).raw is not None]
    spreads = {job.network: column(job, run).spread for job in jobs}
    known = {network: spread for network, spread in spreads.items() if spread is not None and spread.count >= FEWEST}
    if len(known) < 2 or len(known) < len(spreads):
        return None
    if column.better == "lower":
        first = min(known, key=lambda network: known[network].max)
        apart = all(known[first].max < spread.min for network, spread in known.items() if network != first)
    else:
        first = max(known, key=lambda network: known[network].min)
        apart = all(known[first].min > spread.max for network, spread in known.items() if network != first)
    return first if apart else None


def plain(table: Table) -> tuple[list[str], list[list[str]]]:
    """Return headings and rows of a table as text, with the footnotes' numbers in brackets."""
    headings = [
        "network",
        *(["outcome"] if table.key == "times" else []),
        *(column.heading for column in table.columns),
    ]
    rows = []
    for row in table.rows:
        first = [row.job.title, *([row.outcome] if table.key == "times" else [])]
        rows.append(first + [f"{c.text} ({c.note})" if c.note else c.text for c in row.cells])
    return headings, rows
