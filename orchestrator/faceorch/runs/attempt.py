"""One start of a runner, from the request to its end, as a value: the same for jobs, stand-in weights and repacking."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import queue
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from msgspec import Struct, field
from msgspec.structs import replace

from faceorch import interrupts
from faceorch.errors import InputError, OutputError, UserError
from faceorch.files import excess
from faceorch.media.video import BrokenVideo
from faceorch.record.folder import now
from faceorch.record.kinds import OutcomeKind
from faceorch.record.reason import Reason
from faceorch.record.run import Gpu, Video
from faceorch.runs.events import Listener, Progressed, StageStarted
from faceorch.runs.joblog import JobLog
from faceorch.runs.outcome import explain_error, explain_exit, explain_timeout
from faceorch.runs.transcript import Transcript
from faceorch.runtimes import Exit, Launch, Process, Runtime
from faceorch.runtimes.output import Piece
from faceorch.telemetry.attribution import Attribution
from faceorch.telemetry.samples import Watched
from faceorch.telemetry.summary import Figures, attributions, summarise
from faceorch.telemetry.watch import Watch
from faceorch.untrusted import number
from faceorch_runner import Event, EventKind

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

_DRAIN = b'{"op":"drain"}\n'
_TURN_S = 0.5  # no wait is longer: the clock decides at every turn
# A network that keeps every frame of ten minutes as a file takes less of both.
OUT_BYTES, OUT_ENTRIES = 64 * 2**30, 100_000
LOOK_S = 5.0  # how often what a runner has written is looked at
LEAVING_S = 10.0  # what a runner gets to leave by itself once it has said how its work ended

Clock = Callable[[], float]


class Collected(Struct, frozen=True):
    """What a runner made, copied out of its folder and checked; `notes` are remarks about it.

    `made_sha256` is that of the video before it was signed: equal for equal jobs.
    """

    video: Video
    made_sha256: str
    notes: tuple[str, ...] = ()


class Attempt(Struct, frozen=True, kw_only=True):
    """How one start of a runner went.

    `ended_s` is the `time.monotonic()` at which its output had ended, None when it was left before; `total_s` the
    seconds from the request to start it until it was gone. `figures` are what `seen` comes to. `failure` is None when
    it has done what it was asked for; `interrupted`: the user ended it.
    """

    started: datetime
    transcript: Transcript
    ended_s: float | None = None
    total_s: float | None = None
    exit: Exit | None = None
    seen: Watched | None = None
    shares: Mapping[str, Attribution] = field(default_factory=dict)
    figures: Figures | None = None
    video: Video | None = None
    made_sha256: str = ""
    notes: tuple[str, ...] = ()
    failure: Reason | None = None
    interrupted: bool = False

    @property
    def exit_code(self) -> int | None:
        """The runner's exit code; None when nobody knows."""
        return None if self.exit is None else self.exit.code


