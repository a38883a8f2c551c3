"""The videos of a run folder judged, and what was found written into its record; the run itself is never harmed."""

from __future__ import annotations

import contextlib
import re
import wave
from pathlib import Path

from msgspec.structs import replace

from faceorch import bugs
from faceorch.errors import CannotRun, OutputError, RunFolderError, UserError
from faceorch.files import Refused, empty_folder, own_folder, remove, sha256_of, take
from faceorch.judging.choose import choose
from faceorch.judging.sitting import Order, Sitting, sit
from faceorch.media.clip import samples_sha256
from faceorch.media.video import VIDEO_BYTES, BrokenVideo, probe_video
from faceorch.networks.discover import Network, find_judge
from faceorch.record.folder import InvalidRecord, RunFolder, judge_command
from faceorch.record.kinds import JobStatus, OutcomeKind
from faceorch.record.reason import Reason
from faceorch.record.run import Job, Judging
from faceorch.runs.events import JudgingEnded, JudgingStarted, Listener

SERIES = "judgement.parquet"
_INPUT_BYTES = 512 * 2**20  # a portrait of 4096 x 4096, or ten minutes of sound
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def judge_folder(folder: RunFolder, tell: Listener) -> None:
    """Judge the videos of a run that has just ended and that have no judgement yet.

    What goes wrong is recorded in `Run.judging` and raised no further, but for `KeyboardInterrupt`. Nothing is recorded
    where there is no judge, or no video.
    """
    try:
        judge, jobs = find_judge(), [job for job in _with_video(folder) if job.judgement is None]
    except UserError as error:
        _put(folder, _failed(error), "judge", tell)
        return
    if judge is None or not jobs:
        return
    folder.run.judging = None  # of an earlier faceorch, when this one finishes its run
    try:
        with folder.locked():
            _judge(folder, judge, jobs, tell)
    except KeyboardInterrupt:
        if folder.run.judging is None:  # before the judge had begun: while its environment was built
            _put(folder, Judging(reason=_interrupted(folder)), judge.name, tell)
        raise
    except UserError as error:
        _put(folder, _failed(error), judge.name, tell)
    except Exception as error:
        log = bugs.write_log(error, folder.job_folder(judge.name))
        remedy = "please report it" + (f"; details: {log}" if log else "")
        found = f"faceorch has a bug: {bugs.describe(error)}"
        _put(folder, Judging(reason=Reason(kind=OutcomeKind.CRASH, found=found, remedy=remedy)), judge.name, tell)


def judge_again(folder: RunFolder, tell: Listener, *, timeout_s: float | None = None) -> None:
    """Judge every video of a run once more, in place of what was found before.

    Raises `CannotRun`, and changes nothing, when the judge finds nothing at all.
    """
    judge, jobs = find_judge(), _with_video(folder)
    if judge is None:
        raise CannotRun("there is no judge (FACEORCH_JUDGE is off)", "unset FACEORCH_JUDGE")
    if not jobs:
        raise RunFolderError(f"{folder.path} holds no finished video", "name a run that made one")
    with folder.locked():
        judging = _judge(folder, judge, jobs, tell, timeout_s=timeout_s, keep_old=True)
    if judging.reason is not None:
        raise CannotRun(judging.reason.text, judging.reason.remedy)


def _with_video(folder: RunFolder) -> list[Job]:
    """Return the jobs whose video can be judged. Names are those of files, and a record may be anybody's."""
    done = [job for job in folder.run.jobs if job.status is JobStatus.DONE and job.video is not None]
    return [job for job in done if _PLAIN.fullmatch(job.network)]


