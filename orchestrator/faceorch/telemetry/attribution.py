"""Attribution of memory and energy to a job: a pure function over samples of one GPU.

The methods, best first: the driver's memory per process; the increase of the whole GPU's memory (if no other process
used it); the runner's own allocator; none. The reason why a better method was not used is kept.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from enum import Enum

from msgspec import Struct

from faceorch.telemetry.samples import GpuProcess, GpuSample, Target

# Linux assigns no process id above this (PID_MAX_LIMIT). Drivers of the 535 series return 4294967295 to bindings that
# expect a different layout of the process list.
_LARGEST_PID = 2**22
# One miss is a process that ended before it could be looked up. Repeated misses mean that the id belongs to another
# PID namespace.
_MISSES = 3


class Whose(Enum):
    """Whether a process on the GPU belongs to the job."""

    OURS = "ours"
    FOREIGN = "foreign"
    UNKNOWN = "unknown"


class Foreign(Struct, frozen=True):
    """A process on the GPU that is not the job's; `before`: it was there before the job began."""

    pid: int
    memory_bytes: int | None
    before: bool


class Attribution(Struct, frozen=True, kw_only=True):
    """The job's share of one GPU.

    `own_bytes` has one entry for each sample. `exclusive` is None if it is unknown. `doubt` is one line on why the GPU
    was not exclusive, or why that is unknown.
    """

    own_bytes: tuple[int | None, ...]
    method: str
    note: str
    exclusive: bool | None
    doubt: str
    foreign: tuple[Foreign, ...] = ()

    @property
    def peak_bytes(self) -> int | None:
        """Peak memory of the job on this GPU."""
        return max((value for value in self.own_bytes if value is not None), default=None)


def attribute(
    before: Sequence[GpuSample],
    samples: Sequence[GpuSample],
    target: Target,
    *,
    mig: bool = False,
    wsl2: bool = False,
    refusal: str = "",
) -> Attribution:
    """Return `target`'s share of one GPU. `before` are samples from before it started, `samples` those since.

    `refusal` is the driver's error when it was asked for its process list.
    """
    if not samples:
        return Attribution(
            own_bytes=(), method="unavailable", note="no sample was taken", exclusive=None, doubt="no sample was taken"
        )
    sight = _Sight(target)
    seen_before = [one for one in map(sight.look, before) if one is not None]
    looked = [sight.look(sample) for sample in samples]
    seen = [one for one in looked if one is not None]
    foreign = _foreign(seen_before, seen)
    blind = _blindness(seen, sight, wsl2=wsl2, refusal=refusal)
    exclusive, doubt = _exclusive(seen, foreign, blind, mig=mig)
    if not blind:
        own, unknown = _own_memory(looked)
        if own is not None:
            return Attribution(
                own_bytes=own,
                method="per_process",
                note=_remark(unknown, foreign),
                exclusive=exclusive,
                doubt=doubt,
                foreign=foreign,
            )
        blind = _silent(mig=mig, wsl2=wsl2)
    base = min((s.used_bytes for s in before if s.used_bytes is not None), default=None)
    if exclusive and base is not None and any(s.used_bytes is not None for s in samples):
        own = tuple(None if s.used_bytes is None else max(0, s.used_bytes - base) for s in samples)
        return Attribution(
            own_bytes=own,
            method="device_delta",
            note=f"the whole GPU's memory less what was used before: {blind}",
            exclusive=exclusive,
            doubt=doubt,
            foreign=foreign,
        )
    nothing: tuple[int | None, ...] = (None,) * len(samples)
    note = blind if exclusive or exclusive is None else f"{blind}, and {doubt}"
    return Attribution(
        own_bytes=nothing, method="unavailable", note=note, exclusive=exclusive, doubt=doubt, foreign=foreign
    )


Seen = dict[int, tuple[GpuProcess, Whose]]


class _Sight:
    """Classifies the processes of successive samples and remembers the owner of each process."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._last: dict[int, Whose] = {}
        self.impossible: set[int] = set()
        self._misses: dict[int, int] = {}

    def look(self, sample: GpuSample) -> Seen | None:
        """Return the owner of each process of a sample; None for a sample without a process list."""
        if sample.processes is None:
            return None
        seen: Seen = {}
        for process in sample.processes:
            too_much = sample.total_bytes is not None and (process.memory_bytes or 0) > sample.total_bytes
            if not 0 < process.pid <= _LARGEST_PID or too_much:
                self.impossible.add(process.pid)
            seen[process.pid] = (process, self._whose(process))
        # An id that disappears from the list and returns is a new process: nothing is remembered across the gap.
        self._last = {pid: whose for pid, (_, whose) in seen.items()}
        return seen

    def _whose(self, process: GpuProcess) -> Whose:
        if process.started is None:
            whose = self._last.get(process.pid, Whose.UNKNOWN)
            if whose is Whose.UNKNOWN:
                self._misses[process.pid] = self._misses.get(process.pid, 0) + 1
            return whose
        target = self._target
        if target.container:
            return Whose.OURS if process.container == target.container else Whose.FOREIGN
        return Whose.OURS if target.session and process.session == target.session else Whose.FOREIGN

    @property
    def meaningless(self) -> list[int]:
        """Process ids that stayed in the driver's list and could never be looked up."""
        return sorted(pid for pid, count in self._misses.items() if count >= _MISSES)


