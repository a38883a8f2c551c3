"""Several repetitions of a job: which are left to do, what they say together, and what they cannot say. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from faceorch.record import GpuUse, Job, JobStatus, Options, Repetition, Spread, Times, Video
from faceorch.telemetry.summary import THERMAL

# Fewer repetitions than this say nothing about their spread.
FEWEST = 3
# An outlier lies further from the median than five standard deviations (estimated from the median deviation, which
# outliers do not move: 1.4826 is its factor for a normal distribution), and by more than a tenth.
_DEVIATIONS, _SCALE, _SHARE = 5.0, 1.4826, 0.1

_TIMES = ("total_s", "start_s", "setup_s", "animate_s", "first_frame_s", "encode_s", "stop_s")
_METRICS = (
    "vram_peak_bytes",
    "torch_peak_reserved_bytes",
    "torch_peak_allocated_bytes",
    "memory_peak_bytes",
    "cpu_s",
    "energy_wh",
    "energy_wh_per_video_s",
    "energy_cost",
    "gpu_time_cost",
)
# What an outlier is looked for in, and how it is called.
_WATCHED = {"animate_s": "to animate", "total_s": "from start to stop"}


@dataclass(frozen=True, slots=True)
class Turn:
    """One repetition that is to be done: `number` counts from 1 among the warm-ups, or among those that count."""

    number: int
    of: int
    warmup: bool

    def __str__(self) -> str:
        return f"{'warm-up' if self.warmup else 'repetition'} {self.number} of {self.of}"


def turns(options: Options, done: Sequence[Repetition]) -> list[Turn]:
    """Return what is left to do; a run that is taken up again warms up again."""
    have = {repetition.number for repetition in done if not repetition.warmup}
    left = [number for number in range(1, options.repeat + 1) if number not in have]
    if not left:
        return []
    warm = [Turn(number, options.warmup, True) for number in range(1, options.warmup + 1)]
    return warm + [Turn(number, options.repeat, False) for number in left]


def several(options: Options) -> bool:
    """Say whether jobs of this run are done more than once."""
    return options.repeat > 1 or options.warmup > 0


def conclude(job: Job) -> None:
    """Write into `job` what its repetitions say: their spreads, the figures of the middle one, and what to mind."""
    counted = [repetition for repetition in job.repetitions if not repetition.warmup]
    if not counted:
        return
    middle = _middle(counted)
    job.repetition = middle.number
    job.started = middle.started
    job.times, job.compute_s_per_video_s = middle.times, middle.compute_s_per_video_s
    job.metrics, job.sampled, job.gpus = middle.metrics, middle.sampled, middle.gpus
    job.spreads = spreads(counted)
    job.notes = list(dict.fromkeys(remarks(job, counted)))


def _middle(counted: Sequence[Repetition]) -> Repetition:
    known = sorted((r for r in counted if r.times.total_s is not None), key=lambda r: r.times.total_s or 0.0)
    return known[(len(known) - 1) // 2] if known else counted[0]


def spreads(counted: Sequence[Repetition]) -> dict[str, Spread]:
    """Return minimum, median, maximum and outliers of every figure that was measured in the same way each time."""
    found: dict[str, Spread] = {}
    for name in _TIMES:
        _add(found, name, "s", [(r.number, getattr(r.times, name)) for r in counted])
    pace = [(r.number, r.compute_s_per_video_s) for r in counted]
    _add(found, "compute_s_per_video_s", "s/s", pace)
    for name in _METRICS:
        measured = [(r.number, r.metrics[name]) for r in counted if name in r.metrics]
        known = [(number, m) for number, m in measured if m.value is not None]
        if len({m.method for _, m in known}) == 1:
            _add(found, name, known[0][1].unit, [(number, m.value) for number, m in known])
    return found


def _add(found: dict[str, Spread], name: str, unit: str, values: Sequence[tuple[int, float | None]]) -> None:
    known = [(number, value) for number, value in values if value is not None]
    if not known:
        return
    numbers = [value for _, value in known]
    middle = statistics.median(numbers)
    found[name] = Spread(
        unit=unit,
        count=len(known),
        min=min(numbers),
        median=middle,
        max=max(numbers),
        spread=(max(numbers) - min(numbers)) / middle if middle else None,
        outliers=_outliers(known, middle),
    )


def _outliers(values: Sequence[tuple[int, float]], middle: float) -> list[int]:
    if len(values) < FEWEST:
        return []
    deviation = statistics.median(abs(value - middle) for _, value in values) * _SCALE
    far = max(_DEVIATIONS * deviation, _SHARE * abs(middle))
    return [number for number, value in values if abs(value - middle) > far]


def remarks(job: Job, counted: Sequence[Repetition]) -> list[str]:
    """Return what whoever reads the figures should know, each with what to do about it."""
    said = [note for repetition in counted for note in repetition.notes]
    for name, words in _WATCHED.items():
        spread = job.spreads.get(name)
        for number in spread.outliers if spread is not None else ():
            took_s = next(getattr(r.times, name) for r in counted if r.number == number)
            said.append(
                f"repetition {number} took {took_s:.2f} s {words}, the median is {spread.median:.2f} s: "
                "end other programs, warm up (--warmup 1), and run it again"
                if spread is not None
                else ""
            )
    if len({repetition.video_sha256 for repetition in counted}) > 1:
        said.append("its repetitions made different videos from the same seed: compare its quality over several seeds")
    return [line for line in said if line]


def gpu_remarks(gpus: Iterable[GpuUse], *, prefix: str = "") -> list[str]:
    """Return what was wrong with the GPUs while a job ran, each with what to do about it."""
    said = []
    for gpu in gpus:
        name = f"GPU {gpu.index}" if gpu.index >= 0 else gpu.uuid
        if gpu.foreign:
            pids = ", ".join(str(process.pid) for process in gpu.foreign)
            many = "processes" if len(gpu.foreign) > 1 else "process"
            said.append(
                f"{prefix}{name} was shared with {many} {pids}: times are not this network's alone; "
                "end other programs on it, or choose another with --gpus, and run it again"
            )
        hot = gpu.throttled.get(THERMAL, 0.0)
        if hot:
            said.append(
                f"{prefix}{name} slowed down because of heat in {100 * hot:.0f} % of the samples: times are longer "
                "than it can do; let it cool, improve its cooling, and run it again"
            )
    return said


@dataclass(frozen=True, slots=True)
class Ranking:
    """Networks by one figure, the smallest first; those of one group cannot be told apart.

    When nothing can be ranked, `reason` says why.
    """

    groups: tuple[tuple[str, ...], ...]
    reason: str = ""


def rank(found: Mapping[str, Spread]) -> Ranking:
    """Rank networks by the ranges of one figure: ranges that overlap are not ranked."""
    if len(found) < 2:
        return Ranking((), "there is nothing to compare it with")
    few = [name for name, spread in found.items() if spread.count < FEWEST]
    if few:
        return Ranking((), f"{' and '.join(few)} ran fewer than {FEWEST} times (--repeat {FEWEST} or more)")
    groups: list[list[str]] = []
    reach = float("-inf")
    for name, spread in sorted(found.items(), key=lambda item: (item[1].min, item[1].median)):
        if spread.min > reach:
            groups.append([])
        groups[-1].append(name)
        reach = max(reach, spread.max)
    return Ranking(tuple(tuple(group) for group in groups))


def finished(job: Job, turn: Turn, started: datetime, video: Video) -> Repetition:
    """Return what a repetition of `job` has come to."""
    return Repetition(
        number=turn.number,
        warmup=turn.warmup,
        started=started,
        times=job.times,
        compute_s_per_video_s=job.compute_s_per_video_s,
        metrics=job.metrics,
        sampled=job.sampled,
        gpus=job.gpus,
        video_sha256=video.sha256,
        notes=job.notes,
    )


def add_times(job: Job, once: Times) -> None:
    """Add what was done once, before all repetitions."""
    job.times.prepare_s, job.times.synthetic_s = once.prepare_s, once.synthetic_s
    if job.times.total_s is not None:
        job.times.total_s += (once.prepare_s or 0.0) + (once.synthetic_s or 0.0)


def forget(job: Job) -> None:
    """Forget the figures of the repetition before."""
    job.times, job.compute_s_per_video_s, job.exit_code = Times(), None, None
    job.metrics, job.sampled, job.gpus, job.notes = {}, {}, [], []


def reset(job: Job) -> None:
    """Forget an earlier attempt."""
    fresh = Job(network=job.network, title=job.title, status=JobStatus.PENDING)
    for name in Job.__struct_fields__:
        if name not in {"network", "title", "seed", "settings", "upstream", "patches", "caveats", "attempt"}:
            setattr(job, name, getattr(fresh, name))


def forget_figures(job: Job) -> None:
    """Forget all that a job has told of itself: what it is, ran in and came to stays."""
    kept = [
        "status",
        "kind",
        "reason",
        "remedy",
        "environment",
        "weights",
        "started",
        "finished",
        "exit_code",
        "log",
        "log_tail",
    ]
    values = {name: getattr(job, name) for name in kept}
    reset(job)
    for name, value in values.items():
        setattr(job, name, value)
