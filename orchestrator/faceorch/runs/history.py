"""Everything that has happened to one job, and the record's job that follows from it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from faceorch.record.kinds import JobStatus
from faceorch.record.reason import Reason
from faceorch.record.run import Environment, Job, Repetition, Video, WeightFile
from faceorch.record.spread import middle, remarks, spreads
from faceorch.runs.attempt import Attempt
from faceorch.runs.repeats import Turn


class History(Struct, frozen=True, kw_only=True):
    """What has happened to a job so far.

    `asked` is the job as it was planned. `repetitions` are those that are done, also by an earlier faceorch, `video` is
    that of the first of them that counts. `last` is the latest attempt, which is not a repetition when it failed.
    """

    asked: Job
    started: datetime
    environment: Environment
    weights: tuple[WeightFile, ...] = ()
    several: bool = False
    prepare_s: float | None = None
    synthetic_s: float | None = None
    repetitions: tuple[Repetition, ...] = ()
    video: Video | None = None
    last: Attempt | None = None
    turn: Turn | None = None
    exit_code: int | None = None
    timeline: str | None = None
    log: str | None = None
    log_tail: tuple[str, ...] = ()
    finished: datetime | None = None
    reason: Reason | None = None

    @property
    def once_s(self) -> float:
        """Seconds for what was done once, before all repetitions: the environment, and stand-in weights."""
        return (self.prepare_s or 0.0) + (self.synthetic_s or 0.0)


def planned(job: Job) -> Job:
    """Return a job as it was planned, without anything that has happened to it."""
    return Job(
        network=job.network,
        title=job.title,
        status=JobStatus.PENDING,
        seed=job.seed,
        settings=job.settings,
        about=job.about,
        upstream=job.upstream,
        patches=job.patches,
        caveats=job.caveats,
        claims=job.claims,
        resumed=job.resumed,
    )


def without_figures(history: History) -> History:
    """Return a history without anything that the runner has told: what the job was, ran in and came to stays."""
    return replace(history, repetitions=(), video=None, last=None, turn=None, timeline=None)


def repetition_of(made: Attempt, turn: Turn, *, several: bool) -> Repetition:
    """Return what an attempt that made a video has come to."""
    assert made.video is not None
    video_s = made.video.duration_s
    times = made.transcript.times(made.ended_s, made.total_s)
    notes = [*made.transcript.notes, *made.notes]
    metrics, sampled, used = made.transcript.metrics, {}, []
    prefix = f"{turn}: " if several else ""
    if made.figures is not None:
        found = made.figures
        metrics, sampled, used = found.metrics, found.sampled, found.gpus
        notes += [prefix + note for note in found.notes]
    return Repetition(
        number=turn.number,
        warmup=turn.warmup,
        started=made.started,
        times=times,
        compute_s_per_video_s=None if times.animate_s is None or not video_s else times.animate_s / video_s,
        metrics=metrics,
        sampled=sampled,
        gpus=used,
        video_sha256=made.made_sha256,
        notes=notes,
    )


def job_of(history: History) -> Job:
    """Return the record's job: its figures are those of the repetition in the middle, or of a failed attempt."""
    job = replace(
        history.asked,
        status=_status(history),
        reason=history.reason,
        environment=history.environment,
        weights=list(history.weights),
        started=history.started,
        finished=history.finished,
        exit_code=history.exit_code,
        timeline=history.timeline,
        repetitions=list(history.repetitions) if history.several else [],
        video=history.video,
        log=history.log,
        log_tail=list(history.log_tail),
    )
    counted = [repetition for repetition in history.repetitions if not repetition.warmup]
    last = history.last
    if last is not None and (last.failure is not None or last.interrupted):
        job = _with_attempt(job, last, history)
    elif counted:
        job = _with_repetitions(job, counted, history)
    times = replace(job.times, prepare_s=history.prepare_s, synthetic_s=history.synthetic_s)
    if times.total_s is not None and not history.several:  # a repetition's own total stays what it was
        times = replace(times, total_s=times.total_s + history.once_s)
    return replace(job, times=times)


def _status(history: History) -> JobStatus:
    if history.finished is None:
        return JobStatus.RUNNING
    return JobStatus.DONE if history.reason is None else JobStatus.FAILED


def _with_repetitions(job: Job, counted: Sequence[Repetition], history: History) -> Job:
    shown = middle(counted)
    ranges = spreads(counted) if history.several else {}
    return replace(
        job,
        started=shown.started if history.several else job.started,
        times=shown.times,
        compute_s_per_video_s=shown.compute_s_per_video_s,
        metrics=shown.metrics,
        sampled=shown.sampled,
        gpus=shown.gpus,
        repetition=shown.number if history.several else None,
        spreads=ranges,
        notes=remarks(counted, ranges),
    )


def _with_attempt(job: Job, last: Attempt, history: History) -> Job:
    said, found = last.transcript, last.figures
    times = said.times(last.ended_s, last.total_s)
    job = replace(job, times=times, metrics=said.metrics, notes=list(said.notes))
    if found is None:
        return job
    prefix = f"{history.turn}: " if history.several else ""
    return replace(
        job,
        metrics=found.metrics,
        sampled=found.sampled,
        gpus=found.gpus,
        notes=[*job.notes, *last.notes, *(prefix + note for note in found.notes)],
    )
