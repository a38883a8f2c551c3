"""Plan -> outcomes: every planned job, one after the other, each recorded as it becomes known."""

from __future__ import annotations

import errno
import os
import shlex
import shutil
from dataclasses import replace

from msgspec import structs

from faceorch.errors import InputError, OutputError
from faceorch.files import own_folder
from faceorch.owner import Owner
from faceorch.record.folder import RunFolder, now
from faceorch.record.kinds import JobStatus, OutcomeKind, RunStatus
from faceorch.record.reason import Reason
from faceorch.record.run import Job, Repetition, Video
from faceorch.runs.events import JobEnded, JobStarted, Listener, RunStarted
from faceorch.runs.history import History, job_of, planned
from faceorch.runs.job import Check, JobRun, environment_of
from faceorch.runs.joblog import JobLog
from faceorch.runs.plan import Planned
from faceorch.runs.start import Started
from faceorch.telemetry.watch import Watch
from faceorch.weights.source import Stored


def execute(started: Started, tell: Listener, check: Check | None = None) -> None:
    """Run every planned job and record its outcome; leaves a complete record on every path.

    Raises `InputError` when the first network refuses the portrait or the clip before it starts (of a fresh run nothing
    is left then), `OutputError` when the run folder cannot be written, and passes `KeyboardInterrupt` on.
    """
    folder = started.folder
    gate = started.fresh and folder.run.request.check_face
    with folder.locked():
        try:
            Executor(folder, tell, gate_inputs=gate, check=check).execute(started.planned)
        except InputError:
            if started.fresh:  # refused: nothing has run, nothing stays
                shutil.rmtree(folder.path, ignore_errors=True)
            raise


class Executor:
    """Runs the planned jobs of one run folder."""

    watch: type[Watch] = Watch  # what looks at them

    def __init__(
        self, folder: RunFolder, tell: Listener, *, gate_inputs: bool = True, check: Check | None = None
    ) -> None:
        self._folder, self._run, self._tell, self._check = folder, folder.run, tell, check
        self._owner = Owner.me()
        # Until a first network has accepted the inputs, a refusal is the user's error and not a result.
        self._gate = gate_inputs and not any(job.status is JobStatus.DONE for job in self._run.jobs)

    def execute(self, planned_jobs: tuple[Planned, ...]) -> None:
        """Run every planned job and record its outcome."""
        self._tell(RunStarted(run=self._run))
        try:
            for plan in planned_jobs:
                self._one(plan)
                self._gate = False
        except KeyboardInterrupt:
            self._interrupted()
            raise
        self._run.status = RunStatus.DONE
        self._folder.save()

    def _interrupted(self) -> None:
        remedy = f"faceorch run --resume {shlex.quote(os.fspath(self._folder.path))}"
        if self._run.synthetic:
            remedy = "faceorch smoke"
        for job in self._run.jobs:
            if job.status in (JobStatus.RUNNING, JobStatus.PENDING):
                started = job.status is JobStatus.RUNNING
                found = "interrupted while it ran" if started else "the run was interrupted before it started"
                status = JobStatus.FAILED if started else JobStatus.SKIPPED
                reason = Reason(kind=OutcomeKind.INTERRUPTED, found=found, remedy=remedy)
                self._run.put(structs.replace(job, status=status, reason=reason))
        self._run.status = RunStatus.INTERRUPTED
        self._folder.save()

    def _one(self, plan: Planned) -> None:
        before = self._run.job(plan.network.name)
        kept, video = self._kept(before, plan)
        history = History(
            asked=planned(before),
            started=now(),
            environment=environment_of(plan, plan.ready),
            weights=plan.weights.files if isinstance(plan.weights, Stored) else (),
            several=self._run.request.several,
            repetitions=kept,
            video=video,
            log=f"{before.network}/log.txt",
        )
        work = self._folder.job_folder(before.network)
        self._tell(JobStarted(network=before.network))
        try:
            own_folder(work)
            self._record(history)
            with JobLog(work, before.resumed + 1) as log:
                history = JobRun(
                    folder=self._folder,
                    plan=plan,
                    tell=self._tell,
                    log=log,
                    owner=self._owner,
                    record=self._record,
                    watch=self.watch,
                    check=self._check,
                    gate=self._gate,
                ).run(history)
                if history.reason is not None:
                    history = replace(history, log_tail=tuple(log.tail()))
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES):
                raise
            message = f"cannot write to {self._folder.path}: {error.strerror}"
            raise OutputError(message, "free some space, or choose another --out") from error
        job = self._record(replace(history, finished=now()))
        self._tell(JobEnded(job=job))

    def _record(self, history: History) -> Job:
        job = job_of(history, self._run.host.gpus)
        self._run.put(job)
        self._folder.save()
        return job

    def _kept(self, job: Job, plan: Planned) -> tuple[tuple[Repetition, ...], Video | None]:
        """Return what an earlier faceorch has finished of a job: its repetitions count when all is as it was."""
        before, video = job.environment, job.video
        same = before is not None and (not plan.ready.prepared or before.identity == plan.ready.identity)
        if not job.repetitions or video is None or not same or not self._folder.holds(video):
            return (), None
        return tuple(repetition for repetition in job.repetitions if not repetition.warmup), video
