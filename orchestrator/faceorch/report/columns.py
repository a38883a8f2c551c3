"""The columns of the tables: which figure of a job each shows, in which unit, and which of two values is better."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from msgspec import Struct

from faceorch.record.judgement import Finding, Verdict
from faceorch.record.kinds import JobStatus
from faceorch.record.run import About, Job, Measured, Run, Spread
from faceorch.report import costs
from faceorch.words import NOT_AVAILABLE, duration, number, size

Table = Literal["times", "videos", "costs"]

# Measuring methods in the reader's words (docs/reference/measurements.md describes them in full).
METHODS = {
    "per_process": "memory of the network's own processes, as the driver lists it",
    "device_delta": "memory of the whole GPU, minus what was used before",
    "allocator": "as torch's own allocator counts it",
    "device": "of the whole GPU",
    "energy_counter": "the GPU's energy counter",
    "power_integral": "the GPU's power, summed over time",
    "cgroup": "the container's control group",
    "docker_stats": "the engine's statistics of the container",
    "process_tree": "the runner's process and all its children",
    "getrusage": "the runner's process (getrusage)",
    "wall_clock": "the clock",
    "judge": "measured in the video by the judge",
    "declared": "declared by the network's folder, not measured",
}


class Value(Struct, frozen=True):
    """One figure: `raw` for machines (null when it is not known), `text` for people; `method` and `note` on both."""

    raw: float | str | None
    text: str
    method: str = ""
    note: str = ""
    spread: Spread | None = None

    @property
    def footnote(self) -> str:
        """How it was measured, or why it was not; empty when there is nothing to say."""
        if self.raw is None:
            return (
                f"{NOT_AVAILABLE}: {self.note}"
                if self.note
                else f"{NOT_AVAILABLE}: not measured"
                if self.method
                else ""
            )
        how = METHODS.get(self.method, self.method)
        return "; ".join(part for part in (how, self.note) if part)


class Column(Struct, frozen=True):
    """One column: `unit` is that of the raw values, `better` says which of two is better (None: neither)."""

    key: str
    table: Table
    heading: str
    of: Callable[[Job, Run], Value]
    unit: str = ""
    better: Literal["lower", "higher"] | None = None
    says: str = ""
    text: bool = False  # words, not numbers

    def __call__(self, job: Job, run: Run) -> Value:
        """Return the figure of a job."""
        return self.of(job, run)


def columns() -> list[Column]:
    """Return every column, table by table."""
    return [*_TIMES, *_VIDEOS, *_COSTS]


def outcome(job: Job) -> str:
    """Return what became of a job in one word or two."""
    words = {JobStatus.DONE: "done", JobStatus.FAILED: "failed", JobStatus.SKIPPED: "not run"}
    return words.get(job.status, "not finished")


def _time(key: str, get: Callable[[Job, Run], float | None]) -> Callable[[Job, Run], Value]:
    def of(job: Job, run: Run) -> Value:
        seconds = get(job, run)
        return Value(seconds, duration(seconds), spread=job.spreads.get(key))

    return of


def _rate(job: Job, run: Run) -> Value:
    value = job.compute_s_per_video_s
    return Value(value, number(value), spread=job.spreads.get("compute_s_per_video_s"))


def _words(get: Callable[[Job], object]) -> Callable[[Job, Run], Value]:
    def of(job: Job, run: Run) -> Value:
        found = get(job)
        return Value(None, NOT_AVAILABLE) if found in (None, "") else Value(str(found), str(found))

    return of


def _runtime(job: Job) -> str | None:
    if job.environment is None:
        return None
    return f"{job.environment.runtime} (given)" if job.environment.given else job.environment.runtime


def _of_video(get: Callable[[Job], float], show: Callable[[float | None], str]) -> Callable[[Job, Run], Value]:
    def of(job: Job, run: Run) -> Value:
        value = None if job.video is None else get(job)
        return Value(value, show(value))

    return of


def _resolution(job: Job) -> str | None:
    return None if job.video is None else f"{job.video.width}x{job.video.height}"


def _about(get: Callable[[About], str | None]) -> Callable[[Job], str | None]:
    return lambda job: None if job.about is None else get(job.about)


def _motion(finding: str, declared: Callable[[Job], str | None]) -> Callable[[Job, Run], Value]:
    """Return what the judge found; where it did not look, what the network's folder declares."""

    def of(job: Job, run: Run) -> Value:
        found: Finding | None = job.judgement.findings.get(finding) if job.judgement is not None else None
        if found is not None and found.verdict is not Verdict.NOT_MEASURABLE:
            figure = "" if found.value is None else f" ({number(found.value)} {found.unit})".replace(" )", ")")
            return Value(f"{found.says}{figure}", f"{found.says}{figure}", method="judge")
        said = declared(job)
        note = "" if found is None else f"the judge could not measure it: {found.reason}"
        return Value(None, NOT_AVAILABLE, note=note) if not said else Value(said, said, method="declared", note=note)

    return of


