"""Runs -> what THEval's command-line tools read: a list of videos per method, and the clip's sound by video.

THEval (https://github.com/Newbyl/THEval, Apache-2.0) is software of other people, and nothing of it is used here. Its
scripts take `--video_txt`, a text file with one path a line, and `--audio_folder`, in which a video's sound has the
video's name. So every video is called after its run, in a folder of its method.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from faceorch.errors import InputError, OutputError, RunFolderError
from faceorch.files import Refused, take, write_atomically
from faceorch.media.video import VIDEO_BYTES
from faceorch.record.folder import RunFolder
from faceorch.record.kinds import JobStatus
from faceorch.record.run import Job
from faceorch.report.judgement import closeness

REAL = "GT"  # what THEval's tables call the real footage
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_CLIP_BYTES = 512 * 2**20


class Exported(Struct, frozen=True):
    """What was written: the list of videos of each method, the folder of sounds, and the table of our own figures."""

    lists: dict[str, Path]
    audio: Path
    ours: Path
    left_out: tuple[str, ...]


def export(runs: Sequence[Path], target: Path) -> Exported:
    """Write the finished videos of `runs` for THEval into the new folder `target`.

    Raises `RunFolderError` when a folder is not a run's, or none of them holds a video that is still as it was made.
    """
    folders = [RunFolder.load(path) for path in runs]
    names = [folder.path.name for folder in folders]
    for name in names:
        if not _PLAIN.fullmatch(name):
            raise InputError(f"{name!r} cannot be the name of a video in a list", "rename the run's folder")
    if len(set(names)) < len(names):
        raise InputError("two runs have the same name", "rename one of their folders")
    target = target.absolute()
    if "\n" in str(target) or str(target) != str(target).strip():
        raise InputError(f"{str(target)!r} cannot stand on a line of a list", "choose another -o")
    try:
        target.mkdir(parents=True)
        (target / "audio").mkdir()
    except FileExistsError:
        raise OutputError(f"{target} exists already", "choose another -o, or remove it") from None
    except OSError as error:
        raise OutputError(f"cannot make the folder {target}: {error.strerror}", "choose another -o") from error
    lists: dict[str, list[Path]] = {}
    rows: list[list[str]] = []
    left_out: list[str] = []
    for folder in folders:
        for job in folder.run.jobs:
            if job.status is not JobStatus.DONE or job.video is None or not _PLAIN.fullmatch(job.network):
                continue
            method = REAL if job is folder.run.reference else job.network
            place = target / "videos" / method / f"{folder.path.name}.mp4"
            place.parent.mkdir(parents=True, exist_ok=True)
            try:
                take(folder.path, job.video.file, place, limit=VIDEO_BYTES)
            except Refused as error:
                left_out.append(f"{folder.path.name}: {job.title}: {error}")
                continue
            lists.setdefault(method, []).append(place)
            rows += _figures(folder, job, method, place)
        try:
            sound = target / "audio" / f"{folder.path.name}.wav"
            take(folder.path, folder.run.inputs.clip.file, sound, limit=_CLIP_BYTES)
        except Refused as error:
            left_out.append(f"{folder.path.name}: the clip: {error}")
    if not lists:
        raise RunFolderError("none of these runs holds a finished video", "name runs that made one")
    written = {method: target / f"{method}.txt" for method in sorted(lists)}
    for method, path in written.items():
        write_atomically(path, "".join(f"{video}\n" for video in lists[method]).encode())
    ours = target / "faceorch.csv"
    write_atomically(ours, _table(rows))
    return Exported(written, target / "audio", ours, tuple(left_out))


_HEADINGS = ("Model", "Video Path", "metric", "value", "unit", "low", "high", "verdict", "closeness")


def _figures(folder: RunFolder, job: Job, method: str, place: Path) -> list[list[str]]:
    """Return a row for each finding of the judge; closeness is that to the run's real footage."""
    if job.judgement is None:
        return []
    reference = folder.run.reference
    real = None if reference is None or reference is job else reference.judgement
    if real is not None and real.judge != job.judgement.judge:
        real = None
    rows = []
    for key, found in job.judgement.findings.items():
        standard = None if real is None else real.findings.get(key)
        close = None if standard is None else closeness(found.value, standard.value)
        numbers = ["" if n is None else f"{n:.6g}" for n in (found.value, found.low, found.high, close)]
        value, low, high, near = numbers
        rows.append([method, str(place), key, value, found.unit, low, high, found.verdict.value, near])
    return rows


def _table(rows: list[list[str]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(_HEADINGS)
    writer.writerows(rows)
    return text.getvalue().encode()