def attempt(
    runtime: Runtime,
    launch: Launch,
    *,
    log: JobLog,
    tell: Listener,
    timeout_s: float | None = None,
    watch: Watch | None = None,
    gpus: Sequence[Gpu] = (),
    collect: Callable[[], Collected] | None = None,
    clock: Clock | None = None,
    names: Mapping[str, str] | None = None,
) -> Attempt:
    """Start a runner, follow it to its end, and return how it went; nothing of it is left running on any path.

    `watch` looks at it meanwhile; `gpus` are the host's, for its figures. `collect` takes what it made once it has said
    that it is done, in another thread while it leaves: what came of that counts when the runner's end is none that
    makes a failure of it. `clock` decides when its time is over; by default it is the system's. `names`: what the
    runner calls its inputs, and the user calls them.
    """
    started = now()
    following = _Following(launch, log, tell, watch, timeout_s, clock or time.monotonic, names or {}, collect)
    failure: Reason | None = None
    interrupted = False
    made: Collected | None = None
    try:
        following.run(runtime)
        log.flush()
        failure = following.failure(in_container=runtime.name == "docker")
        if failure is None:
            made = following.collected()
    except KeyboardInterrupt as error:
        interrupts.take(error)
        interrupted = True
    except BrokenVideo as error:
        found = f"its video cannot be used: {error}"
        failure = Reason(kind=OutcomeKind.BROKEN_VIDEO, found=found, remedy="see its log")
    except (InputError, OutputError):
        raise
    except UserError as error:
        log.write_line(f"faceorch: {error.message}")
        failure = Reason(kind=OutcomeKind.START_FAILED, found=error.message, remedy=error.remedy)
    finally:
        following.close()
    seen = None if watch is None else watch.seen
    shares = {} if seen is None else attributions(seen)
    video = None if made is None else _with_boxes(made.video, following.transcript)
    figures = None
    if seen is not None:
        reported, video_s = following.transcript.metrics, None if video is None else video.duration_s
        figures = summarise(seen, shares, gpus, reported=reported, video_s=video_s)
    return Attempt(
        started=started,
        transcript=following.transcript,
        ended_s=following.ended_s,
        total_s=following.total_s,
        exit=following.exit,
        seen=seen,
        shares=shares,
        figures=figures,
        video=video,
        made_sha256="" if made is None else made.made_sha256,
        notes=(*following.notes(failure), *(made.notes if made is not None else ())),
        failure=failure,
        interrupted=interrupted,
    )


def _with_boxes(video: Video, said: Transcript) -> Video:
    return replace(video, boxes=said.boxes("video"), portrait_boxes=said.boxes("portrait"))


