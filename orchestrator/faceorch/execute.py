"""Plan -> outcomes: start each runner, watch it, time it out, collect its video. One network at a time."""

from __future__ import annotations

import contextlib
import errno
import os
import queue
import shlex
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from faceorch import media, repeats
from faceorch.errors import InputError, OutputError, UserError
from faceorch.files import empty_folder
from faceorch.joblog import JobLog
from faceorch.observe import Observer
from faceorch.outcome import Failure, Transcript, explain_exit
from faceorch.owner import Owner
from faceorch.plan import Planned
from faceorch.record import (
    Environment,
    Job,
    JobStatus,
    OutcomeKind,
    Repetition,
    Run,
    RunFolder,
    RunStatus,
    Times,
    Video,
    now,
)
from faceorch.repeats import Turn
from faceorch.runtimes import Exit, Launch, Preparing, Process, Ready
from faceorch.telemetry import summary, timeline
from faceorch.telemetry.samples import Watched
from faceorch.telemetry.watch import GPU_HZ, Watch
from faceorch_runner import ErrorKind, Event, EventKind

# The runner's own deadline is a second line of defence (a frozen host): it must never fire before the host's.
_RUNNER_GRACE_S = 30.0
_DURATION_TOLERANCE_S = 0.5


# Looks at a finished video more closely: returns what it found in one line, or raises `BrokenVideo`.
Check = Callable[[Path, media.VideoInfo, Run, Job], str]


@dataclass(slots=True)
class _Ended:
    """How watching a runner ended."""

    exit: Exit
    timed_out: bool
    ended_s: float


