"""The figures for machines and papers: report.json, CSV, Markdown and LaTeX."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Sequence
from typing import Any

from faceorch.errors import InputError
from faceorch.record.run import Job, Run
from faceorch.report import tables
from faceorch.report.columns import Column, Value, columns, outcome
from faceorch.words import near

FORMAT = 1
# What a paper's table has when nobody asks for other columns; of these, those of which something is known.
USUAL = ("total_s", "animate_s", "compute_s_per_video_s", "vram_peak_bytes", "energy_wh", "lip_sync", "head_motion")


def as_json(run: Run) -> dict[str, Any]:
    """Return every figure of a run with its unit, method, note and range."""
    known = columns()
    return {
        "format": FORMAT,
        "run": run.id,
        "faceorch": run.faceorch,
        "created": run.created.isoformat(),
        "synthetic": run.synthetic,
        "host": {
            "cpu": run.host.cpu,
            "cores": run.host.cores,
            "gpus": [gpu.name for gpu in run.host.gpus],
            "driver": run.host.driver,
        },
        "clip_s": run.inputs.clip.duration_s,
        "columns": [{"key": c.key, "heading": c.heading, "unit": c.unit, "better": c.better} for c in known],
        "networks": [
            {
                "network": job.network,
                "title": job.title,
                "outcome": outcome(job),
                "reason": None if job.reason is None else {"kind": job.reason.kind.value, "text": job.reason.text},
                "values": {column.key: _value(column(job, run)) for column in known},
                "notes": job.notes,
            }
            for job in run.jobs
        ],
        "best": {column.key: best for column in known if (best := tables.best_of(column, run)) is not None},
    }


def _value(value: Value) -> dict[str, Any]:
    found: dict[str, Any] = {"value": value.raw, "method": value.method, "note": value.note}
    if value.spread is not None:
        found["range"] = {key: getattr(value.spread, key) for key in ("count", "min", "median", "max")}
    return found


def as_csv(runs: Sequence[Run], chosen: Sequence[Column] | None = None) -> str:
    """Return one row per network, with raw values; the heading of a column has its unit."""
    shown = chosen or columns()
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["run", "network", "outcome", "reason", *(_heading(column) for column in shown)])
    for run in runs:
        for job in run.jobs:
            reason = "" if job.reason is None else job.reason.kind.value
            values = [column(job, run).raw for column in shown]
            cells = [run.id, job.network, outcome(job), reason, *("" if v is None else v for v in values)]
            writer.writerow([_harmless(cell) for cell in cells])
    return text.getvalue()


def _heading(column: Column) -> str:
    return f"{column.key} [{column.unit}]" if column.unit else column.key


def _harmless(cell: float | str) -> float | str:
    """Return a cell that no spreadsheet takes for a formula."""
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@", "\t", "\r") else cell


def choose(keys: Sequence[str], runs: Sequence[Run]) -> list[Column]:
    """Return the columns that are asked for; by default those of a paper of which something is known."""
    known = {column.key: column for column in columns()}
    for key in keys:
        if key not in known:
            raise InputError(f"there is no column {key!r}{near(key, known)}", f"columns: {', '.join(known)}")
    if keys:
        return [known[key] for key in keys]
    usual = [known[key] for key in USUAL]
    return [c for c in usual if any(c(job, run).raw is not None for run in runs for job in run.jobs)] or usual[:1]


def as_markdown(runs: Sequence[Run], chosen: Sequence[Column]) -> str:
    """Return a table in Markdown; the best is bold where ranges lie apart."""
    lines = [f"| network | {' | '.join(column.heading for column in chosen)} |", f"|---{'|---:' * len(chosen)}|"]
    for run in runs:
        best = {column.key: tables.best_of(column, run) for column in chosen}
        for job in run.jobs:
            if job.video is None:
                lines.append(f"| {_markdown(f'{job.title}: {_failure(job)}')} |{' |' * len(chosen)}")
                continue
            texts = [_markdown(column(job, run).text) for column in chosen]
            cells = [f"**{t}**" if best[c.key] == job.network else t for c, t in zip(chosen, texts, strict=True)]
            lines.append(f"| {_markdown(job.title)} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _markdown(text: str) -> str:
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>#|~&!" else c for c in " ".join(text.split()))


def _failure(job: Job) -> str:
    """Return why there is no video, and what to do."""
    if job.reason is None:
        return outcome(job)
    return "; ".join(part for part in (f"{outcome(job)}, {job.reason.text}", job.reason.remedy) if part)


# What means something to TeX, also after the end of a row.
_LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", "`": r"\textasciigrave{}", '"': r"\textquotedbl{}", "[": "{[}", "]": "{]}", "*": "{*}",
}  # fmt: skip
_DRAWN_AS_ONE = re.compile(r"([-,'])(?=\1)")
# What pdfLaTeX sets with T1 fonts beside ASCII, Latin-1 and Latin Extended-A: dashes, quotes, daggers, the euro sign,
# Romanian letters; and of those blocks, what it does not.
_SET = frozenset(
    "\u0218\u0219\u021a\u021b\u2013\u2014\u2018\u2019\u201a\u201c\u201d\u201e\u2020\u2021\u2022\u2026\u2030\u2039\u203a\u20ac\u2122"
)
_NOT_SET = frozenset("\u00ad\u0126\u0127\u0138\u013f\u0140\u0149\u0166\u0167\u017f")


def latex(text: str) -> str:
    """Return text as pdfLaTeX sets it: nothing in it is a command, and what it cannot set is named, as `[U+6F22]`."""
    plain = unicodedata.normalize("NFC", " ".join(text.split()))
    return _DRAWN_AS_ONE.sub(r"\1{}", "".join(_LATEX.get(character) or _set(character) for character in plain))


def _set(character: str) -> str:
    known = " " <= character <= "~" or "\u00a1" <= character <= "\u017f" or character in _SET
    return character if known and character not in _NOT_SET else f"{{[}}U+{ord(character):04X}{{]}}"


def as_latex(runs: Sequence[Run], chosen: Sequence[Column]) -> str:
    r"""Return a table for a paper (booktabs, threeparttable): \textbf is the best, where ranges lie apart.

    Its notes say how each figure was measured, on which GPU, by which version, and from which upstream commits.
    """
    notes: list[str] = []
    rows: list[str] = []
    for at, run in enumerate(runs):
        best = {column.key: tables.best_of(column, run) for column in chosen}
        if len(runs) > 1:
            rows.append(r"\midrule" if at else "")
            rows.append(rf"\multicolumn{{{len(chosen) + 1}}}{{l}}{{\emph{{{latex(run.id)}}}}} \\")
        for job in run.jobs:
            if job.video is None:
                failed = rf"{outcome(job)}{_latex_note(_failure(job), notes)}"
                rows.append(rf"{latex(job.title)} & \multicolumn{{{len(chosen)}}}{{l}}{{{failed}}} \\")
                continue
            cells = [_latex_cell(column(job, run), best[column.key] == job.network, notes) for column in chosen]
            rows.append(" & ".join([latex(job.title), *cells]) + r" \\")
    heads = " & ".join(["network", *(latex(column.heading) for column in chosen)])
    align = "l" + "".join("l" if column.text else "r" for column in chosen)
    lines = [
        "% needs \\usepackage[T1]{fontenc} and \\usepackage{booktabs,threeparttable}",
        r"\begin{threeparttable}",
        rf"\begin{{tabular}}{{{align}}}",
        r"\toprule",
        rf"{heads} \\",
        r"\midrule",
        *(row for row in rows if row),
        r"\bottomrule",
        r"\end{tabular}",
        r"\begin{tablenotes}\footnotesize",
        *(rf"\item[{number}] {latex(note)}" for number, note in enumerate(notes, start=1)),
        *(rf"\item {latex(line)}" for line in dict.fromkeys(line for run in runs for line in _about(run))),
        r"\end{tablenotes}",
        r"\end{threeparttable}",
    ]
    return "\n".join(lines) + "\n"


def _latex_cell(value: Value, best: bool, notes: list[str]) -> str:
    text = latex(value.text)
    shown = rf"\textbf{{{text}}}" if best else text
    return shown + _latex_note(value.footnote, notes)


def _latex_note(note: str, notes: list[str]) -> str:
    """Return the mark of a note, which is added to `notes` unless it is there; nothing for none."""
    if not note:
        return ""
    if note not in notes:
        notes.append(note)
    return rf"\tnote{{{notes.index(note) + 1}}}"


def _about(run: Run) -> list[str]:
    """Return what the notes of a table say of a run as a whole."""
    gpus = ", ".join(dict.fromkeys(gpu.name for gpu in run.host.gpus)) or f"no GPU; {run.host.cpu}"
    driver = f", driver {run.host.driver}" if run.host.driver else ""
    said = [f"{run.id}: faceorch {run.faceorch}, {gpus}{driver}; clip of {run.inputs.clip.duration_s:.1f} s."]
    counts = {spread.count for job in run.jobs for spread in job.spreads.values()}
    if counts:
        said[0] += f" Figures of the repetition in the middle of {min(counts)}; bold where ranges lie apart."
    shown = [job for job in run.jobs if job.video is not None]
    said += [f"{job.title}: {code.url} at {code.commit[:12]}." for job in shown for code in job.upstream]
    return said
