"""Checks of the driver and the GPUs against what the bases and the networks need."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from faceorch.doctor.findings import Finding, Severity
from faceorch.doctor.probes import GpuActivity
from faceorch.engine.versions import version_key
from faceorch.needs import GB, driver_problem, held, kernel_problem, vram_problem
from faceorch.networks.bases import Base, choose_base
from faceorch.networks.manifest import Needs
from faceorch.record.reason import Reason
from faceorch.record.run import Gpu
from faceorch.telemetry.nvml import Gpus, GpuUser
from faceorch.words import size

_INSTALL = "install the NVIDIA driver ({version} or newer), then restart the host"
# NVML's error when it does not start -> remedy. The first row that matches counts.
_NVML_REMEDIES = (
    ("Driver/library version mismatch", "restart the host: the driver was updated, but the old one is still loaded"),
    ("Driver Not Loaded", "sudo modprobe nvidia; if that fails, install the driver again (Secure Boot must trust it)"),
    ("Insufficient Permissions", "let this user read and write /dev/nvidia* (groups video or render)"),
    ("GPU is lost", "restart the host: a GPU no longer responds"),
    ("sees no GPU", "check that lspci lists the GPU and that it is not bound to another driver (vfio-pci, nouveau)"),
)


def bases_used(needs: Mapping[str, Needs], gpus: Gpus, bases: Mapping[str, Base]) -> list[Base]:
    """Return the bases that the networks will run on here; if none supports the GPUs, the ones they prefer."""
    names = dict.fromkeys((need.bases, need.gpu) for need in needs.values())
    chosen = (choose_base(wanted, gpus.gpus if gpu else (), bases) or bases[wanted[0]] for wanted, gpu in names)
    return list({base.name: base for base in chosen}.values())


def judge_driver(gpus: Gpus, used: list[Base], spared: list[str]) -> Finding:
    """Check the driver for the bases that are `used`; `spared` are the networks that need no GPU."""
    used = [base for base in used if base.driver_min is not None]
    oldest = max((base.driver_min or "" for base in used), default="", key=version_key)
    needed = f"{oldest} or newer for {', '.join(base.name for base in used)}" if oldest else "any"
    if not gpus.gpus:
        remedy = next((remedy for sign, remedy in _NVML_REMEDIES if sign in gpus.reason), None)
        return Finding(
            check="driver",
            severity=Severity.ERROR,
            found=gpus.reason,
            needed=f"an NVIDIA GPU, and its driver {needed}" if gpus.driver is None else "an NVIDIA GPU",
            running=f"only networks that need no GPU can run here: {', '.join(spared) or 'none'}",
            remedy=remedy or f"if this host has an NVIDIA GPU, {_INSTALL.format(version=oldest)}",
        )
    for base in used:
        problem = driver_problem(gpus.driver, base)
        if problem is not None:
            return _error("driver", problem)
    return Finding(check="driver", severity=Severity.OK, found=gpus.driver or "version unknown", needed=needed)


def judge_kernels(gpus: Gpus, needs: Mapping[str, Needs], bases: Mapping[str, Base]) -> list[Finding]:
    """Check the GPUs' architectures against the kernels in the bases' torch."""
    findings = []
    for names in dict.fromkeys(need.bases for need in needs.values() if need.gpu):
        who = ", ".join(name for name, need in needs.items() if need.gpu and need.bases == names)
        problem = kernel_problem(names, gpus.gpus, bases=bases)
        if problem is not None:
            needed = f"kernels in {' or '.join(held(bases[name]) for name in names)}"
            running = f"{who} cannot run on this set of GPUs"
            findings.append(replace(_error("kernels", problem, running), needed=needed))
            continue
        chosen = choose_base(names, gpus.gpus, bases)
        assert chosen is not None  # or there would be a problem
        passed = [bases[name] for name in names[: names.index(chosen.name)]]
        lacking = [gpu for gpu in gpus.gpus if passed and not passed[0].covers(gpu.compute_capability)]
        found = f"{', '.join(sorted({architecture(gpu) for gpu in gpus.gpus}))}; {who} run on {held(chosen)}"
        if lacking:
            which = ", ".join(f"GPU {gpu.index} ({gpu.name})" for gpu in lacking)
            found += f", because {held(passed[0])} has none for {which}"
        findings.append(Finding(check="kernels", severity=Severity.OK, found=found))
    return findings


def judge_gpu(gpu: Gpu, use: GpuActivity | None, needs: Mapping[str, Needs]) -> list[Finding]:
    """Check one GPU: its memory, which processes use it, and whether it is partitioned (MIG)."""
    check = f"GPU {gpu.index}"
    wanted = {name: need.vram_gb for name, need in needs.items() if need.gpu and need.vram_gb is not None}
    state = None if use is None else use.state
    free = "" if state is None else f", {size(state.free_bytes)} free"
    found = f"{gpu.name}, compute capability {gpu.compute_capability}, {size(gpu.memory_bytes)}{free}"
    most = f"{max(wanted.values()):g} GB for {_names_of(wanted, max(wanted.values()))}" if wanted else ""
    findings = []
    small = {name: gb for name, gb in wanted.items() if vram_problem([gpu], gb) is not None}
    known = None if state is None else state.users
    computing = [user for user in known or () if user.computes]
    drawing = [user for user in known or () if not user.computes]
    users = "" if use is None else _users(computing or drawing, use.names)
    if small:
        findings.append(
            Finding(
                check=check,
                severity=Severity.ERROR,
                found=found,
                needed=most,
                running=f"{', '.join(small)} cannot run on it",
                remedy=f"use a GPU with {min(small.values()):g} GB or more, or leave this one out with --gpus",
            )
        )
    elif computing or drawing:
        findings.append(
            Finding(
                check=check,
                severity=Severity.WARNING if computing else Severity.NOTE,
                found=f"{found}; in use by {users}",
                needed=most,
                running=_tight(state.free_bytes if state else None, wanted),
                measuring="energy and memory of the whole GPU are only reported if no other process uses it"
                if computing
                else "energy and memory of the whole GPU include what the display uses",
                remedy="wait for those processes, or choose another GPU with --gpus" if computing else "",
            )
        )
    else:
        idle = "; not in use" if known is not None else "; the driver does not report who uses it"
        findings.append(Finding(check=check, severity=Severity.OK, found=f"{found}{idle}", needed=most))
    if state is not None and state.mig:
        findings.append(_judge_mig(gpu.index, state.mig_bytes, wanted))
    return findings


def _judge_mig(index: int, instances: tuple[int, ...], wanted: Mapping[str, float]) -> Finding:
    told = f"instances of {', '.join(size(count) for count in instances)}" if instances else "it has no instances"
    largest = max(instances, default=0)
    small = [name for name, gb in wanted.items() if largest < gb * GB]
    return Finding(
        check=f"GPU {index} MIG",
        severity=Severity.WARNING,
        found=f"the GPU is partitioned (MIG): {told}",
        needed="a whole GPU, which faceorch is tested with",
        running="not tested with faceorch; a network sees one instance, not the GPU"
        + (f"; too small for {', '.join(small)}" if small else ""),
        measuring="NVML does not report utilisation of a partitioned GPU; power and energy are the whole GPU's",
        remedy=f"sudo nvidia-smi -i {index} -mig 0, or choose another GPU with --gpus",
    )


def _tight(free_bytes: int | None, wanted: Mapping[str, float]) -> str:
    """Return which networks do not fit into the memory that is free now."""
    if free_bytes is None:
        return ""
    late = [name for name, gb in wanted.items() if free_bytes < gb * GB]
    return f"too little is free now for {', '.join(late)}" if late else ""


def _users(users: list[GpuUser], names: Mapping[int, str]) -> str:
    told = []
    for user in users:
        memory = "memory n/a" if user.memory_bytes is None else size(user.memory_bytes)
        told.append(f"{names.get(user.pid, 'unknown')} (pid {user.pid}, {memory})")
    return ", ".join(told)


def _names_of(wanted: Mapping[str, float], gb: float) -> str:
    return ", ".join(name for name, value in wanted.items() if value == gb)


def architecture(gpu: Gpu) -> str:
    """Return a GPU's architecture as compilers write it."""
    return f"sm_{gpu.compute_capability.replace('.', '')}"


def _error(check: str, problem: Reason, running: str = "") -> Finding:
    return Finding(
        check=check,
        severity=Severity.ERROR,
        found=problem.found,
        needed=problem.needed,
        running=running,
        remedy=problem.remedy,
    )
