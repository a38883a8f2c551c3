"""Plan -> outcomes: every planned job, one after the other, each recorded as it becomes known."""

from __future__ import annotations

import errno
import shutil

from msgspec.structs import replace

from faceorch import bugs
from faceorch.errors import InputError, OutputError, UserError
from faceorch.files import own_folder
from faceorch.owner import Owner
from faceorch.record.folder import InvalidRecord, RunFolder, now, resume_command
from faceorch.record.kinds import JobStatus, OutcomeKind, RunStatus
from faceorch.record.reason import Reason
from faceorch.record.run import Job, Repetition, Video
from faceorch.runs.events import JobEnded, JobStarted, Listener, RunStarted
from faceorch.runs.history import History, job_of, planned, without_figures
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
        self._latest: History | None = None  # of the current job
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
        remedy = resume_command(self._folder.path)
        if self._run.synthetic:
            remedy = "faceorch smoke"
        self._run.status = RunStatus.INTERRUPTED
        for job in self._run.jobs:
            if job.status is JobStatus.PENDING:
                found = "the run was interrupted before it started"
                reason = Reason(kind=OutcomeKind.INTERRUPTED, found=found, remedy=remedy)
                self._run.put(replace(job, status=JobStatus.SKIPPED, reason=reason))
        if self._latest is not None and self._latest.finished is None:
            found = "interrupted while it ran"
            self._failed(Reason(kind=OutcomeKind.INTERRUPTED, found=found, remedy=remedy))
        self._folder.save()

    def _one(self, plan: Planned) -> None:
        """Do one job. Whatever goes wrong is its outcome, but for what refuses the inputs or the output folder."""
        name = plan.network.name
        try:
            self._job(plan)
        except UserError as error:
            full = isinstance(error, OutputError) and _is_full(error.__cause__)
            if (isinstance(error, OutputError) and not full) or (isinstance(error, InputError) and self._gate):
                raise
            kind = OutcomeKind.DISK_FULL if full else OutcomeKind.START_FAILED
            self._failed(Reason(kind=kind, found=error.message, remedy=error.remedy))
        except Exception as error:
            log = bugs.write_log(error, self._folder.job_folder(name))
            remedy = "please report it" + (f"; details: {log}" if log else "")
            found = f"faceorch has a bug: {bugs.describe(error)}"
            self._failed(Reason(kind=OutcomeKind.CRASH, found=found, remedy=remedy))
        try:
            self._tell(JobEnded(job=self._run.job(name)))
        except Exception as error:  # the job has its outcome, and the next one can start
            bugs.write_log(error, self._folder.job_folder(name))
            job = self._run.job(name)
            note = f"its end could not be shown: {bugs.describe(error)}"
            self._run.put(replace(job, notes=[*job.notes, note]))

    def _job(self, plan: Planned) -> None:
        """Do one job and record its outcome."""
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
        self._latest = history
        self._tell(JobStarted(network=before.network))
        work = self._folder.job_folder(before.network)
        try:
            own_folder(work)
            self._record(history)
            with JobLog(work, before.resumed + 1) as log:
                try:
                    history = self._job_run(plan, log).run(history)
                finally:
                    self._latest = replace(self._latest, log_tail=tuple(log.tail()))
            tail = () if history.reason is None else self._latest.log_tail
            self._record(replace(history, finished=now(), log_tail=tail))
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES):
                raise
            message = f"cannot write to {self._folder.path}: {error.strerror}"
            raise OutputError(message, "free some space, or choose another --out") from error

    def _job_run(self, plan: Planned, log: JobLog) -> JobRun:
        return JobRun(
            folder=self._folder,
            plan=plan,
            tell=self._tell,
            log=log,
            owner=self._owner,
            record=self._record,
            watch=self.watch,
            check=self._check,
            gate=self._gate,
        )

    def _record(self, history: History) -> None:
        """Write down what has happened to a job so far."""
        self._latest = history
        self._run.put(job_of(history))
        self._folder.save()

    def _failed(self, reason: Reason) -> None:
        """Record why the current job failed; figures that the record cannot hold are dropped."""
        assert self._latest is not None
        history = replace(self._latest, finished=now(), reason=reason)
        try:
            self._record(history)
        except InvalidRecord:
            self._record(without_figures(history))

    def _kept(self, job: Job, plan: Planned) -> tuple[tuple[Repetition, ...], Video | None]:
        """Return what an earlier faceorch has finished of a job: its repetitions count when all is as it was."""
        before, video = job.environment, job.video
        same = before is not None and (not plan.ready.prepared or before.identity == plan.ready.identity)
        if not job.repetitions or video is None or not same or not self._folder.holds(video):
            return (), None
        return tuple(repetition for repetition in job.repetitions if not repetition.warmup), video


def _is_full(cause: BaseException | None) -> bool:
    return isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT)
