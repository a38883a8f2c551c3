"""Raw samples, without any interpretation. Times are `time.monotonic()` of this host."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field


class GpuProcess(Struct, frozen=True, kw_only=True):
    """One process that NVML listed on a GPU, with this host's facts about it at that moment.

    `memory_bytes` is None if the driver does not report it. `started` (clock ticks since boot) is None if the process
    could not be looked up: it had just ended, or its id belongs to another PID namespace.
    """

    pid: int
    memory_bytes: int | None = None
    started: int | None = None
    container: str = ""
    session: int = 0


class GpuSample(Struct, frozen=True, kw_only=True):
    """One GPU at one moment; None for fields that were not queried or that the driver did not report."""

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


class UsageSample(Struct, frozen=True, kw_only=True):
    """Resource usage of a container or a process tree at one moment; None for unknown fields.

    `cpu_s` and the byte counts are totals since its start. `memory_bytes` is its memory at that moment, and
    `high_water_bytes` its control group's peak so far, page cache included.
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


class MachineSample(Struct, frozen=True, kw_only=True):
    """Counters of the whole machine, of so many `cores`, at one moment, in seconds since boot; None for unknown ones.

    `busy_s` is the processor time of all cores, `own_s` that of faceorch itself. `waited_s` says for each of cpu, io
    and memory for how long some process has waited for it (Linux' pressure stall information).
    """

    t_s: float
    cores: int
    busy_s: float | None = None
    own_s: float = 0.0
    waited_s: Mapping[str, float | None]


class Target(Struct, frozen=True, kw_only=True):
    """What is measured: a container by its full id, or the processes of one session."""

    container: str = ""
    session: int = 0


class Watched(Struct, kw_only=True):
    """All samples of one job.

    `no_gpu` is the reason if there are no GPU samples. `errors` has the driver's first error for each GPU and field.
    `usage_method` is how `usage` was sampled, `usage_reasons` why a field of it is unknown, `no_usage` why there is
    none; `machine` is sampled with it. `marks` are the starts of the job's stages; an empty name is the end of its
    work. `failures` are faults of the sampling itself, `cpu_s` is its processor time, `late` counts late samples.
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
    machine: list[MachineSample] = field(default_factory=list)
    usage_method: str = ""
    usage_reasons: dict[str, str] = field(default_factory=dict)
    no_usage: str = ""
    marks: list[tuple[float, str]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    cpu_s: float = 0.0
    late: int = 0