class _Following:
    """Follows one runner."""

    def __init__(
        self,
        launch: Launch,
        log: JobLog,
        tell: Listener,
        watch: Watch | None,
        timeout_s: float | None,
        clock: Clock,
        names: Mapping[str, str],
        collect: Callable[[], Collected] | None,
    ) -> None:
        self._launch, self._log, self._tell, self._watch = launch, log, tell, watch
        self._timeout_s, self._clock, self._names, self._collect = timeout_s, clock, names, collect
        self._collecting: tuple[ThreadPoolExecutor, Future[Collected]] | None = None
        self._timed_out = self._stayed = False
        self._excess = ""
        self.transcript = Transcript(time.monotonic())
        self.ended_s: float | None = None
        self.total_s: float | None = None
        self.exit: Exit | None = None

    def run(self, runtime: Runtime) -> None:
        """Start it and take in what it says, until it is gone."""
        watch = self._watch
        with watch if watch is not None else contextlib.nullcontext():
            self.transcript = Transcript(time.monotonic())
            with (
                runtime.start(self._launch) as process,
                watch.following(process) if watch is not None else contextlib.nullcontext(),
            ):
                process.send(_DRAIN)
                self._listen(process)
            self.total_s = time.monotonic() - self.transcript.begun_s

    def _listen(self, process: Process) -> None:
        """Follow its output and then itself to the end, or end it when its time is over, whatever it does meanwhile."""
        until_s = math.inf if self._timeout_s is None else self._clock() + self._timeout_s
        look_s = self._clock() + LOOK_S
        printing = True
        while self.exit is None:
            left_s = until_s - self._clock()
            if left_s <= 0:
                self._end(process)
                break
            if self._clock() >= look_s:
                self._excess = excess(self._launch.out, most_bytes=OUT_BYTES, most_entries=OUT_ENTRIES)
                look_s = self._clock() + LOOK_S
                if self._excess:
                    self._end(process)
                    break
            if not printing:
                self.exit = process.wait(min(left_s, _TURN_S))
                continue
            with contextlib.suppress(queue.Empty):
                piece = process.output.get(timeout=min(left_s, _TURN_S))
                printing = piece is not None
                said_before = self._said_its_end
                if piece is not None:
                    self._take(piece)
                if self._said_its_end and not said_before:
                    until_s = min(until_s, self._clock() + LEAVING_S)
                    self._begin_to_collect()
        self.ended_s = time.monotonic()

    def _end(self, process: Process) -> None:
        """End a runner whose time is over; what it has printed until now counts."""
        self._stayed = self._said_its_end
        self._timed_out = not self._stayed and not self._excess
        process.stop()
        for piece in process.output.rest():
            self._take(piece)
        self.exit = process.wait(0)

    def _begin_to_collect(self) -> None:
        """Collect while the runner leaves, which takes as long."""
        if self._collect is not None and self.transcript.done and self.transcript.error is None:
            from concurrent.futures import ThreadPoolExecutor

            pool = ThreadPoolExecutor(1, "collect")
            self._collecting = pool, pool.submit(self._collect)

    def collected(self) -> Collected | None:
        """Return what it made, or raise what is wrong with it; None when nothing is to be collected."""
        if self._collecting is not None:
            with contextlib.suppress(BrokenVideo):  # it may have been at it still: what it has left counts
                return self._collecting[1].result()
        return None if self._collect is None else self._collect()

    def close(self) -> None:
        """Wait until nothing is being collected."""
        if self._collecting is not None:
            self._collecting[0].shutdown()

    @property
    def _said_its_end(self) -> bool:
        return self.transcript.done or self.transcript.error is not None

    def _take(self, piece: Piece) -> None:
        for event in self._log.feed(*piece):
            self._hear(event)

    def _hear(self, event: Event) -> None:
        heard_s = time.monotonic()
        event = _renamed(event, self._names)
        self.transcript.add(event, heard_s)
        network, data = self._launch.network.name, event.data
        if self._watch is not None and event.kind in (EventKind.STAGE, EventKind.DONE, EventKind.ERROR):
            self._watch.mark(str(data.get("name", "")) if event.kind is EventKind.STAGE else "", heard_s)
        if event.kind is EventKind.STAGE:
            self._tell(StageStarted(network=network, name=str(data.get("name", "?"))))
        elif event.kind is EventKind.PROGRESS:
            done, total = number(data.get("done")), number(data.get("total"))
            if done is not None and total is not None:
                unit = str(data.get("unit", ""))
                self._tell(Progressed(network=network, done=int(done), total=int(total), unit=unit))

    def failure(self, *, in_container: bool) -> Reason | None:
        """Return why it has not done what it was asked for, None when it has."""
        network, said = self._launch.network, self.transcript
        if self._excess:
            found = f"it was ended: it has left {self._excess} in its folder"
            return Reason(kind=OutcomeKind.KILLED, found=found, remedy="use a shorter clip, or see its log")
        if said.error is not None and not self._timed_out:
            return explain_error(said.error, network)
        if said.done:
            return None
        if self._timed_out:
            return explain_timeout(self._timeout_s or 0, said.stage)
        return None if self.exit is None else explain_exit(self.exit, network, in_container=in_container)

    def notes(self, failure: Reason | None) -> tuple[str, ...]:
        """Return what is remarkable about an end that is not a failure."""
        if failure is not None or self._timed_out or self.exit is None:
            return ()
        if self._stayed:
            return (f"the runner had not left {LEAVING_S:g} s after its work was done, and was ended",)
        if self.exit.code:
            return (f"the runner ended with exit code {self.exit.code} after its work was done",)
        return ()


def _renamed(event: Event, names: Mapping[str, str]) -> Event:
    """Return the event with the user's names in its message."""
    message = event.data.get("message")
    if not isinstance(message, str):
        return event
    for name, users in names.items():
        message = message.replace(name, users)
    return dataclasses.replace(event, data={**event.data, "message": message})


def named(made: Attempt, name: str) -> Attempt:
    """Return the attempt with its failure told as that of the repetition `name`."""
    if made.failure is None:
        return made
    reason = Reason(
        kind=made.failure.kind,
        found=f"{made.failure.text} ({name})",
        remedy=made.failure.remedy,
    )
    return replace(made, failure=reason)
