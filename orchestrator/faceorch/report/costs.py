"""Tables of each network's costs, with footnotes on how each figure was measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from faceorch.record.kinds import JobStatus
from faceorch.record.request import Request
from faceorch.record.run import Job, Measured, Run, Sampled, Spread
from faceorch.record.spread import rank

# Measuring methods in the reader's words (docs/reference/measurements.md describes them in full).
_METHODS = {
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
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One figure as text, with the number of the footnote on how it was measured or why it is missing."""

    text: str
    note: int | None = None


@dataclass(slots=True)
class Table:
    """Headings, rows of (title, cells), and the footnotes in order."""

    headings: list[str]
    rows: list[tuple[str, list[Cell]]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def number(self, text: str) -> int | None:
        """Return the number of a footnote; equal texts share one."""
        if not text:
            return None
        if text not in self.notes:
            self.notes.append(text)
        return self.notes.index(text) + 1


Show = Callable[[float | None], str]


@dataclass(frozen=True, slots=True)
class _Column:
    heading: str
    of: Callable[[Job], Measured | None]
    show: Show


def costs(run: Run, *, seconds: Show, size: Show, number: Show) -> Table:
    """Return the costs of every network that ran."""
    jobs = [job for job in run.jobs if job.metrics and job.status in (JobStatus.DONE, JobStatus.FAILED)]
    columns = [
        _Column("peak VRAM", lambda job: job.metrics.get("vram_peak_bytes"), size),
        _Column("GPU busy", lambda job: _gpu_busy(job), lambda value: _with(number(value), " %", value)),
        _Column("energy", lambda job: job.metrics.get("energy_wh"), lambda value: _with(number(value), " Wh", value)),
        _Column("Wh per s of video", lambda job: job.metrics.get("energy_wh_per_video_s"), number),
        _Column("cost of energy", lambda job: energy_cost(job, run.request), number),
        _Column("cost of GPU time", lambda job: gpu_time_cost(job, run.request), number),
        _Column("CPU time", lambda job: job.metrics.get("cpu_s"), seconds),
        _Column("peak memory", lambda job: job.metrics.get("memory_peak_bytes"), size),
    ]
    columns = [column for column in columns if any(column.of(job) is not None for job in jobs)]
    table = Table([column.heading for column in columns])
    for job in jobs:
        cells = []
        for column in columns:
            measured = column.of(job)
            if measured is None:
                cells.append(Cell("n/a", table.number("n/a: not measured")))
                continue
            text = column.show(measured.value)
            if measured.value is not None and column.heading.startswith("cost") and run.request.currency:
                text = f"{text} {run.request.currency}"
            cells.append(Cell(text, table.number(_footnote(measured))))
        table.rows.append((job.title, cells))
    return table


def _with(text: str, unit: str, value: float | None) -> str:
    return text if value is None else text + unit


def _footnote(measured: Measured) -> str:
    if measured.value is None:
        return f"n/a: {measured.note}" if measured.note else "n/a"
    how = _METHODS.get(measured.method, measured.method)
    return f"{how}; {measured.note}" if measured.note else how


def _gpu_busy(job: Job) -> Measured | None:
    """Return the mean utilisation of a job's GPUs while it animated."""
    found = [gpu.sampled.get("gpu_utilisation_percent") for gpu in job.gpus]
    known = [s for s in found if s is not None and _mean(s) is not None]
    if not known:
        note = job.metrics["vram_peak_bytes"].note if "vram_peak_bytes" in job.metrics else ""
        reason = next((s.note for s in found if s is not None), note)
        return Measured(value=None, unit="%", method="unavailable", note=reason)
    value = sum(_mean(s) or 0.0 for s in known) / len(known)
    return Measured(
        value=value,
        unit="%",
        method="device",
        note="mean while it animated: share of time in which a kernel was running",
    )


def energy_cost(job: Job, request: Request) -> Measured | None:
    """Return what the GPUs' energy cost; None if no price is given."""
    used, price = job.metrics.get("energy_wh"), request.price_per_kwh
    if price is None or used is None:
        return None
    note = used.note if used.value is None else f"{price:g} per kWh of the GPU; the rest of the machine is not counted"
    value = None if used.value is None else used.value / 1000 * price
    return Measured(value=value, unit=request.currency, method=used.method, note=note)


def gpu_time_cost(job: Job, request: Request) -> Measured | None:
    """Return what renting the job's GPUs from its start to its stop would cost; None if no price is given."""
    price, used = request.price_per_gpu_hour, job.metrics.get("vram_peak_bytes")
    if price is None:
        return None
    took_s = running_s(job)
    if not job.gpus or took_s is None:
        note = used.note if used is not None else "not measured"
        return Measured(value=None, unit=request.currency, method="unavailable", note=note)
    note = f"{price:g} per hour of each GPU, from start to stop"
    value = took_s / 3600 * len(job.gpus) * price
    return Measured(value=value, unit=request.currency, method="wall_clock", note=note)


def running_s(job: Job) -> float | None:
    """Return how long a job's runner ran, without one-time preparation; None if it never started."""
    times = job.times
    if times.total_s is None:
        return None
    once_s = 0.0 if job.repetitions else (times.prepare_s or 0.0) + (times.synthetic_s or 0.0)
    return times.total_s - once_s


def _mean(sampled: Sampled) -> float | None:
    return sampled.mean if sampled.animate_mean is None else sampled.animate_mean


# Figures shown for repetitions: key of the spread, heading, kind of number.
_SPREADS = (
    ("total_s", "end to end", "seconds"),
    ("setup_s", "load models", "seconds"),
    ("animate_s", "animate", "seconds"),
    ("compute_s_per_video_s", "s per s of video", "number"),
    ("vram_peak_bytes", "peak VRAM", "size"),
    ("memory_peak_bytes", "peak memory", "size"),
    ("energy_wh", "energy (Wh)", "number"),
)


@dataclass(frozen=True, slots=True)
class Range:
    """One figure of one network over its repetitions, as text."""

    title: str
    figure: str
    minimum: str
    median: str
    maximum: str
    spread: str
    count: int
    outliers: str


def ranges(run: Run, *, seconds: Show, size: Show, number: Show) -> list[Range]:
    """Return the ranges of every repeated network."""
    show = {"seconds": seconds, "size": size, "number": number}
    found = []
    for job in run.jobs:
        for key, figure, kind in _SPREADS:
            spread = job.spreads.get(key)
            if spread is not None and spread.count > 1:
                found.append(_range(job.title, figure, spread, show[kind]))
    return found


def _range(title: str, figure: str, spread: Spread, show: Show) -> Range:
    share = "n/a" if spread.spread is None else f"{100 * spread.spread:.1f} %"
    outliers = ", ".join(str(number) for number in spread.outliers) or "none"
    return Range(title, figure, show(spread.min), show(spread.median), show(spread.max), share, spread.count, outliers)


def ranking(run: Run) -> list[str]:
    """Return sentences on which network is faster by its repetitions; empty for a run without repetitions."""
    if not run.request.several:
        return []
    lines = []
    for key, figure in (("animate_s", "Animating"), ("total_s", "End to end")):
        found = {job.title: job.spreads[key] for job in run.jobs if key in job.spreads}
        if len(found) < 2:
            continue
        ranked = rank(found)
        if ranked.reason:
            lines.append(f"{figure}: not ranked: {ranked.reason}.")
            continue
        lines.append(f"{figure}, fastest first: {_places(ranked.groups)}.")
    return lines


def _places(groups: Sequence[Sequence[str]]) -> str:
    shown = [
        group[0] if len(group) == 1 else f"{' and '.join(group)} (not distinguishable: their ranges overlap)"
        for group in groups
    ]
    return "; ".join(f"{place}. {text}" for place, text in enumerate(shown, start=1))


def remarks(run: Run) -> list[tuple[str, str]]:
    """Return (title, remark) for everything that a reader of the figures should know."""
    return [(job.title, note) for job in run.jobs for note in job.notes]