def _foreign(before: Sequence[Seen], samples: Sequence[Seen]) -> tuple[Foreign, ...]:
    """Return the processes that are not the job's, each once, with its peak memory."""
    found: dict[tuple[int, int | None], Foreign] = {}
    for early, seen in [*((True, s) for s in before), *((False, s) for s in samples)]:
        for pid, (process, whose) in seen.items():
            if whose is not Whose.FOREIGN:
                continue
            key = (pid, process.started)
            if process.started is None:  # it is exiting: it is the process already known under this id
                key = next((k for k in reversed(list(found)) if k[0] == pid), key)
            known = found.get(key, Foreign(pid, None, early))
            memory = max((m for m in (known.memory_bytes, process.memory_bytes) if m is not None), default=None)
            found[key] = Foreign(pid, memory, known.before)
    return tuple(found.values())


def _blindness(seen: Sequence[Seen], sight: _Sight, *, wsl2: bool, refusal: str) -> str:
    """Return why the driver's process list cannot be used, or "" if it can."""
    if sight.impossible:
        ids = ", ".join(str(pid) for pid in sorted(sight.impossible))
        return f"the driver's process list is scrambled (process id {ids}): update the driver or nvidia-ml-py"
    if not seen:
        return "the driver lists no processes" + (" under WSL2" if wsl2 else "") + (f": {refusal}" if refusal else "")
    if sight.meaningless:
        ids = ", ".join(str(pid) for pid in sight.meaningless)
        return f"process id {ids} on the GPU cannot be looked up from here"
    if not any(whose is Whose.OURS for one in seen for _, whose in one.values()):
        return "the driver listed no process of this job" + (" (WSL2)" if wsl2 else "")
    return ""


def _exclusive(seen: Sequence[Seen], foreign: Sequence[Foreign], blind: str, *, mig: bool) -> tuple[bool | None, str]:
    """Return whether the job had the GPU to itself, and if not, the reason."""
    if foreign:
        early, late = (sorted(p.pid for p in foreign if p.before is flag) for flag in (True, False))
        when = [_ids(early, "before it began") if early else "", _ids(late, "while it ran") if late else ""]
        return False, "the GPU was shared: " + " and ".join(part for part in when if part)
    if mig:
        return None, "the GPU is partitioned (MIG): its other instances are not visible"
    if blind:
        return None, f"it is unknown whether the GPU was shared: {blind}"
    unknown = sorted({pid for one in seen for pid, (_, whose) in one.items() if whose is Whose.UNKNOWN})
    if unknown:
        return None, f"{_ids(unknown, 'for a moment')}, and ended before its owner could be determined"
    return True, ""


def _ids(pids: Sequence[int], when: str) -> str:
    shown = ", ".join(str(pid) for pid in pids[:5]) + (" ..." if len(pids) > 5 else "")
    return f"process{'' if len(pids) == 1 else 'es'} {shown} used it {when}"


def _own_memory(looked: Sequence[Seen | None]) -> tuple[tuple[int | None, ...] | None, int]:
    """Return the job's memory in each sample (None if not reported), and how many samples have an unknown process."""
    own: list[int | None] = []
    unknown, told = 0, False
    for one in looked:
        if one is None:
            own.append(None)
            continue
        mine = [process.memory_bytes for process, whose in one.values() if whose is Whose.OURS]
        unknown += any(whose is Whose.UNKNOWN for _, whose in one.values())
        told = told or any(memory is not None for memory in mine)
        own.append(None if None in mine else sum(memory for memory in mine if memory is not None))
    return (tuple(own) if told else None), unknown


def _silent(*, mig: bool, wsl2: bool) -> str:
    where = " under WSL2" if wsl2 else " on a partitioned GPU (MIG)" if mig else ""
    return f"the driver does not report memory per process{where}"


def _remark(unknown: int, foreign: Sequence[Foreign]) -> str:
    parts = []
    if foreign:
        parts.append("other processes used the GPU too; their memory is not counted")
    if unknown:
        moments = "one sample" if unknown == 1 else f"{unknown} samples"
        parts.append(f"{moments} had a process that ended before its owner could be determined; it is not counted")
    return "; ".join(parts)


class Energy(Struct, frozen=True):
    """Energy in joules, or why there is none."""

    joules: float | None
    method: str
    note: str


def energy(samples: Sequence[GpuSample], exclusive: bool | None, doubt: str) -> Energy:
    """Return the energy of one GPU from the first sample to the last, if the job had it to itself."""
    if not exclusive:
        return Energy(None, "unavailable", doubt)
    counter = [(s.t_s, s.energy_j) for s in samples if s.energy_j is not None]
    if len(counter) >= 2 and all(b >= a for (_, a), (_, b) in itertools.pairwise(counter)):
        return Energy(counter[-1][1] - counter[0][1], "energy_counter", "of the whole board")
    power = [(s.t_s, s.power_w) for s in samples if s.power_w is not None]
    if len(power) >= 2:
        joules = sum((t2 - t1) * (p1 + p2) / 2 for (t1, p1), (t2, p2) in itertools.pairwise(power))
        why = "the energy counter was reset" if len(counter) >= 2 else "this GPU has no energy counter"
        return Energy(joules, "power_integral", f"of the whole board, from its power readings: {why}")
    return Energy(None, "unavailable", "the driver reports neither energy nor power")


def growth(values: Iterable[float | None]) -> float | None:
    """Return how much a counter grew. A counter that falls was reset: it counts from zero again."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    grown = 0.0
    for earlier, later in itertools.pairwise(known):
        grown += later - earlier if later >= earlier else later
    return grown
