"""The events of one runner: what it said, and where its time went. Pure."""

from __future__ import annotations

from msgspec import Struct, field

from faceorch.record.judgement import Box
from faceorch.record.run import Measured, Times
from faceorch.untrusted import LARGEST, number
from faceorch_runner import ErrorKind, Event, EventKind

# Numbers that a runner reports and that the record keeps among the times.
_TIME_METRICS = ("first_frame_s", "encode_s")
_OWN_STAGES = frozenset({"import", "check", "setup", "animate"})


class RunnerError(Struct, frozen=True):
    """An `error` event."""

    kind: ErrorKind
    message: str


class Transcript(Struct):
    """The events of one runner; `begun_s` is the `time.monotonic()` of the request to start it."""

    begun_s: float
    stage: str = ""
    error: RunnerError | None = None
    done: bool = False
    _first_s: float | None = None
    _last_s: float | None = None
    _setup_s: float | None = None
    _animate_s: float | None = None
    _stages: list[tuple[str, float]] = field(default_factory=list)
    _metrics: dict[str, Measured] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    _boxes: dict[str, dict[str, Box]] = field(default_factory=dict)

    def add(self, event: Event, heard_s: float) -> None:
        """Add one event, heard at `heard_s` (`time.monotonic()`)."""
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
            case EventKind.BOX:
                sides = {side: float(event.data[side]) for side in ("left", "top", "width", "height")}
                self._boxes.setdefault(event.data["picture"], {})[event.data["name"]] = Box(**sides)
            case EventKind.NOTE:
                if (said := str(event.data.get("message", ""))) and said not in self.notes:
                    self.notes.append(said)
            case EventKind.DONE:
                self.done = True
                self._animate_s = number(event.data.get("elapsed_s"))
                self._stages.append(("", event.t_s))
            case EventKind.ERROR:
                kind = str(event.data.get("kind"))
                known = ErrorKind(kind) if kind in {k.value for k in ErrorKind} else ErrorKind.CRASH
                self.error = RunnerError(known, str(event.data.get("message", "")) or "no message")
                self._stages.append(("", event.t_s))
            case EventKind.PROGRESS:
                pass

    def _metric(self, event: Event) -> None:
        name, value = str(event.data.get("name", "")), number(event.data.get("value"), least=-LARGEST)
        if not name or value is None:
            return
        method = "allocator" if name.startswith("torch_") else "getrusage" if name == "peak_rss_bytes" else "runner"
        self._metrics[name] = Measured(value=value, unit=str(event.data.get("unit", "")), method=method)

    def boxes(self, picture: str) -> dict[str, Box]:
        """Return where the runner says that parts of the face are in the `portrait` or the `video`."""
        return self._boxes.get(picture, {})

    @property
    def metrics(self) -> dict[str, Measured]:
        """The numbers that the runner reported, without those that belong to its times."""
        return {name: metric for name, metric in self._metrics.items() if name not in _TIME_METRICS}

    def times(self, ended_s: float | None, total_s: float | None) -> Times:
        """Return where the time went; `ended_s` is when the runner was gone, `total_s` what all took."""
        durations: dict[str, float] = {}
        for (name, from_s), (_, to_s) in zip(self._stages, self._stages[1:], strict=False):
            durations[name] = durations.get(name, 0.0) + max(0.0, to_s - from_s)
        heard = self._first_s is not None and self._last_s is not None
        first_frame, encode = (self._metrics.get(name) for name in _TIME_METRICS)
        return Times(
            start_s=(self._first_s or 0.0) - self.begun_s if heard else None,
            import_s=durations.get("import"),
            check_s=durations.get("check"),
            setup_s=self._setup_s,
            animate_s=self._animate_s,
            first_frame_s=None if first_frame is None else number(first_frame.value),
            encode_s=None if encode is None else number(encode.value),
            stop_s=ended_s - (self._last_s or 0.0) if heard and ended_s is not None else None,
            total_s=total_s,
            stages={name: s for name, s in durations.items() if name and name not in _OWN_STAGES},
        )
