"""Computes the figures of a job's record from its samples, each with its method or the reason why it is missing."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from faceorch.record.run import ForeignProcess, Gpu, GpuUse, Measured, Sampled
from faceorch.telemetry.attribution import Attribution, Energy, attribute, energy, growth
from faceorch.telemetry.machine import machine_figures, machine_remarks
from faceorch.telemetry.samples import GpuSample, UsageSample, Watched

UNAVAILABLE = "unavailable"
_UNCOUNTED = "the system does not count it"
_J_PER_WH = 3600.0
_MARKED = "animate"

# Bits of NVML's clocks event reasons (nvml.h) that slow a GPU down. Idling and fixed clocks do not count.
THERMAL, POWER = "thermal", "power"
THROTTLE_BITS = {THERMAL: 0x20 | 0x40, POWER: 0x04 | 0x80, "hardware": 0x08}

# Figures of the whole GPU: name -> (field of the sample, unit, NVML's query).
_DEVICE = {
    "gpu_utilisation_percent": ("utilisation_percent", "%", "utilisation"),
    "gpu_memory_utilisation_percent": ("memory_utilisation_percent", "%", "utilisation"),
    "device_memory_bytes": ("used_bytes", "bytes", "memory"),
    "power_w": ("power_w", "W", "power"),
    "sm_clock_mhz": ("sm_clock_mhz", "MHz", "clock"),
    "temperature_c": ("temperature_c", "°C", "temperature"),
}


class Figures(Struct, frozen=True, kw_only=True):
    """A job's resource usage, for its record."""

    metrics: dict[str, Measured]
    sampled: dict[str, Sampled]
    gpus: list[GpuUse]
    notes: list[str]


def attributions(seen: Watched) -> dict[str, Attribution]:
    """Return the job's share of each GPU that was sampled."""
    return {
        uuid: attribute(
            [s for s in seen.before if s.gpu == uuid],
            [s for s in seen.gpus if s.gpu == uuid],
            seen.target,
            mig=uuid in seen.mig,
            wsl2=seen.wsl2,
            refusal=seen.errors.get(uuid, {}).get("processes", ""),
        )
        for uuid in dict.fromkeys(sample.gpu for sample in seen.gpus)
    }


def summarise(
    seen: Watched,
    shares: Mapping[str, Attribution],
    gpus: Sequence[Gpu],
    *,
    reported: Mapping[str, Measured],
    video_s: float | None,
) -> Figures:
    """Return the figures of a job. `reported` are the runner's own; `video_s` is the length of its video, if any."""
    window = animate_window(seen)
    known = {gpu.uuid: gpu for gpu in gpus}
    used = [_gpu_use(seen, uuid, share, known, window) for uuid, share in shares.items()]
    if len(used) == 1:
        peak = _or_allocator(used[0].vram_peak_bytes, reported)
        used = [replace(used[0], vram_peak_bytes=peak)]
    machine = machine_figures(seen.machine, seen.usage, window)
    busy = machine_remarks(machine, seen.machine[-1].cores) if seen.machine else []
    total = _total([use.energy_wh for use in used], "Wh", seen.no_gpu or "no sample was taken")
    return Figures(
        metrics={
            **reported,
            "vram_peak_bytes": _or_allocator(_vram_peak(seen, shares), reported),
            "energy_wh": total,
            "energy_wh_per_video_s": _per_video_second(total, video_s),
            **_usage_totals(seen),
            **machine,
        },
        sampled=_usage_sampled(seen, window),
        gpus=used,
        notes=[
            *busy,
            *(f"faceorch's own measuring failed: {failure}; please report it" for failure in seen.failures),
            *gpu_remarks(used),
        ],
    )


def gpu_remarks(gpus: Iterable[GpuUse]) -> list[str]:
    """Return what was wrong with the GPUs while a job ran, each with what to do about it."""
    said = []
    for gpu in gpus:
        name = f"GPU {gpu.index}" if gpu.index >= 0 else gpu.uuid
        if gpu.foreign:
            pids = ", ".join(str(process.pid) for process in gpu.foreign)
            many = "processes" if len(gpu.foreign) > 1 else "process"
            said.append(
                f"{name} was shared with {many} {pids}: times are not this network's alone; "
                "end other programs on it, or choose another with --gpus, and run it again"
            )
        hot = gpu.throttled.get(THERMAL, 0.0)
        if hot:
            said.append(
                f"{name} slowed down because of heat in {100 * hot:.0f} % of the samples: times are longer "
                "than it can do; let it cool, improve its cooling, and run it again"
            )
    return said


