"""How busy the whole machine is while a job runs: what others compute, and who waits for CPU, disk and memory."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from faceorch.record.run import Measured
from faceorch.telemetry.samples import MachineSample, UsageSample

RESOURCES = ("cpu", "io", "memory")
PSI, PROC_STAT = "psi", "proc_stat"
OTHERS = "others_cpu_cores"

# A shorter time says nothing: the runner's CPU time is read five times a second.
_LEAST_S = 1.0
# Others are worth a remark from this many cores on, and this share of all; and when somebody waited for a core at all.
_BUSY_CORES, _BUSY_SHARE = 0.25, 0.1
_WAITED_PERCENT = {"cpu": 5.0, "io": 20.0, "memory": 5.0}
_WHAT = {"io": "a disk", "memory": "memory"}


def read_machine(root: Path = Path("/proc")) -> MachineSample:
    """Return the machine's counters as they are now; None for those that this kernel does not have."""
    return MachineSample(
        t_s=time.monotonic(),
        cores=os.cpu_count() or 1,
        busy_s=_busy_s(root / "stat"),
        own_s=time.process_time(),
        waited_s={name: _waited_s(root / "pressure" / name) for name in RESOURCES},
    )


def _busy_s(path: Path) -> float | None:
    """Return the processor time that all cores together have spent since boot, time stolen by a hypervisor included."""
    try:
        # man 5 proc_stat: user nice system idle iowait irq softirq steal, in clock ticks; guests are in user and nice.
        ticks = [int(field) for field in path.read_text("ascii").split("\n", 1)[0].split()[1:9]]
        return (sum(ticks) - ticks[3] - ticks[4]) / float(os.sysconf("SC_CLK_TCK"))
    except (OSError, ValueError, IndexError):
        return None


def _waited_s(path: Path) -> float | None:
    """Return for how long some process has waited, as "some avg10=0.00 avg60=0.00 avg300=0.00 total=MICROSECONDS"."""
    try:
        words = path.read_text("ascii").split("\n", 1)[0].split()
        return int(dict(word.partition("=")[::2] for word in words)["total"]) / 1e6
    except (OSError, ValueError, KeyError):
        return None


def machine_figures(
    machine: Sequence[MachineSample], usage: Sequence[UsageSample], window: tuple[float, float] | None
) -> dict[str, Measured]:
    """Return what others computed and who waited in the `window` (of monotonic time; None: all of it)."""
    seen = [sample for sample in machine if window is None or window[0] <= sample.t_s <= window[1]]
    first, last = (seen[0], seen[-1]) if seen else (None, None)
    if first is None or last is None or last.t_s - first.t_s < _LEAST_S:
        short = f"the job took less than {_LEAST_S:g} s"
        found = {f"{name}_pressure_percent": _unknown("%", short) for name in RESOURCES}
        return {OTHERS: _unknown("cores", short), **found}
    passed_s = last.t_s - first.t_s
    found = {}
    for name in RESOURCES:
        before, after = first.waited_s[name], last.waited_s[name]
        if before is None or after is None:
            value = _unknown("%", f"this kernel has no /proc/pressure/{name}")
        else:
            note = "share of the time in which some process of this machine waited for it, the job's own included"
            percent = round(min(100.0, 100.0 * max(0.0, after - before) / passed_s), 2)
            value = Measured(value=percent, unit="%", method=PSI, note=note)
        found[f"{name}_pressure_percent"] = value
    return {OTHERS: _others(first, last, usage), **found}


def _others(first: MachineSample, last: MachineSample, usage: Sequence[UsageSample]) -> Measured:
    """Return how many cores were busy with neither the job nor faceorch itself."""
    used = [u for u in usage if first.t_s <= u.t_s <= last.t_s + 0.1 and u.cpu_s is not None]
    if first.busy_s is None or last.busy_s is None:
        return _unknown("cores", "this system has no /proc/stat")
    if len(used) < 2 or used[-1].t_s - used[0].t_s < _LEAST_S / 2:
        return _unknown("cores", "the job's own processor time is not known")
    own = ((used[-1].cpu_s or 0.0) - (used[0].cpu_s or 0.0)) / (used[-1].t_s - used[0].t_s)
    passed_s = last.t_s - first.t_s
    cores = (last.busy_s - first.busy_s - (last.own_s - first.own_s)) / passed_s - own
    note = "busy cores of this machine, without the job's and faceorch's own"
    return Measured(value=round(max(0.0, cores), 3), unit="cores", method=PROC_STAT, note=note)


def machine_remarks(figures: Mapping[str, Measured], cores: int) -> list[str]:
    """Return what made the machine busy while a job ran, each with what to do about it."""
    others, waited = figures[OTHERS].value, {name: figures[f"{name}_pressure_percent"].value for name in RESOURCES}
    said = []
    for_a_core = waited["cpu"]
    someone_waited = for_a_core is None or for_a_core >= _WAITED_PERCENT["cpu"]
    if others is not None and others >= max(_BUSY_CORES, _BUSY_SHARE * cores) and someone_waited:
        said.append(
            f"other programs kept {others:.1f} of {cores} cores busy: times are longer than they are on a "
            "quiet machine; end them, and run it again"
        )
    for name, what in _WHAT.items():
        percent = waited[name]
        if percent is not None and percent >= _WAITED_PERCENT[name]:
            said.append(
                f"in {percent:.0f} % of the time some program waited for {what}: times are longer than they "
                "are on a quiet machine; end other programs, and run it again"
            )
    return said


def _unknown(unit: str, note: str) -> Measured:
    return Measured(value=None, unit=unit, method="unavailable", note=note)
