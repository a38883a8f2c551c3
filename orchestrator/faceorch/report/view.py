"""Computes the content of the pages from the record; unknown figures are `n/a`."""

from __future__ import annotations

from pathlib import Path, PurePath
from typing import Any

from jinja2 import pass_context
from jinja2.runtime import Context
from msgspec import Struct

from faceorch.record.folder import RunFolder, resume_command
from faceorch.record.kinds import JobStatus, OutcomeKind, RunStatus
from faceorch.record.run import Job
from faceorch.report import charts, costs, grid, judgement, tables, votes
from faceorch.report.how import how
from faceorch.report.looking import look
from faceorch.words import duration, number, plural, size

# The parts of a job's time in order, with their names on the page.
_PARTS = (
    ("prepare_s", "build environment"),
    ("synthetic_s", "make stand-in weights"),
    ("start_s", "start"),
    ("import_s", "import code"),
    ("check_s", "check inputs"),
    ("setup_s", "load models"),
    ("animate_s", "animate and encode"),
    ("stop_s", "stop"),
)
_ONCE = ("prepare_s", "synthetic_s")


class Part(Struct, frozen=True):
    """One segment of a time bar; `at` and `share` are its place and length in percent of the longest job."""

    name: str
    key: str
    seconds: float
    at: float
    share: float


def content(folder: RunFolder, *, embed: bool = False) -> dict[str, Any]:
    """Return everything that the templates need; with `embed`, the videos are in the page."""
    run = folder.run
    # A record may be anybody's: one that says "done" without a video, or "failed" without a reason, is shown as it is.
    done = [job for job in run.jobs if job.status is JobStatus.DONE and job.video is not None]
    failed = [job for job in run.jobs if job.status is JobStatus.FAILED]
    skipped = [job for job in run.jobs if job.status is JobStatus.SKIPPED]
    unfinished = [job for job in run.jobs if job.status in (JobStatus.PENDING, JobStatus.RUNNING)]
    # The kept inputs are what every network got; a smoke run has its own.
    again = run.request.to_command(portrait=run.inputs.portrait.file, clip=run.inputs.clip.file)
    longest_s = max((job.times.total_s or 0 for job in done + failed), default=0)
    return {
        "run": run,
        "done": done,
        "failed": [job for job in failed if job.reason is not None],
        "skipped": [job for job in skipped if job.reason is not None],
        "unfinished": unfinished,
        "interrupted": run.status is RunStatus.INTERRUPTED or bool(unfinished),
        "looking": look(folder.path, run, done, embed=embed),
        "embedded": embed,
        "marked": _marked(done),
        "grid": grid.NAME if not embed and grid.is_there(folder) else None,
        "voting": {"id": run.id, "videos": {job.network: job.video.sha256 for job in done if job.video}},
        "bars": [(job, _parts(job, longest_s)) for job in done + failed if longest_s],
        "legend": [part for part in _PARTS if run.synthetic or part[0] != "synthetic_s"],
        "lead": _lead(folder, done, failed, skipped, unfinished),
        "again": again,
        "resume": resume_command(folder.path) if not run.synthetic else again,
        "tables": tables.tables(run),
        "ranges": costs.ranges(run),
        "ranking": costs.ranking(run),
        "votes": votes.ranking(folder),
        "how": how(folder.path, run.jobs),
        "charts": charts.charts(folder),
        "remarks": costs.remarks(run),
        "judgement": judgement.view(run),
    }


def _lead(folder: RunFolder, done: list[Job], failed: list[Job], skipped: list[Job], unfinished: list[Job]) -> str:
    run = folder.run
    clip = run.inputs.clip
    if run.request.videos:
        of = f"{Path(run.inputs.portrait.source).name} speaking {Path(clip.source).name} ({clip.duration_s:.1f} s)"
        return f"{plural(len(done), 'video')} made elsewhere: {of}."
    total = len(run.jobs)
    made = "made a video" if len(done) == 1 else "made videos"
    first = (
        f"{len(done)} of {plural(total, 'network')} {made} of {Path(run.inputs.portrait.source).name} "
        f"speaking {Path(clip.source).name} ({clip.duration_s:.1f} s)"
    )
    cannot = [job for job in skipped if job.reason is None or job.reason.kind is not OutcomeKind.INTERRUPTED]
    rest = [
        f"{len(failed)} failed" if failed else "",
        f"{len(cannot)} could not run here" if cannot else "",
        f"{len(unfinished) + len(skipped) - len(cannot)} did not start"
        if len(unfinished) + len(skipped) - len(cannot)
        else "",
    ]
    return "; ".join([first, *(part for part in rest if part)]) + "."


def _marked(done: list[Job]) -> str:
    """Return what the videos themselves say of having been made by AI, in one sentence for each way."""
    ways: dict[tuple[str, ...], list[str]] = {}
    for job in done:
        ways.setdefault(tuple(job.video.marks if job.video else ()), []).append(job.title)
    sentences = []
    for marks, titles in ways.items():
        whose = "Each video" if len(ways) == 1 else ", ".join(titles)
        carries = "; ".join(marks) or "nothing that says so"
        sentences.append(f"{whose} was made by AI and carries {carries}.")
    return " ".join(sentences)


def _parts(job: Job, longest_s: float) -> list[Part]:
    """Return the parts of a job's time; those of repetitions are one repetition's, without what was done once."""
    found, at_s = [], 0.0
    for key, name in _PARTS:
        seconds = None if job.repetitions and key in _ONCE else getattr(job.times, key)
        if seconds:
            found.append(Part(name, key, seconds, 100 * at_s / longest_s, 100 * seconds / longest_s))
            at_s += seconds
    return found


@pass_context
def md(context: Context, value: object) -> str:
    """Return text escaped for Markdown, on one line; without this machine's paths where the page is for others."""
    text = " ".join(str(value).split())
    share = context.get("share")
    text = share(text) if share is not None else text
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>#|~&!" else c for c in text)


FILTERS = {
    "name": lambda path: PurePath(path).name,
    "plain": tables.plain,
    "seconds": duration,
    "size": size,
    "number": number,
    "md": md,
}