def animate_window(seen: Watched) -> tuple[float, float] | None:
    """Return when the job's own work began and ended; None if it never began."""
    begun = [t_s for t_s, name in seen.marks if name == _MARKED]
    if not begun:
        return None
    ended = [t_s for t_s, name in seen.marks if not name and t_s >= begun[0]]
    return begun[0], ended[0] if ended else seen.ended_s


def _gpu_use(
    seen: Watched, uuid: str, share: Attribution, known: Mapping[str, Gpu], window: tuple[float, float] | None
) -> GpuUse:
    samples = [s for s in seen.gpus if s.gpu == uuid]
    used = energy([s for s in seen.before if s.gpu == uuid][-1:] + samples, share.exclusive, share.doubt)
    own = [(s.t_s, None if b is None else float(b)) for s, b in zip(samples, share.own_bytes, strict=True)]
    sampled = {"vram_bytes": spread(own, "bytes", share.method, share.note, window)}
    note = "of the whole GPU" + ("" if share.exclusive else f"; {share.doubt}")
    for name, (field, unit, question) in _DEVICE.items():
        values = [(s.t_s, getattr(s, field)) for s in samples]
        reason = seen.errors.get(uuid, {}).get(question, "no answer")
        sampled[name] = spread(values, unit, "device", note, window, f"the driver does not report it: {reason}")
    gpu = known.get(uuid)
    return GpuUse(
        uuid=uuid,
        index=-1 if gpu is None else gpu.index,
        name="" if gpu is None else gpu.name,
        exclusive=share.exclusive,
        note=share.doubt,
        foreign=[ForeignProcess(pid=f.pid, memory_bytes=f.memory_bytes, before=f.before) for f in share.foreign],
        vram_peak_bytes=Measured(value=share.peak_bytes, unit="bytes", method=share.method, note=share.note),
        energy_wh=_energy_wh(used),
        sampled=sampled,
        throttled=throttled(samples, window),
    )


def throttled(samples: Iterable[GpuSample], window: tuple[float, float] | None) -> dict[str, float]:
    """Return the share of the samples in which a GPU was throttled, by reason."""
    bits = [s.throttle for s in samples if s.throttle is not None and _within(s.t_s, window)]
    shares = {name: sum(bool(b & mask) for b in bits) / len(bits) for name, mask in THROTTLE_BITS.items() if bits}
    return {name: round(share, 4) for name, share in shares.items() if share}


def _energy_wh(used: Energy) -> Measured:
    value = None if used.joules is None else used.joules / _J_PER_WH
    return Measured(value=value, unit="Wh", method=used.method, note=used.note)


def _vram_peak(seen: Watched, shares: Mapping[str, Attribution]) -> Measured:
    """Return the job's peak memory, summed over all its GPUs."""
    if not shares:
        return _nothing("bytes", seen.no_gpu or "no sample was taken")
    for share in shares.values():
        if share.peak_bytes is None:
            return _nothing("bytes", share.note)
    moments: dict[float, int] = {}
    for uuid, share in shares.items():
        times = [s.t_s for s in seen.gpus if s.gpu == uuid]
        for t_s, own in zip(times, share.own_bytes, strict=True):
            moments[t_s] = moments.get(t_s, 0) + (own or 0)
    worst = max(shares.values(), key=lambda share: share.method == "device_delta")
    return Measured(value=max(moments.values()), unit="bytes", method=worst.method, note=worst.note)


def _or_allocator(peak: Measured, reported: Mapping[str, Measured]) -> Measured:
    """Return the peak, or if unknown, the one of the runner's own allocator, which excludes CUDA's own memory."""
    inside = reported.get("torch_peak_reserved_bytes")
    if peak.value is not None or inside is None or not inside.value:
        return peak
    note = f"torch's reserved memory, without CUDA's own: {peak.note}"
    return Measured(value=inside.value, unit="bytes", method="allocator", note=note)


def _total(parts: Sequence[Measured], unit: str, nothing: str) -> Measured:
    if not parts:
        return _nothing(unit, nothing)
    for part in parts:
        if part.value is None:
            return _nothing(unit, part.note)
    value = sum(part.value for part in parts if part.value is not None)
    worst = max(parts, key=lambda part: part.method == "power_integral")
    return Measured(value=value, unit=unit, method=worst.method, note=worst.note)


