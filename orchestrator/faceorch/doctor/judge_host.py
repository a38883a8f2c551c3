"""Checks of the machine: its system, memory and disks."""

from __future__ import annotations

from collections.abc import Mapping

from faceorch.doctor.findings import Finding, Severity
from faceorch.doctor.probes import Machine, Space
from faceorch.files import HOME_REMEDY
from faceorch.needs import ARCHITECTURE, GB, architecture_problem, ram_problem
from faceorch.networks.manifest import Needs
from faceorch.words import size


def judge_system(machine: Machine, engine_architecture: str | None) -> Finding:
    """Check the operating system and the processor: the locks contain wheels for one architecture."""
    where = engine_architecture or machine.architecture
    found = f"{machine.system} {machine.kernel}, {machine.architecture}"
    if where != machine.architecture:
        found += f"; the engine's machine is {where}"
    needed = f"Linux on {ARCHITECTURE}"
    problem = architecture_problem(where)
    if problem is not None:
        return Finding(
            check="system",
            severity=Severity.ERROR,
            found=found,
            needed=needed,
            running=f"the locked torch of GPU networks supports GPUs only in its {ARCHITECTURE} wheels",
            remedy=problem.remedy,
        )
    if machine.system != "Linux":
        return Finding(
            check="system",
            severity=Severity.WARNING,
            found=found,
            needed=needed,
            running="not tested with faceorch; NVIDIA GPUs reach containers only on Linux",
            remedy="run it on Linux, or in WSL2 under Windows",
        )
    if machine.wsl:
        return Finding(
            check="system",
            severity=Severity.WARNING,
            found=f"{found} (WSL2)",
            needed=needed,
            running="containers get every GPU or none: one of several cannot be chosen",
            measuring="Windows does not report the GPU memory of a process: peaks come from torch's allocator",
            remedy="for measurements that are compared, use native Linux",
        )
    return Finding(check="system", severity=Severity.OK, found=found, needed=needed)


def judge_home(folder: str, problem: str) -> Finding:
    """Check faceorch's own folder: environments, weights, logs and notes go there."""
    needed = "a folder for environments, weights and logs that can be written to"
    if not problem:
        return Finding(check="cache folder", severity=Severity.OK, found=folder, needed=needed)
    return Finding(
        check="cache folder",
        severity=Severity.ERROR,
        found=f"cannot write to {folder}: {problem}",
        needed=needed,
        running="networks run only in a container, with weights from elsewhere",
        remedy=HOME_REMEDY,
    )


def judge_memory(machine: Machine, engine_bytes: int, needs: Mapping[str, Needs]) -> Finding:
    """Check the memory of the machine that the containers run on."""
    total = min(machine.memory_bytes, engine_bytes or machine.memory_bytes)
    found = f"{size(total)}, {size(machine.available_bytes)} available"
    if total < machine.memory_bytes * 0.9:
        found = f"{size(total)} for the engine's containers; this machine has {size(machine.memory_bytes)}"
    most_gb = max((need.ram_gb for need in needs.values()), default=0.0)
    who = ", ".join(name for name, need in needs.items() if need.ram_gb == most_gb)
    needed = f"{most_gb:g} GB for {who}" if who else ""
    lacking = [name for name, need in needs.items() if ram_problem(total, need.ram_gb) is not None]
    if lacking:
        fewest = min(needs[name].ram_gb for name in lacking)
        return Finding(
            check="memory",
            severity=Severity.ERROR,
            found=found,
            needed=needed,
            running=f"{', '.join(lacking)} cannot run here",
            remedy=f"run them on a host with {fewest:g} GB of memory or more, or give the engine's machine more",
        )
    late = [name for name, need in needs.items() if machine.available_bytes < need.ram_gb * GB]
    if late:
        return Finding(
            check="memory",
            severity=Severity.WARNING,
            found=found,
            needed=needed,
            running=f"too little is available now for {', '.join(late)}: the kernel may kill it",
            measuring="swapping makes times meaningless",
            remedy="close other programs first",
        )
    return Finding(check="memory", severity=Severity.OK, found=found, needed=needed)


def judge_space(check: str, space: Space, needed_bytes: int, what: str, remedy: str) -> Finding:
    """Check the free space of a disk; `what` names what the space is needed for."""
    needed = f"{size(needed_bytes)} for {what}" if needed_bytes else f"nothing, {what}"
    if space.free_bytes is None:
        return Finding(
            check=check,
            severity=Severity.WARNING,
            found=f"the free space at {space.path} cannot be read: {space.reason}",
            needed=needed,
            remedy="check how much is free there: df -h",
        )
    found = f"{size(space.free_bytes)} free at {space.path}"
    if space.free_bytes < needed_bytes:
        return Finding(
            check=check,
            severity=Severity.ERROR,
            found=found,
            needed=needed,
            running="not everything fits: downloads and builds will stop when the disk is full",
            remedy=remedy,
        )
    return Finding(check=check, severity=Severity.OK, found=found, needed=needed)
