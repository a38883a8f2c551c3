"""What the pages show, computed from the record: no number is made up, unknown is `n/a`."""

from __future__ import annotations

import base64
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faceorch import media
from faceorch.record import Job, JobStatus, OutcomeKind, RunFolder, RunStatus, resume_command
from faceorch.report import costs

# Past this the page would be slow to open everywhere: videos are then linked, not embedded (base64 adds a third).
EMBED_BYTES = 50 * 2**20
NOT_AVAILABLE = "n/a"

# The order in which time passes, and how the parts are called on the page.
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
    """One piece of a time bar: `share` is its percentage of the longest job."""

    name: str
    key: str
    seconds: float
    share: float


@dataclass(frozen=True, slots=True)
class Shown:
    """A finished video: where it is, or why it cannot be shown."""

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
    again = _again(folder)
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
        "portrait": _file_url(folder.path / run.inputs.portrait.file, "image/png"),
        "bars": [(job, _parts(job, longest_s)) for job in done + failed if longest_s],
        "legend": [part for part in _PARTS if run.synthetic is not None or part[0] != "synthetic_s"],
        "lead": _lead(folder, done, failed, skipped, unfinished),
        "again": again,
        "resume": resume_command(folder.path) if run.synthetic is None else again,
        "costs": costs.costs(run, seconds=seconds, size=size, number=number),
        "ranges": costs.ranges(run, seconds=seconds, size=size, number=number),
        "ranking": costs.ranking(run),
        "remarks": costs.remarks(run),
    }


def _lead(folder: RunFolder, done: list[Job], failed: list[Job], skipped: list[Job], unfinished: list[Job]) -> str:
    run = folder.run
    clip = run.inputs.clip
    total = len(run.jobs)
    made = "made a video" if len(done) == 1 else "made videos"
    first = (
        f"{len(done)} of {total} network{'' if total == 1 else 's'} {made} of {Path(run.inputs.portrait.source).name} "
        f"speaking {Path(clip.source).name} ({clip.duration_s:.1f} s)"
    )
    cannot = [job for job in skipped if job.kind is not OutcomeKind.INTERRUPTED]
    rest = [
        f"{len(failed)} failed" if failed else "",
        f"{len(cannot)} could not run here" if cannot else "",
        f"{len(unfinished) + len(skipped) - len(cannot)} did not get its turn"
        if len(unfinished) + len(skipped) - len(cannot)
        else "",
    ]
    return "; ".join([first, *(part for part in rest if part)]) + "."


def _again(folder: RunFolder) -> str:
    """Return the command that repeats the run from the kept inputs."""
    run = folder.run
    if run.synthetic is not None:
        return shlex.join(run.command or ["faceorch", "smoke", *(["--full"] if run.synthetic == "full" else [])])
    options = run.options
    words = ["faceorch", "run", "--image", run.inputs.portrait.file, "--audio", run.inputs.clip.file]
    for name in options.networks:
        words += ["--network", name]
    words += ["--runtime", options.runtime] if options.runtime != "auto" else []
    words += ["--gpus", options.gpus] if options.gpus != "all" else []
    words += ["--base", options.base] if options.base is not None else []
    words += ["--seed", str(options.seed)]
    words += ["--repeat", str(options.repeat)] if options.repeat > 1 else []
    words += ["--warmup", str(options.warmup)] if options.warmup else []
    for name, settings in options.settings.items():
        for key, value in settings.items():
            words += ["--set", f"{name}.{key}={value}"]
    words += ["--weights", options.weights] if options.weights is not None else []
    for option, given in (("--python", options.pythons), ("--use-image", options.images)):
        for name, value in given.items():
            words += [option, f"{name}={value}"]
    return shlex.join(words)


def _shown(folder: Path, job: Job, embed: bool) -> Shown:
    assert job.video is not None
    path = folder / job.video.file
    if not path.is_file():
        return Shown(job, None, None, f"{job.video.file} is no longer in the run folder")
    picture = media.first_frame(path)
    poster = None if picture is None else _data_url(picture, "image/jpeg")
    return Shown(job, _file_url(path, "video/mp4") if embed else job.video.file, poster, None)


def _file_url(path: Path, kind: str) -> str | None:
    try:
        return _data_url(path.read_bytes(), kind)
    except OSError:
        return None


def _data_url(data: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


def _parts(job: Job, longest_s: float) -> list[Part]:
    times = [(key, name, getattr(job.times, key)) for key, name in _PARTS]
    return [Part(name, key, s, 100 * s / longest_s) for key, name, s in times if s is not None and s > 0]


def seconds(value: float | None) -> str:
    """Return seconds as text, `n/a` when unknown."""
    if value is None:
        return NOT_AVAILABLE
    if value >= 600:
        return f"{value / 60:.1f} min"
    return f"{value:.2f} s" if value < 10 else f"{value:.1f} s"


def size(value: float | None) -> str:
    """Return bytes as text in binary units, `n/a` when unknown."""
    if value is None:
        return NOT_AVAILABLE
    for unit, factor in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if value >= factor:
            return f"{value / factor:.1f} {unit}"
    return f"{value:.0f} B"


def number(value: float | None) -> str:
    """Return a number as text, `n/a` when unknown."""
    return NOT_AVAILABLE if value is None else f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def md(value: object) -> str:
    """Return text that Markdown shows as it is, on one line."""
    text = " ".join(str(value).split())
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>#|~&!" else c for c in text)


FILTERS = {"seconds": seconds, "size": size, "number": number, "md": md}