def _per_video_second(total: Measured, video_s: float | None) -> Measured:
    unit = "Wh/s"
    if total.value is None:
        return _nothing(unit, total.note)
    if not video_s:
        return _nothing(unit, "there is no video")
    return Measured(value=total.value / video_s, unit=unit, method=total.method, note=total.note)


def _usage_totals(seen: Watched) -> dict[str, Measured]:
    usage, method = seen.usage, seen.usage_method
    tree = method == "process_tree"
    memory = (
        "sum of resident sets: shared pages are counted more than once"
        if tree
        else "as in docker stats: without inactive page cache"
    )
    last = "as last read before it ended"
    fields = {
        "memory_peak_bytes": ("memory_bytes", "bytes", memory),
        "cpu_s": ("cpu_s", "s", last),
        "block_read_bytes": ("read_bytes", "bytes", last),
        "block_written_bytes": ("write_bytes", "bytes", last),
        "network_received_bytes": ("received_bytes", "bytes", last),
        "network_sent_bytes": ("sent_bytes", "bytes", last),
    }
    found = {}
    for name, (field, unit, note) in fields.items():
        values = [value for value in (getattr(sample, field) for sample in usage) if value is not None]
        if not values:
            found[name] = _nothing(unit, seen.no_usage or seen.usage_reasons.get(field, _UNCOUNTED))
            continue
        value = max(values) if field == "memory_bytes" else _since_start(values, tree)
        found[name] = Measured(value=value, unit=unit, method=method, note=note)
    water = [u.high_water_bytes for u in usage if u.high_water_bytes is not None]
    if water:
        note = "the control group's own peak, page cache included"
        found["memory_high_water_bytes"] = Measured(value=max(water), unit="bytes", method="cgroup", note=note)
    return found


def _since_start(known: Sequence[float], tree: bool) -> float:
    """Return a counter's last value; for a process tree the largest, because the usage of orphans drops out."""
    return max(known) if tree else known[0] + (growth(known) or 0.0)


def _usage_sampled(seen: Watched, window: tuple[float, float] | None) -> dict[str, Sampled]:
    usage, method = seen.usage, seen.usage_method
    memory = [(u.t_s, None if u.memory_bytes is None else float(u.memory_bytes)) for u in usage]
    reason = seen.no_usage or seen.usage_reasons.get("memory_bytes", _UNCOUNTED)
    cores = cpu_cores(usage)
    return {
        "cpu_cores": spread(cores, "cores", method, "", window, seen.no_usage or "it ended before a second reading"),
        "memory_bytes": spread(memory, "bytes", method, "", window, reason),
    }


def cpu_cores(usage: Sequence[UsageSample]) -> list[tuple[float, float | None]]:
    """Return the mean number of busy cores between each two readings."""
    busy: list[tuple[float, float | None]] = []
    for one, two in itertools.pairwise(usage):
        grown, passed_s = growth((one.cpu_s, two.cpu_s)), two.t_s - one.t_s
        if one.cpu_s is not None and two.cpu_s is not None and grown is not None and passed_s > 0:
            busy.append((two.t_s, grown / passed_s))
    return busy


def spread(
    values: Sequence[tuple[float, float | None]],
    unit: str,
    method: str,
    note: str,
    window: tuple[float, float] | None,
    reason: str = "",
) -> Sampled:
    """Return the spread of (time, value) pairs; without any value, `reason` (or the note) is why."""
    known = sorted(value for _, value in values if value is not None)
    if not known or method == UNAVAILABLE:
        return Sampled(unit=unit, method=UNAVAILABLE, note=reason or note)
    inside = [value for t_s, value in values if value is not None and window is not None and _within(t_s, window)]
    return Sampled(
        unit=unit,
        method=method,
        note=note,
        samples=len(known),
        min=known[0],
        mean=math.fsum(known) / len(known),
        p50=_percentile(known, 50),
        p95=_percentile(known, 95),
        max=known[-1],
        animate_mean=math.fsum(inside) / len(inside) if inside else None,
    )


def _percentile(ordered: Sequence[float], percent: int) -> float:
    """Return the percentile of ordered values by the nearest-rank method."""
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def _within(t_s: float, window: tuple[float, float] | None) -> bool:
    return window is None or window[0] <= t_s <= window[1]


def _nothing(unit: str, reason: str) -> Measured:
    return Measured(value=None, unit=unit, method=UNAVAILABLE, note=reason)