def _judge(
    folder: RunFolder,
    judge: Network,
    jobs: list[Job],
    tell: Listener,
    *,
    timeout_s: float | None = None,
    keep_old: bool = False,
) -> Judging:
    """Judge these jobs and record it; `keep_old`: what was found before stays when nothing is found now."""
    run, request = folder.run, folder.run.request
    chosen = choose(
        judge,
        runtime=request.runtime,
        pythons=request.pythons,
        use_images=request.use_images,
        weights=None if request.weights is None else Path(request.weights),
    )
    if isinstance(chosen, Reason):
        judging = Judging(reason=chosen)
        if not keep_old:
            _put(folder, judging, judge.name, tell)
        return judging
    tell(JudgingStarted(judge=judge.name, videos=len(jobs)))
    work = folder.job_folder(judge.name)
    own_folder(work)
    with empty_folder(work / "in") as given, empty_folder(work / "series") as kept:
        portrait, clip = _inputs(folder, given)
        videos, gone = _videos(folder, jobs, given)
        order = Order(
            portrait=portrait,
            clip=clip,
            videos=videos,
            work=work,
            series={name: kept / f"{name}.parquet" for name in videos},
            run=run.id,
            timeout_s=request.timeout_s if timeout_s is None else timeout_s,
            names={path.name: Path(run.job(name).source or path.name).name for name, path in videos.items()},
        )
        sitting = sit(chosen, order, tell) if videos else Sitting(environment=None)
        judging = _judging(folder, sitting, gone)
        if not (keep_old and judging.reason is not None and not sitting.judgements):
            _record(folder, sitting, kept)
            _put(folder, judging, judge.name, tell)
    if sitting.interrupted:
        raise KeyboardInterrupt
    return judging


def _inputs(folder: RunFolder, given: Path) -> tuple[Path, Path]:
    """Return copies of the run's inputs: they are as they were recorded, whoever the folder comes from."""
    inputs = folder.run.inputs
    portrait, clip = given / "portrait.png", given / "clip.wav"
    for record, copy in ((inputs.portrait, portrait), (inputs.clip, clip)):
        try:
            take(folder.path, record.file, copy, limit=_INPUT_BYTES)
            found = sha256_of(copy) if copy is portrait else _samples_of(copy)
        except (Refused, OSError, EOFError, wave.Error) as error:
            raise RunFolderError(f"{folder.path / record.file} cannot be used: {error}", "start a new run") from error
        if found != record.sha256:
            raise RunFolderError(f"{folder.path / record.file} has changed since the run began", "start a new run")
    return portrait, clip


def _samples_of(clip: Path) -> str:
    with clip.open("rb") as opened:
        return samples_sha256(opened)


def _videos(folder: RunFolder, jobs: list[Job], given: Path) -> tuple[dict[str, Path], dict[str, str]]:
    """Return copies of the videos by name, and of those that cannot be used why."""
    videos: dict[str, Path] = {}
    gone: dict[str, str] = {}
    for job in jobs:
        assert job.video is not None
        copy = given / f"{job.network}.mp4"
        try:
            take(folder.path, job.video.file, copy, limit=VIDEO_BYTES)
            if probe_video(copy).sha256 != job.video.sha256:
                gone[job.network] = f"{job.video.file} has changed since it was made"
            else:
                videos[job.network] = copy
        except (Refused, BrokenVideo) as error:
            gone[job.network] = str(error)
    return videos, gone


def _judging(folder: RunFolder, sitting: Sitting, gone: dict[str, str]) -> Judging:
    """Return what the record says of a sitting."""
    reason, titles = sitting.reason, {job.network: job.title for job in folder.run.jobs}
    if sitting.interrupted:
        reason = _interrupted(folder)
    missing = [f"{titles[name]}: not judged: {why}" for name, why in {**gone, **sitting.refused}.items()]
    return Judging(
        environment=sitting.environment,
        self_check=sitting.self_check,
        reason=reason,
        notes=[*sitting.notes, *missing],
    )


def _interrupted(folder: RunFolder) -> Reason:
    remedy = judge_command(folder.path)
    return Reason(kind=OutcomeKind.INTERRUPTED, found="judging was interrupted", remedy=remedy)


def _record(folder: RunFolder, sitting: Sitting, kept: Path) -> None:
    """Put the judgements into the record's jobs, and the series into their folders."""
    for name, judgement in sitting.judgements.items():
        target, series = folder.job_folder(name), kept / f"{name}.parquet"
        where = None
        if series.is_file():
            own_folder(target)
            remove(target / SERIES)  # whatever has its name
            series.rename(target / SERIES)
            where = f"{name}/{SERIES}"
        folder.run.put(replace(folder.run.job(name), judgement=replace(judgement, series=where)))


def _failed(error: UserError) -> Judging:
    return Judging(reason=Reason(kind=OutcomeKind.START_FAILED, found=error.message, remedy=error.remedy))


def _put(folder: RunFolder, judging: Judging, judge: str, tell: Listener) -> None:
    """Write down how judging went; a disk that is full, or a record that cannot hold it, leaves the run as it was."""
    folder.run.judging = judging
    with contextlib.suppress(OutputError, InvalidRecord):
        folder.save()
    tell(JudgingEnded(judge=judge, judging=judging))