class Executor:
    """Runs the planned jobs of one run folder, one after the other."""

    watch: type[Watch] = Watch  # what looks at them

    def __init__(
        self,
        folder: RunFolder,
        observer: Observer,
        *,
        gate_inputs: bool = True,
        sampling_hz: float = GPU_HZ,
        check: Check | None = None,
    ) -> None:
        self._folder, self._run, self._observer, self._check = folder, folder.run, observer, check
        self._owner, self._hz = Owner.me(), sampling_hz
        self._rows: list[timeline.Row] = []
        # Until a first network has accepted the inputs, a refusal is the user's error and not a result.
        self._gate = gate_inputs and not any(job.status is JobStatus.DONE for job in self._run.jobs)

    def execute(self, planned: tuple[Planned, ...]) -> None:
        """Run every planned job and record its outcome; leaves a complete record on every path.

        Raises `InputError` when the first network refuses the portrait or the clip before it starts,
        `OutputError` when the run folder cannot be written, and passes `KeyboardInterrupt` on.
        """
        try:
            for plan in planned:
                self._one(plan)
                self._gate = False
        except KeyboardInterrupt:
            self._interrupted()
            raise
        self._run.status = RunStatus.DONE
        self._folder.save()

    def _interrupted(self) -> None:
        remedy = f"faceorch run --resume {shlex.quote(os.fspath(self._folder.path))}"
        if self._run.synthetic is not None:
            remedy = "faceorch smoke"
        for job in self._run.jobs:
            if job.status in (JobStatus.RUNNING, JobStatus.PENDING):
                started = job.status is JobStatus.RUNNING
                job.status = JobStatus.FAILED if started else JobStatus.SKIPPED
                job.kind = OutcomeKind.INTERRUPTED
                job.reason = "interrupted while it ran" if started else "the run was interrupted before it started"
                job.remedy = remedy
        self._run.status = RunStatus.INTERRUPTED
        self._folder.save()

    def _one(self, plan: Planned) -> None:
        job = self._run.job(plan.network.name)
        done, video = self._kept(job, plan)
        repeats.reset(job)
        job.repetitions, job.video = done, video
        job.attempt += 1
        job.status, job.started = JobStatus.RUNNING, now()
        job.environment = _environment(plan, plan.ready)
        job.weights = list(plan.weights.files)
        work = self._folder.job_folder(job.network)
        job.log = f"{job.network}/log.txt"
        self._observer.job_started(job)
        try:
            work.mkdir(exist_ok=True)
            self._folder.save()
            with JobLog(work, job.attempt) as log:
                self._rows = self._kept_rows(job, work, log)
                failure = self._turns(plan, job, work, log)
                if failure is not None:
                    job.log_tail = log.tail()
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES):
                raise
            message = f"cannot write to {self._folder.path}: {error.strerror}"
            raise OutputError(message, "free some space, or choose another --out") from error
        job.finished = now()
        if failure is None:
            job.status = JobStatus.DONE
        else:
            job.status = JobStatus.FAILED
            job.kind, job.reason, job.remedy = failure.kind, failure.reason, failure.remedy
        self._folder.save()
        self._observer.job_ended(job)

    def _kept(self, job: Job, plan: Planned) -> tuple[list[Repetition], Video | None]:
        """Return what an earlier attempt has finished of a job: its repetitions count when all is as it was."""
        before, video = job.environment, job.video
        same = before is not None and (not plan.ready.prepared or before.identity == plan.ready.identity)
        if not job.repetitions or video is None or not same or not self._folder.holds(video):
            return [], None
        return [repetition for repetition in job.repetitions if not repetition.warmup], video

    def _kept_rows(self, job: Job, work: Path, log: JobLog) -> list[timeline.Row]:
        """Return the samples of the repetitions that are kept."""
        numbers = {repetition.number for repetition in job.repetitions}
        path = work / timeline.file_name(self._run.options.timeline)
        if not numbers:
            return []
        try:
            return [row for row in timeline.read(path) if row["repetition"] in numbers and not row["warmup"]]
        except timeline.Damaged as error:
            log.write_line(f"faceorch: {error}; the samples of the repetitions before are lost, their figures are kept")
            return []

    def _turns(self, plan: Planned, job: Job, work: Path, log: JobLog) -> Failure | None:
        """Do the job, as often as it was asked for; return why it failed, None when its video is in place."""
        options = self._run.options
        try:
            ready = self._prepare(plan, job, work)
            weights = self._weights(plan, ready, job, work, log)
            if isinstance(weights, Failure):
                return weights
            once = Times(prepare_s=job.times.prepare_s, synthetic_s=job.times.synthetic_s)
            for turn in repeats.turns(options, job.repetitions):
                if repeats.several(options):
                    log.write_line(f"--- {turn} ---")
                    self._observer.repetition(job.network, str(turn))
                kept, started = job.video, now()
                repeats.forget(job)
                made = self._attempt(plan, ready, job, weights, work, log, turn)
                if isinstance(made, Failure):
                    repeats.add_times(job, once)
                    return replace(made, reason=f"{made.reason} ({turn})") if repeats.several(options) else made
                job.notes += repeats.gpu_remarks(job.gpus, prefix=f"{turn}: " if repeats.several(options) else "")
                if repeats.several(options):
                    job.repetitions.append(repeats.finished(job, turn, started, made))
                    job.video = kept or (None if turn.warmup else made)
                    self._folder.save()
            repeats.conclude(job)
            repeats.add_times(job, once)
            return None
        except (InputError, OutputError):
            raise
        except UserError as error:
            log.write_line(f"faceorch: {error.message}")
            return Failure(OutcomeKind.START_FAILED, error.message, error.remedy)
        finally:
            if self._run.synthetic is not None:
                shutil.rmtree(work / "weights", ignore_errors=True)

    def _attempt(
        self, plan: Planned, ready: Ready, job: Job, weights: Path | None, work: Path, log: JobLog, turn: Turn
    ) -> Video | Failure:
        """Do the job once; return its video, or why it failed."""
        with empty_folder(work / "out") as out:
            return self._launch(plan, ready, job, weights, out, log, turn)

    def _weights(self, plan: Planned, ready: Ready, job: Job, work: Path, log: JobLog) -> Path | Failure | None:
        """Return the folder of the network's weights, after making stand-ins where those are wanted."""
        if self._run.synthetic is None or not (plan.network.code / "synthetic.py").is_file():
            return plan.weights.folder
        weights = work / "weights"
        with empty_folder(work / "out") as out:
            failure = self._synthesise(plan, ready, job, weights, out, log)
        return failure or weights

    def _synthesise(
        self, plan: Planned, ready: Ready, job: Job, weights: Path, out: Path, log: JobLog
    ) -> Failure | None:
        """Let the network's environment write stand-in weights; return why it could not."""
        shutil.rmtree(weights, ignore_errors=True)
        weights.mkdir()
        launch = Launch(
            network=plan.network,
            environment=ready,
            owner=self._owner,
            run=self._run.id,
            out=out,
            job_file=out.parent / "synthetic.json",
            weights=weights,
            weights_writable=True,
            task={"op": "synthetic", "full": self._run.synthetic == "full"},
        )
        begun_s = time.monotonic()
        transcript = Transcript(begun_s)
        with plan.runtime.start(launch) as process:
            ended = self._watch(process, job, transcript, log, self._run.options.timeout_s)
        log.flush()
        job.times.synthetic_s = time.monotonic() - begun_s
        job.exit_code = ended.exit.code
        return self._failure(job, transcript, ended, plan)

    def _prepare(self, plan: Planned, job: Job, work: Path) -> Ready:
        if plan.ready.prepared:
            return plan.ready
        self._observer.stage(job.network, "prepare")
        begun_s = time.monotonic()

        def line(text: str) -> None:
            self._observer.note(job.network, text)

        ready = plan.runtime.prepare(plan.network, plan.ready, Preparing(work / "prepare.log", line))
        job.times.prepare_s = time.monotonic() - begun_s
        job.environment = _environment(plan, ready)
        return ready

    def _launch(
        self, plan: Planned, ready: Ready, job: Job, weights: Path | None, out: Path, log: JobLog, turn: Turn
    ) -> Video | Failure:
        timeout_s = self._run.options.timeout_s
        launch = Launch(
            network=plan.network,
            environment=ready,
            owner=self._owner,
            run=self._run.id,
            job={
                "id": job.network,
                "seed": job.seed,
                "settings": job.settings,
                "timeout_s": None if timeout_s is None else timeout_s + _RUNNER_GRACE_S,
                **({} if self._run.synthetic is None else {"synthetic": True}),
            },
            portrait=self._folder.path / self._run.inputs.portrait.file,
            audio=self._folder.path / self._run.inputs.clip.file,
            out=out,
            job_file=out.parent / "job.json",
            weights=weights,
            gpus=plan.gpus,
        )
        self._observer.stage(job.network, "start")
        no_gpu = plan.runtime.elsewhere if plan.gpus else f"{plan.network.name} uses no GPU"
        watch = self.watch(plan.gpus, no_gpu=no_gpu, hz=self._hz)
        try:
            with watch:
                begun_s = time.monotonic()
                transcript = Transcript(begun_s)
                with plan.runtime.start(launch) as process, watch.following(process):
                    process.send(b'{"op":"drain"}\n')
                    ended = self._watch(process, job, transcript, log, timeout_s, watch)
                job.times.total_s = time.monotonic() - begun_s
            job.exit_code = ended.exit.code
            transcript.fill(job, ended.ended_s)
            log.flush()
            made = self._failure(job, transcript, ended, plan) or self._collect(job, out, turn)
        finally:
            self._measure(job, watch.seen, out.parent, turn)
        return made

    def _measure(self, job: Job, seen: Watched, work: Path, turn: Turn) -> None:
        """Write down what was seen of the job, also of one that failed or was interrupted."""
        options = self._run.options
        gpus = self._run.host.gpus
        shares = summary.attributions(seen)
        prices = summary.Prices(
            per_kwh=options.price_per_kwh, per_gpu_hour=options.price_per_gpu_hour, currency=options.currency
        )
        summary.fill(job, seen, shares, gpus, prices)
        indices = {gpu.uuid: gpu.index for gpu in gpus}
        self._rows += timeline.rows(seen, shares, indices, repetition=turn.number, warmup=turn.warmup)
        if self._rows:
            file = timeline.write(work, self._rows, options.timeline)
            job.timeline = f"{job.network}/{file.name}"

    def _watch(
        self,
        process: Process,
        job: Job,
        transcript: Transcript,
        log: JobLog,
        timeout_s: float | None,
        watch: Watch | None = None,
    ) -> _Ended:
        """Follow the runner's output to its end, or end it when its time is over."""
        deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
        timed_out = False
        while True:
            left_s = None if deadline_s is None else max(0.0, deadline_s - time.monotonic())
            try:
                piece = process.output.get(timeout=left_s)
            except queue.Empty:
                timed_out, deadline_s = True, None
                process.stop()
                continue
            if piece is None:
                break
            for item in log.feed(*piece):
                heard_s = time.monotonic()
                transcript.add(item, heard_s)
                if watch is not None and item.kind in (EventKind.STAGE, EventKind.DONE, EventKind.ERROR):
                    watch.mark(str(item.data.get("name", "")) if item.kind is EventKind.STAGE else "", heard_s)
                self._show(job, item)
        return _Ended(process.wait(), timed_out, time.monotonic())

    def _show(self, job: Job, event: Event) -> None:
        if event.kind is EventKind.STAGE:
            self._observer.stage(job.network, str(event.data.get("name", "?")))
        elif event.kind is EventKind.PROGRESS:
            with contextlib.suppress(KeyError, TypeError, ValueError):
                done, total = int(event.data["done"]), int(event.data["total"])
                self._observer.progress(job.network, done, total, str(event.data.get("unit", "")))

    def _failure(self, job: Job, transcript: Transcript, ended: _Ended, plan: Planned) -> Failure | None:
        if ended.timed_out:
            limit_s = self._run.options.timeout_s or 0
            stage = transcript.stage or "start"
            return Failure(
                OutcomeKind.TIMEOUT,
                f"not finished after {limit_s:g} s (in stage '{stage}')",
                "give it longer with --timeout, or choose cheaper settings",
            )
        error = transcript.error
        if error is not None:
            if self._gate and transcript.stage == "check" and error.kind in (ErrorKind.NO_FACE, ErrorKind.BAD_INPUT):
                raise InputError(
                    error.message, "use a portrait with one clear face; --no-face-check tries all the same"
                )
            return Failure.from_runner(error, plan.network)
        if transcript.done:
            if ended.exit.code != 0:
                job.notes.append(f"the runner ended with exit code {ended.exit.code} after its work was done")
            return None
        return explain_exit(ended.exit, plan.network, in_container=plan.runtime.name == "docker")

    def _collect(self, job: Job, out: Path, turn: Turn) -> Video | Failure:
        """Check the finished video and give it its final name; only one of several repetitions is kept."""
        made = out / f"{job.network}.mp4"
        try:
            info = media.probe_video(made)
            if self._check is not None:
                job.notes.append(self._check(made, info, self._run, job))
        except media.BrokenVideo as error:
            return Failure(OutcomeKind.BROKEN_VIDEO, f"its video cannot be used: {error}", "see its log")
        clip_s = self._run.inputs.clip.duration_s
        if abs(info.duration_s - clip_s) > _DURATION_TOLERANCE_S:
            job.notes.append(f"the video lasts {info.duration_s:.2f} s, the clip {clip_s:.2f} s")
        final = self._folder.video(job.network)
        if not turn.warmup and not any(not repetition.warmup for repetition in job.repetitions):
            os.replace(made, final)
        job.video = Video(
            file=final.name,
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
        )
        if job.times.animate_s is not None and info.duration_s > 0:
            job.compute_s_per_video_s = job.times.animate_s / info.duration_s
        return job.video


def _environment(plan: Planned, ready: Ready) -> Environment:
    return Environment(
        runtime="docker" if plan.runtime.name == "docker" else "venv",
        identity=ready.identity,
        name=ready.name,
        given=ready.given,
        base=ready.base,
        builder=ready.builder,
        python=ready.python,
        note=ready.note,
    )