def _metric(
    key: str, show: Callable[[float | None], str], get: Callable[[Job, Run], Measured | None] | None = None
) -> Callable[[Job, Run], Value]:
    def of(job: Job, run: Run) -> Value:
        found = job.metrics.get(key) if get is None else get(job, run)
        if found is None:
            return Value(None, NOT_AVAILABLE, method="unavailable")
        return Value(found.value, show(found.value), found.method, found.note, job.spreads.get(key))

    return of


def _with(unit: str) -> Callable[[float | None], str]:
    return lambda value: NOT_AVAILABLE if value is None else f"{number(value)} {unit}"


def _money(get: Callable[[Job, Run], Measured | None]) -> Callable[[Job, Run], Value]:
    def of(job: Job, run: Run) -> Value:
        return _metric("", _with(run.request.currency) if run.request.currency else number, get)(job, run)

    return of


_TIMES = (
    Column("runtime", "times", "runtime", _words(_runtime), text=True),
    Column(
        "first_use_s",
        "times",
        "first use",
        _time("", lambda job, run: costs.once_s(job)),
        unit="s",
        says="what is done once, before the first job: building the environment, making stand-in weights",
    ),
    Column(
        "total_s",
        "times",
        "end to end",
        _time("total_s", lambda job, run: costs.running_s(job, run.request)),
        unit="s",
        better="lower",
        says="from the request to the runner's end: starting, loading models, animating, stopping; without first use",
    ),
    Column(
        "setup_s",
        "times",
        "load models",
        _time("setup_s", lambda job, run: job.times.setup_s),
        unit="s",
        better="lower",
        says="what a job would save if the models stayed loaded",
    ),
    Column(
        "animate_s",
        "times",
        "animate (warm)",
        _time("animate_s", lambda job, run: job.times.animate_s),
        unit="s",
        better="lower",
        says="from the job's begin to its finished file, with the models loaded",
    ),
    Column(
        "compute_s_per_video_s",
        "times",
        "s per s of video",
        _rate,
        unit="s/s",
        better="lower",
        says="seconds of animating for each second of video; below 1 is faster than real time",
    ),
    Column(
        "first_frame_s",
        "times",
        "first frame",
        _time("first_frame_s", lambda job, run: job.times.first_frame_s),
        unit="s",
        better="lower",
        says="from the job's begin to its first frame",
    ),
)
_VIDEOS = (
    Column("approach", "videos", "approach", _words(_about(lambda about: about.approach)), text=True),
    Column(
        "head_motion",
        "videos",
        "head",
        _motion("head_motion", _about(lambda about: about.head_motion)),
        text=True,
    ),
    Column("hair_motion", "videos", "hair", _motion("hair_motion", lambda job: None), text=True),
    Column("blinks", "videos", "blinks", _motion("blinks", _about(lambda about: about.eye_blinks)), text=True),
    Column("lip_sync", "videos", "lips", _motion("lip_sync", lambda job: None), text=True),
    Column("resolution", "videos", "pixels", _words(_resolution)),
    Column("fps", "videos", "frames per s", _of_video(lambda job: job.video.fps if job.video else 0, number)),
    Column("frames", "videos", "frames", _of_video(lambda job: job.video.frames if job.video else 0, number)),
    Column(
        "duration_s",
        "videos",
        "duration",
        _of_video(lambda job: job.video.duration_s if job.video else 0, duration),
        unit="s",
    ),
    Column("file_bytes", "videos", "file", _of_video(lambda job: job.video.bytes if job.video else 0, size), unit="B"),
    Column("seed", "videos", "seed", lambda job, run: Value(job.seed, str(job.seed))),
)
_COSTS = (
    Column("vram_peak_bytes", "costs", "peak VRAM", _metric("vram_peak_bytes", size), unit="B", better="lower"),
    Column(
        "gpu_busy_percent", "costs", "GPU busy", _metric("", _with("%"), lambda job, run: costs.gpu_busy(job)), unit="%"
    ),
    Column("energy_wh", "costs", "energy", _metric("energy_wh", _with("Wh")), unit="Wh", better="lower"),
    Column(
        "energy_wh_per_video_s",
        "costs",
        "Wh per s of video",
        _metric("energy_wh_per_video_s", number),
        unit="Wh/s",
        better="lower",
    ),
    Column("energy_cost", "costs", "cost of energy", _money(lambda job, run: costs.energy_cost(job, run.request))),
    Column(
        "gpu_time_cost", "costs", "cost of GPU time", _money(lambda job, run: costs.gpu_time_cost(job, run.request))
    ),
    Column("cpu_s", "costs", "CPU time", _metric("cpu_s", duration), unit="s", better="lower"),
    Column("memory_peak_bytes", "costs", "peak memory", _metric("memory_peak_bytes", size), unit="B", better="lower"),
)
