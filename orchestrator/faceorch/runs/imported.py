"""A run folder of videos that were made elsewhere: nothing of them was measured, everything of them can be judged."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from faceorch import __version__
from faceorch.errors import InputError, one_line
from faceorch.media.film import take_film
from faceorch.networks.discover import find_judge
from faceorch.record.folder import RunFolder, now
from faceorch.record.kinds import JobStatus, RunStatus
from faceorch.record.request import REFERENCE, Request
from faceorch.record.run import Job, Run, Video
from faceorch.runs import host
from faceorch.runs.events import Listener, Noted
from faceorch.runs.folder import new_folder
from faceorch.runs.job import DURATION_TOLERANCE_S
from faceorch.runs.reading import Reading
from faceorch.telemetry.nvml import read_gpus

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")
_TAKEN = ("inputs", "report", "run")  # what else is called so in a run folder


def import_run(request: Request, out: Path, tell: Listener, reading: Reading | None = None) -> RunFolder:
    """Make the run folder of `request.videos` and `request.reference` below `out`; nothing is judged yet.

    `reading` is that of the portrait and the clip, when it has been begun already. Raises `InputError` for what cannot
    be used, before anything is left behind.
    """
    with reading or Reading(Path(request.portrait), Path(request.clip)) as begun:
        return _import(request, out, tell, begun)


def _import(request: Request, out: Path, tell: Listener, reading: Reading) -> RunFolder:
    _check_names(request)
    given = {REFERENCE: request.reference} if request.reference is not None else {}
    given |= request.videos
    portrait, clip = reading.result()
    with new_folder(out, portrait, clip) as made:
        run = Run(
            faceorch=__version__,
            id=made.id,
            status=RunStatus.DONE,
            created=now(),
            updated=now(),
            request=request,
            host=host.describe(read_gpus(), {}),
            inputs=made.inputs,
            jobs=_jobs(given, made.path, clip.duration_s, tell),
        )
        return made.publish(run)


def _check_names(request: Request) -> None:
    judge = find_judge() if request.judge else None
    taken = {*_TAKEN, REFERENCE, *([judge.name] if judge is not None else [])}
    for name in request.videos:
        if not _NAME.fullmatch(name):
            raise InputError(
                f"{name!r} cannot be the name of a video: letters, digits, dots, dashes and underscores needed, "
                "60 at most",
                "write NAME=VIDEO, such as theirs=result.mp4",
            )
        if name.lower() in taken:
            raise InputError(f"the name {name} is taken in a run folder", "choose another name, or use --reference")
    lowered = [name.lower() for name in request.videos]
    if len(set(lowered)) < len(lowered):
        raise InputError("two videos have the same name", "choose another name")


def _jobs(given: Mapping[str, str], folder: Path, clip_s: float, tell: Listener) -> list[Job]:
    jobs = []
    for name, source in given.items():
        tell(Noted(network=None, text=f"reading {one_line(source)}"))
        info, notes = take_film(Path(source), folder / f"{name}.mp4")
        notes.insert(0, "made elsewhere: its time and its memory were not measured here")
        if abs(info.duration_s - clip_s) > DURATION_TOLERANCE_S:
            notes.append(f"the video lasts {info.duration_s:.2f} s, the clip {clip_s:.2f} s")
        jobs.append(
            Job(
                network=name,
                title="Real footage" if name == REFERENCE else name,
                status=JobStatus.DONE,
                source=one_line(os.fspath(source)),
                video=Video(
                    file=info.path.name,
                    width=info.width,
                    height=info.height,
                    fps=info.fps,
                    frames=info.frames,
                    duration_s=info.duration_s,
                    codec=info.codec,
                    pixel_format=info.pixel_format,
                    audio_codec=info.audio_codec,
                    bytes=info.bytes,
                    sha256=info.sha256,
                ),
                notes=notes,
            )
        )
    return jobs
