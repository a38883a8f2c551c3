"""Computes the content of the pages from the record; unknown figures are `n/a`."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from faceorch import media
from faceorch.files import Refused, open_below
from faceorch.record.folder import RunFolder, resume_command
from faceorch.record.kinds import JobStatus, OutcomeKind, RunStatus
from faceorch.record.run import Job
from faceorch.report import costs, judgement
from faceorch.words import NOT_AVAILABLE, duration, plural, size

# A larger page would be slow to open. Above this, videos are linked instead of embedded (base64 adds a third).
EMBED_BYTES = 50 * 2**20
_PORTRAIT_SIDE = 1024

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


@dataclass(frozen=True, slots=True)
class Part:
    """One segment of a time bar; `share` is its percentage of the longest job."""

    name: str
    key: str
    seconds: float
    share: float


@dataclass(frozen=True, slots=True)
class Shown:
    """A finished video: its place, or why it cannot be shown."""

    job: Job
    source: str | None
    poster: str | None
    missing: str | None


def content(folder: RunFolder) -> dict[str, Any]:
    """Return everything that the templates need."""
    run = folder.run
    done = [job for job in run.jobs if job.status is JobStatus.DONE]
    failed = [job for job in run.jobs if job.status is JobStatus.FAILED]
    skipped = [job for job in run.jobs if job.status is JobStatus.SKIPPED]
    unfinished = [job for job in run.jobs if job.status in (JobStatus.PENDING, JobStatus.RUNNING)]
    embed = sum(job.video.bytes for job in done if job.video) <= EMBED_BYTES
    # The kept inputs are what every network got; a smoke run has its own.
    again = run.request.to_command(portrait=run.inputs.portrait.file, clip=run.inputs.clip.file)
    longest_s = max((job.times.total_s or 0 for job in done + failed), default=0)
    return {
        "run": run,
        "done": done,
        "failed": failed,
        "skipped": skipped,
        "unfinished": unfinished,
        "interrupted": run.status is RunStatus.INTERRUPTED or bool(unfinished),
        "videos": [_shown(folder.path, job, embed) for job in done],
        "embedded": embed,
        "marked": _marked(done),
        "portrait": _portrait_url(folder.path, run.inputs.portrait.file),
        "bars": [(job, _parts(job, longest_s)) for job in done + failed if longest_s],
        "legend": [part for part in _PARTS if run.synthetic or part[0] != "synthetic_s"],
        "lead": _lead(folder, done, failed, skipped, unfinished),
        "again": again,
        "resume": resume_command(folder.path) if not run.synthetic else again,
        "costs": costs.costs(run, seconds=duration, size=size, number=number),
        "ranges": costs.ranges(run, seconds=duration, size=size, number=number),
        "ranking": costs.ranking(run),
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


def _shown(folder: Path, job: Job, embed: bool) -> Shown:
    if job.video is None:
        return Shown(job, None, None, "its record names no video")
    name, limit = job.video.file, EMBED_BYTES if embed else media.VIDEO_BYTES
    try:
        with open_below(folder, name, limit=limit) as file:
            picture = media.first_frame(file)
            file.seek(0)
            source = _data_url(file.read(limit), "video/mp4") if embed else quote(name)
    except (Refused, OSError) as error:
        return Shown(job, None, None, f"the run folder no longer holds its video: {error}")
    poster = None if picture is None else _data_url(picture, "image/jpeg")
    return Shown(job, source, poster, None)


def _portrait_url(folder: Path, name: str) -> str | None:
    """Return the portrait at the size in which the page shows it: the run folder holds the whole one."""
    try:
        with open_below(folder, name, limit=EMBED_BYTES) as file:
            picture = media.thumbnail(file, side=_PORTRAIT_SIDE)
    except (Refused, OSError):
        return None
    return None if picture is None else _data_url(picture, "image/jpeg")


def _data_url(data: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


def _parts(job: Job, longest_s: float) -> list[Part]:
    times = [(key, name, getattr(job.times, key)) for key, name in _PARTS]
    return [Part(name, key, s, 100 * s / longest_s) for key, name, s in times if s is not None and s > 0]


def number(value: float | None) -> str:
    """Return a number as text, `n/a` if unknown."""
    return NOT_AVAILABLE if value is None else f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def md(value: object) -> str:
    """Return text escaped for Markdown, on one line."""
    text = " ".join(str(value).split())
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>#|~&!" else c for c in text)


FILTERS = {"seconds": duration, "size": size, "number": number, "md": md}
