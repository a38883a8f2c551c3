"""One job: its environment, its weights, and its video as often as it was asked for."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

import faceorch_runner as contract
from faceorch import untrusted
from faceorch.errors import InputError, OutputError, UserError
from faceorch.files import Refused, empty_folder, remove, take
from faceorch.media import claim
from faceorch.media.marks import mark
from faceorch.media.video import VIDEO_BYTES, BrokenVideo, VideoInfo, marked, probe_video
from faceorch.owner import Owner
from faceorch.record.folder import RunFolder
from faceorch.record.kinds import OutcomeKind
from faceorch.record.reason import Reason
from faceorch.record.run import Environment, Job, Repetition, Run, Video
from faceorch.runs.attempt import Attempt, Collected, attempt, named
from faceorch.runs.events import Listener, Noted, RepetitionStarted, StageStarted
from faceorch.runs.history import History, job_of, repetition_of
from faceorch.runs.joblog import JobLog
from faceorch.runs.neighbours import Neighbours
from faceorch.runs.plan import Planned
from faceorch.runs.repeats import Turn, turns
from faceorch.runtimes import Launch, Preparing, Ready
from faceorch.runtimes.venv import VenvRuntime
from faceorch.telemetry import thinned, timeline
from faceorch.telemetry.watch import Watch
from faceorch.weights.source import StandIn, Stored
from faceorch_runner import ErrorKind, Synthetic

# The runner's own deadline is a second line of defence (a frozen host): it must never fire before the host's.
_RUNNER_GRACE_S = 30.0
DURATION_TOLERANCE_S = 0.5
_XMP = "XMP metadata (digital source type trainedAlgorithmicMedia; network, commits, weights, faceorch)"


# Looks at a finished video more closely: returns what it found in one line, or raises `BrokenVideo`.
Check = Callable[[Path, VideoInfo, Run, Job], str]


class JobRun(Struct, frozen=True, kw_only=True):
    """Does one planned job of the run in `folder`.

    `record` writes down what has happened so far; `watch` is what looks at the runner. With `gate`, inputs that the
    runner refuses before it starts are the user's error and not a result.
    """

    folder: RunFolder
    plan: Planned
    tell: Listener
    log: JobLog
    owner: Owner
    record: Callable[[History], object]
    watch: type[Watch]
    check: Check | None
    gate: bool

    @property
    def name(self) -> str:
        """The network's name."""
        return self.plan.network.name

    @property
    def work(self) -> Path:
        """The job's folder."""
        return self.folder.job_folder(self.name)

    def run(self, history: History) -> History:
        """Return the history of the whole job; what is finished in between is recorded at once."""
        rows = self._kept_rows(history.repetitions)
        weights_made = self.work / "weights"
        try:
            history, ready = self._prepare(history)
            history, weights = self._weights(history, ready, weights_made)
            if history.reason is None:
                history = self._repeat(history, ready, weights, rows)
            return history
        except (InputError, OutputError):
            raise
        except UserError as error:
            self.log.write_line(f"faceorch: {error.message}")
            reason = Reason(kind=OutcomeKind.START_FAILED, found=error.message, remedy=error.remedy)
            return replace(history, reason=reason)
        finally:
            if isinstance(self.plan.weights, StandIn):
                with contextlib.suppress(OSError):
                    remove(weights_made)

    def _kept_rows(self, repetitions: tuple[Repetition, ...]) -> list[timeline.Row]:
        """Return the samples of the repetitions that an earlier faceorch has done."""
        numbers = {repetition.number for repetition in repetitions}
        path = self.work / timeline.file_name(self.folder.run.request.timeline)
        if not numbers:
            return []
        try:
            return [row for row in timeline.read(path) if row["repetition"] in numbers and not row["warmup"]]
        except timeline.Damaged as error:
            self.log.write_line(
                f"faceorch: {error}; the samples of the repetitions before are lost, their figures are kept"
            )
            return []

    def _prepare(self, history: History) -> tuple[History, Ready]:
        plan = self.plan
        if plan.ready.prepared:
            return history, plan.ready
        self.tell(StageStarted(network=self.name, name="prepare"))
        begun_s = time.monotonic()

        def line(text: str) -> None:
            self.tell(Noted(network=self.name, text=untrusted.text(text, untrusted.SENTENCE)))

        ready = plan.runtime.prepare(plan.network, plan.ready, Preparing(self.work / "prepare.log", line))
        took_s = time.monotonic() - begun_s
        return replace(history, prepare_s=took_s, environment=environment_of(plan, ready)), ready

    def _weights(self, history: History, ready: Ready, folder: Path) -> tuple[History, Path | None]:
        """Return the folder of the network's weights, after making stand-ins where those are wanted."""
        source = self.plan.weights
        if isinstance(source, Stored):
            return history, source.folder
        remove(folder)
        folder.mkdir()
        with empty_folder(self.work / "out") as out:
            launch = Launch(
                network=self.plan.network,
                environment=ready,
                owner=self.owner,
                run=self.folder.run.id,
                out=out,
                job_file=self.work / "synthetic.json",
                weights=folder,
                weights_writable=True,
                order=Synthetic(full=source.full),
            )
            made = attempt(
                self.plan.runtime, launch, log=self.log, tell=self.tell, timeout_s=self.folder.run.request.timeout_s
            )
        history = replace(history, synthetic_s=made.total_s, exit_code=made.exit_code)
        self._stop_if_interrupted(made, history)
        return replace(history, reason=made.failure), folder

    def _repeat(self, history: History, ready: Ready, weights: Path | None, rows: list[timeline.Row]) -> History:
        request = self.folder.run.request
        for turn in turns(request, history.repetitions):
            if request.several:
                self.log.write_line(f"--- {turn} ---")
                self.tell(RepetitionStarted(network=self.name, name=str(turn)))
            first = not turn.warmup and not any(not done.warmup for done in history.repetitions)
            made = self._once(ready, weights, keep=first)
            if request.several:
                made = named(made, str(turn))
            history = replace(
                history,
                last=made,
                turn=turn,
                exit_code=made.exit_code,
                timeline=self._write_timeline(made, turn, rows),
                reason=made.failure,
            )
            self._stop_if_interrupted(made, history)
            if made.failure is not None:
                self._refuse_inputs(made, history)
                self._thin(rows, history)
                return history
            done = repetition_of(made, turn, several=request.several)
            history = replace(history, repetitions=(*history.repetitions, done))
            history = replace(history, video=made.video if first else history.video)
            self._thin(rows, history)
            if request.several:
                self.record(history)
        return history

    def _once(self, ready: Ready, weights: Path | None, *, keep: bool) -> Attempt:
        """Do the job once; its video gets its final name when it is the one to `keep`."""
        plan, run = self.plan, self.folder.run
        job = run.job(self.name)
        inputs, timeout_s = run.inputs, run.request.timeout_s
        self.tell(StageStarted(network=self.name, name="start"))
        no_gpu = plan.runtime.elsewhere if plan.gpus else f"{self.name} uses no GPU"
        with empty_folder(self.work / "out") as out, _gone_at_the_end(self.work / f"{self.name}.mp4") as copy:
            launch = Launch(
                network=plan.network,
                environment=ready,
                owner=self.owner,
                run=run.id,
                order=contract.Job(
                    id=self.name,
                    portrait=self.folder.path / inputs.portrait.file,
                    audio=self.folder.path / inputs.clip.file,
                    seed=job.seed,
                    settings=job.settings,
                    work=out,
                    timeout_s=None if timeout_s is None else timeout_s + _RUNNER_GRACE_S,
                    synthetic=run.synthetic,
                    label=run.request.label,
                ),
                out=out,
                job_file=self.work / "job.json",
                weights=weights,
                gpus=plan.gpus,
            )
            beside = Neighbours((plan.runtime, VenvRuntime()), run.id)
            beside.look()
            made = attempt(
                plan.runtime,
                launch,
                log=self.log,
                tell=beside.listening(self.tell),
                timeout_s=timeout_s,
                watch=self.watch(plan.gpus, no_gpu=no_gpu, hz=run.request.sampling_hz),
                gpus=run.host.gpus,
                collect=lambda: self._collect(out, copy, keep=keep),
                names={Path(given.file).name: Path(given.source).name for given in (inputs.portrait, inputs.clip)},
            )
            if keep and made.video is not None:
                self._keep(copy)
            beside.look()
            return replace(made, notes=(*made.notes, *beside.remarks()))

    def _collect(self, out: Path, copy: Path, *, keep: bool) -> Collected:
        """Copy the finished video out of the runner's folder: only the copy is checked, kept and shown."""
        try:
            take(self.work, f"{out.name}/{copy.name}", copy, limit=VIDEO_BYTES)
            info = probe_video(copy)
            mark(copy, _marks(self.folder.run, self.folder.run.job(self.name)))
            return self._check(copy, marked(info), keep=keep)
        except Refused as error:
            raise BrokenVideo(str(error)) from error

    def _check(self, made: Path, info: VideoInfo, *, keep: bool) -> Collected:
        """Check the finished video, and sign the one that is to `keep`."""
        run, notes = self.folder.run, []
        if self.check is not None:
            notes.append(self.check(made, info, run, run.job(self.name)))
        clip_s = run.inputs.clip.duration_s
        if abs(info.duration_s - clip_s) > DURATION_TOLERANCE_S:
            notes.append(f"the video lasts {info.duration_s:.2f} s, the clip {clip_s:.2f} s")
        made_sha256, marks = info.sha256, [_XMP]
        if run.request.label:
            marks.append("a visible label (AI) in its lower right corner")
        if keep and claim.available():
            try:
                who = claim.sign(made, version=run.faceorch, title=f"{run.job(self.name).title}: {run.id}")
                marks.append(f"a C2PA claim {who}")
                info = probe_video(made)
            except claim.Unsigned as error:
                notes.append(f"it has no C2PA claim: {error}")
        video = Video(
            file=self.folder.video(self.name).name,
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
            marks=marks,
        )
        return Collected(video, made_sha256, tuple(notes))

    def _keep(self, copy: Path) -> None:
        """Give the finished video its final name."""
        final = self.folder.video(self.name)
        if final.is_dir() and not final.is_symlink():
            remove(final)  # in the run folder of somebody else, or by somebody's mistake
        os.replace(copy, final)

    def _write_timeline(self, made: Attempt, turn: Turn, rows: list[timeline.Row]) -> str | None:
        """Write down everything that was seen, also of an attempt that failed; return where, below the run folder."""
        if made.seen is not None:
            indices = {gpu.uuid: gpu.index for gpu in self.folder.run.host.gpus}
            rows += timeline.rows(made.seen, made.shares, indices, repetition=turn.number, warmup=turn.warmup)
        if not rows:
            return None
        return f"{self.name}/{timeline.write(self.work, rows, self.folder.run.request.timeline).name}"

    def _thin(self, rows: list[timeline.Row], history: History) -> None:
        """Write down what the page draws of the repetition that the record shows."""
        if rows:
            thinned.write(self.work, rows, job_of(history).repetition or 1)

    def _refuse_inputs(self, made: Attempt, history: History) -> None:
        """Raise when the first network of all finds no usable face before it has started.

        What a network refuses for limits of its own is its outcome, and says nothing about the others.
        """
        said = made.transcript
        refused = said.error is not None and said.error.kind is ErrorKind.NO_FACE
        if self.gate and not history.repetitions and refused and said.stage == "check" and said.error is not None:
            remedy = "use a portrait with one clear face; --no-face-check tries all the same"
            raise InputError(said.error.message, remedy)

    def _stop_if_interrupted(self, made: Attempt, history: History) -> None:
        if made.interrupted:
            self.record(history)
            raise KeyboardInterrupt


@contextlib.contextmanager
def _gone_at_the_end(file: Path) -> Iterator[Path]:
    """Yield the path of a file that does not outlive its use under this name."""
    try:
        yield file
    finally:
        file.unlink(missing_ok=True)


def _marks(run: Run, job: Job) -> dict[str, str | list[str]]:
    """Return what a video says of how it was made; nothing in it differs between two equal jobs."""
    return {
        "version": run.faceorch,
        "network": job.network,
        "weights": "none needed" if not job.weights else f"{len(job.weights)} files, verified",
        **({"stand_in": "made with stand-in weights"} if run.synthetic else {}),
        "upstream": [f"{code.url}@{code.commit}" for code in job.upstream],
        "weight": [f"{file.path} sha256:{file.sha256}" for file in job.weights],
    }


def environment_of(plan: Planned, ready: Ready) -> Environment:
    """Return what the record says of the environment of a planned job."""
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
