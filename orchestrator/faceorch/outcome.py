"""What a runner's events and its end mean: times, numbers, and failures with a remedy. Pure."""

from __future__ import annotations

import signal
from dataclasses import dataclass, field

from faceorch.networks import Network
from faceorch.record import Job, Measured, OutcomeKind
from faceorch.runtimes import Exit
from faceorch.untrusted import LARGEST, number
from faceorch_runner import ErrorKind, Event, EventKind

# Numbers that a runner reports and that the record keeps among the times.
_TIME_METRICS = ("first_frame_s", "encode_s")
_OWN_STAGES = frozenset({"import", "check", "setup", "animate"})


@dataclass(frozen=True, slots=True)
class RunnerFailure:
    """An `error` event."""

    kind: ErrorKind
    message: str


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a job failed: one line, and one line on what to do."""

    kind: OutcomeKind
    reason: str
    remedy: str

    @classmethod
    def from_runner(cls, error: RunnerFailure, network: Network) -> Failure:
        """Return the failure that a runner's error event means."""
        if "No space left on device" in error.message:
            return cls(OutcomeKind.DISK_FULL, error.message, "free some space, or choose another --out")
        return cls(OutcomeKind(error.kind.value), error.message, _remedy(error.kind, network))


def _remedy(kind: ErrorKind, network: Network) -> str:
    name = network.name
    match kind:
        case ErrorKind.BAD_INPUT:
            return f"see what it takes: faceorch networks {name}"
        case ErrorKind.NO_FACE:
            return "use a portrait with one clear face that looks at the camera"
        case ErrorKind.MISSING_WEIGHT:
            return f"get its weights: faceorch weights pull {name}"
        case ErrorKind.GPU_OUT_OF_MEMORY:
            return "end other programs on the GPU, or choose a smaller size"
        case ErrorKind.OUT_OF_MEMORY:
            return "end other programs, or use a shorter clip or a smaller portrait"
        case ErrorKind.UNSUPPORTED_GPU:
            return f"build it for this GPU: faceorch build {name}"
        case ErrorKind.TIMEOUT:
            return "give it longer with --timeout, or choose cheaper settings"
        case ErrorKind.CRASH:
            return "see its log"


def explain_exit(exit_: Exit, network: Network, *, in_container: bool) -> Failure:
    """Return the failure of a runner that ended without a word."""
    if exit_.oom_killed:
        limit = f"{network.manifest.needs.ram_gb:g} GB"
        return Failure(
            OutcomeKind.OUT_OF_MEMORY,
            f"it used more memory than its limit of {limit} and was killed",
            "use a shorter clip or a smaller portrait",
        )
    if exit_.signal == signal.SIGKILL:
        return Failure(
            OutcomeKind.KILLED,
            "it was killed (signal 9), by someone or by the system for want of memory",
            "see the system's log (dmesg); end other programs",
        )
    if exit_.signal is not None:
        return Failure(OutcomeKind.CRASH, f"it crashed in native code ({_signal_name(exit_.signal)})", "see its log")
    if exit_.code == 0:
        return Failure(OutcomeKind.CRASH, "it ended without making a video and without saying why", "see its log")
    if in_container and exit_.code in (126, 127):
        return Failure(
            OutcomeKind.START_FAILED,
            f"its image cannot be started (exit code {exit_.code})",
            f"faceorch build {network.name}",
        )
    return Failure(OutcomeKind.CRASH, f"it ended with exit code {exit_.code} and without saying why", "see its log")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


@dataclass(slots=True)
class Transcript:
    """The events of one runner; `begun_s` is the `time.monotonic()` of the request to start it."""

    begun_s: float
    stage: str = ""
    error: RunnerFailure | None = None
    done: bool = False
    _first_s: float | None = None
    _last_s: float | None = None
    _setup_s: float | None = None
    _animate_s: float | None = None
    _stages: list[tuple[str, float]] = field(default_factory=list)
    _metrics: dict[str, Measured] = field(default_factory=dict)

    def add(self, event: Event, heard_s: float) -> None:
        """Take one event, heard at `heard_s` (`time.monotonic()`)."""
        if self._first_s is None:
            self._first_s = heard_s
        self._last_s = heard_s
        match event.kind:
            case EventKind.STAGE:
                self.stage = str(event.data.get("name", ""))
                self._stages.append((self.stage, event.t_s))
            case EventKind.SETUP:
                self._setup_s = number(event.data.get("elapsed_s"))
            case EventKind.METRIC:
                self._metric(event)
            case EventKind.DONE:
                self.done = True
                self._animate_s = number(event.data.get("elapsed_s"))
                self._stages.append(("", event.t_s))
            case EventKind.ERROR:
                kind = str(event.data.get("kind"))
                known = ErrorKind(kind) if kind in {k.value for k in ErrorKind} else ErrorKind.CRASH
                self.error = RunnerFailure(known, str(event.data.get("message", "")) or "no message")
                self._stages.append(("", event.t_s))
            case EventKind.PROGRESS:
                pass

    def _metric(self, event: Event) -> None:
        name, value = str(event.data.get("name", "")), number(event.data.get("value"), least=-LARGEST)
        if not name or value is None:
            return
        method = "allocator" if name.startswith("torch_") else "getrusage" if name == "peak_rss_bytes" else "runner"
        self._metrics[name] = Measured(value=value, unit=str(event.data.get("unit", "")), method=method)

    def fill(self, job: Job, ended_s: float) -> None:
        """Write times and numbers into `job`; `ended_s` is when the runner was gone."""
        times = job.times
        durations: dict[str, float] = {}
        for (name, from_s), (_, to_s) in zip(self._stages, self._stages[1:], strict=False):
            durations[name] = durations.get(name, 0.0) + max(0.0, to_s - from_s)
        if self._first_s is not None and self._last_s is not None:
            times.start_s = self._first_s - self.begun_s
            times.stop_s = ended_s - self._last_s
        times.import_s, times.check_s = durations.get("import"), durations.get("check")
        times.setup_s, times.animate_s = self._setup_s, self._animate_s
        times.stages = {name: s for name, s in durations.items() if name and name not in _OWN_STAGES}
        for name in _TIME_METRICS:
            if (metric := self._metrics.pop(name, None)) is not None:
                setattr(times, name, number(metric.value))
        job.metrics = self._metrics
