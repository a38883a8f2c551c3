"""What was seen, as it was seen: nothing is concluded here. Times are `time.monotonic()` of this host."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True, slots=True)
class GpuProcess:
    """One process that NVML listed on a GPU, and what this host knew about it at that moment.

    `memory_bytes` is None when the driver does not tell. `started` (clock ticks since boot) is None when the process
    could not be looked up: it had just ended, or its id means nothing here.
    """

    pid: int
    memory_bytes: int | None = None
    started: int | None = None
    container: str = ""
    session: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class GpuSample:
    """One GPU at one moment; None for what was not asked then, and where the driver gave no answer."""

    t_s: float
    gpu: str
    used_bytes: int | None = None
    total_bytes: int | None = None
    utilisation_percent: float | None = None
    memory_utilisation_percent: float | None = None
    power_w: float | None = None
    energy_j: float | None = None
    sm_clock_mhz: float | None = None
    temperature_c: float | None = None
    throttle: int | None = None
    processes: tuple[GpuProcess, ...] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class UsageSample:
    """What a container, or a tree of processes, had used of the host at one moment; None where nobody tells.

    `cpu_s` and the byte counts are totals since its start; `memory_bytes` is what it held then, `high_water_bytes` the
    most that its control group ever held, page cache included.
    """

    t_s: float
    cpu_s: float | None = None
    memory_bytes: int | None = None
    high_water_bytes: int | None = None
    read_bytes: int | None = None
    write_bytes: int | None = None
    received_bytes: int | None = None
    sent_bytes: int | None = None
    threads: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """Whose figures are wanted: a container by its full id, or the processes of one session."""

    container: str = ""
    session: int = 0


@dataclass(kw_only=True, slots=True)
class Watched:
    """Everything that was seen of one job.

    `no_gpu` says why there is nothing about GPUs, when there is nothing. `errors` has the driver's first refusal for
    each GPU and field. `usage_method` is how `usage` was taken, `usage_reasons`
    why a field of it is unknown, `no_usage` why there is none. `marks` are the beginnings
    of the job's stages; an empty name is the end of its work. `failures` are faults of the measuring itself, `cpu_s` is
    what looking cost, `late` how many looks came late.
    """

    target: Target = field(default_factory=Target)
    begun_s: float = 0.0
    ended_s: float = 0.0
    no_gpu: str = ""
    wsl2: bool = False
    mig: frozenset[str] = frozenset()
    errors: dict[str, dict[str, str]] = field(default_factory=dict)
    before: list[GpuSample] = field(default_factory=list)
    gpus: list[GpuSample] = field(default_factory=list)
    usage: list[UsageSample] = field(default_factory=list)
    usage_method: str = ""
    usage_reasons: dict[str, str] = field(default_factory=dict)
    no_usage: str = ""
    marks: list[tuple[float, str]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    cpu_s: float = 0.0
    late: int = 0
