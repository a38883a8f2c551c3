"""What each network cost: figures that follow from the record and the prices, ranges over repetitions, and remarks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct

from faceorch.record.request import Request
from faceorch.record.run import Job, Measured, Run, Sampled, Spread
from faceorch.record.spread import rank
from faceorch.words import duration, number, size


def gpu_busy(job: Job) -> Measured | None:
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
    took_s = running_s(job, request)
    if not job.gpus or took_s is None:
        note = used.note if used is not None else "not measured"
        return Measured(value=None, unit=request.currency, method="unavailable", note=note)
    note = f"{price:g} per hour of each GPU, from start to stop"
    value = took_s / 3600 * len(job.gpus) * price
    return Measured(value=value, unit=request.currency, method="wall_clock", note=note)


def once_s(job: Job) -> float | None:
    """Return how long what is done once took, before a network's first job; None when there was nothing to do."""
    found = [part for part in (job.times.prepare_s, job.times.synthetic_s) if part is not None]
    return sum(found) if found else None


def running_s(job: Job, request: Request) -> float | None:
    """Return how long a job's runner ran, without what was done once before; None if it never started.

    The record counts that as a part of a job's time, but not as one of a repetition's.
    """
    total_s = job.times.total_s
    return total_s if total_s is None or request.several else total_s - (once_s(job) or 0.0)


def _mean(sampled: Sampled) -> float | None:
    return sampled.mean if sampled.animate_mean is None else sampled.animate_mean


# Figures shown for repetitions: key of the spread, heading, how it is written.
_SPREADS = (
    ("total_s", "end to end", duration),
    ("setup_s", "load models", duration),
    ("animate_s", "animate", duration),
    ("compute_s_per_video_s", "s per s of video", number),
    ("vram_peak_bytes", "peak VRAM", size),
    ("memory_peak_bytes", "peak memory", size),
    ("energy_wh", "energy (Wh)", number),
)


class Range(Struct, frozen=True):
    """One figure of one network over its repetitions, as text."""

    title: str
    figure: str
    minimum: str
    median: str
    maximum: str
    spread: str
    count: int
    outliers: str


def ranges(run: Run) -> list[Range]:
    """Return the ranges of every repeated network."""
    found = []
    for job in run.jobs:
        for key, figure, show in _SPREADS:
            spread = job.spreads.get(key)
            if spread is not None and spread.count > 1:
                found.append(_range(job.title, figure, spread, show))
    return found


def _range(title: str, figure: str, spread: Spread, show: Callable[[float | None], str]) -> Range:
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
