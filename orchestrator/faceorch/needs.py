"""What keeps a network from running here: one pure judgement per need, for `faceorch run`'s plan and for `doctor`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from faceorch.doctor.findings import size
from faceorch.engine.facts import EngineFacts
from faceorch.engine.versions import version_key
from faceorch.networks.bases import Base, choose_base, load_bases, pick_base
from faceorch.record.run import Gpu, OutcomeKind

API_MIN = "1.40"  # device requests: Docker 19.03
ARCHITECTURE = "x86_64"
GB = 10**9  # as on a GPU's box: a card of 10 GB has room for what needs 10 GB, although it shows 9.8 GiB


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """One need that is not met: found and needed value, the two in one line, and what to do."""

    kind: OutcomeKind
    found: str
    needed: str
    reason: str
    remedy: str


def _problem(kind: OutcomeKind, found: str, needed: str, remedy: str) -> Problem:
    return Problem(kind=kind, found=found, needed=needed, reason=f"{found} found, {needed} needed", remedy=remedy)


def engine_problem(engine: EngineFacts) -> Problem | None:
    """Judge an engine that answers: is it new enough, and does it run Linux containers?"""
    if engine.os_type != "linux":
        return _problem(
            OutcomeKind.NO_ENGINE,
            f"an engine of {engine.os_type} containers",
            "Linux containers",
            "switch Docker Desktop to Linux containers",
        )
    if version_key(engine.api) < version_key(API_MIN):
        found = f"{engine.name} {engine.version} (API {engine.api})"
        return _problem(OutcomeKind.NO_ENGINE, found, f"API {API_MIN} or newer", "update Docker to 24 or newer")
    return None


def architecture_problem(architecture: str) -> Problem | None:
    """Judge the processor for networks with a GPU: the torch that is locked has GPU code in one kind of wheel only."""
    if architecture == ARCHITECTURE:
        return None
    remedy = f"run it on a host with an {ARCHITECTURE} processor"
    return _problem(OutcomeKind.NOT_AVAILABLE, f"processor {architecture}", ARCHITECTURE, remedy)


def driver_problem(driver: str | None, base: Base) -> Problem | None:
    """Judge the driver against the oldest one that runs `base`; a driver of unknown version passes."""
    if driver is None or base.driver_min is None or version_key(driver) >= version_key(base.driver_min):
        return None
    return _problem(
        OutcomeKind.UNSUPPORTED_DRIVER,
        f"NVIDIA driver {driver}",
        f"{base.driver_min} or newer for CUDA {base.cuda} ({base.name})",
        f"update the NVIDIA driver to {base.driver_min} or newer, then restart the host",
    )


def kernel_problem(
    names: Sequence[str], gpus: Sequence[Gpu], *, forced: bool = False, bases: Mapping[str, Base] | None = None
) -> Problem | None:
    """Judge the GPUs against the kernels that the torch of each base holds; `forced`: the user named the base."""
    if choose_base(names, gpus, bases) is not None:
        return None
    known = load_bases() if bases is None else bases
    devices = ", ".join(f"{gpu.index} ({gpu.name}, compute capability {gpu.compute_capability})" for gpu in gpus)
    one = len(gpus) == 1
    which = f"the base {names[0]} does not have" if forced else f"no base of it ({', '.join(names)}) has"
    return Problem(
        kind=OutcomeKind.UNSUPPORTED_GPU,
        found=f"GPU {devices}",
        needed=f"kernels in {' or '.join(held(pick_base(known, name)) for name in names)}",
        reason=f"{which} kernels for {'' if one else 'all of '}GPU {devices}",
        remedy="choose GPUs of one generation with --gpus"
        if not one
        else "leave out --base"
        if forced
        else "choose another GPU with --gpus",
    )


def vram_problem(gpus: Sequence[Gpu], vram_gb: float | None) -> Problem | None:
    """Judge the memory of every GPU that may be used."""
    if vram_gb is None:
        return None
    small = [gpu for gpu in gpus if gpu.memory_bytes < vram_gb * GB]
    if not small:
        return None
    fitting = ",".join(str(gpu.index) for gpu in gpus if gpu not in small)
    return _problem(
        OutcomeKind.UNSUPPORTED_GPU,
        ", ".join(f"GPU {gpu.index} ({gpu.name}) with {size(gpu.memory_bytes)}" for gpu in small),
        f"{vram_gb:g} GB of GPU memory",
        f"--gpus {fitting}" if fitting else f"use a GPU with {vram_gb:g} GB or more",
    )


def ram_problem(memory_bytes: int | None, ram_gb: float) -> Problem | None:
    """Judge the memory of the host (or of the engine's machine); an unknown amount passes."""
    if memory_bytes is None or memory_bytes >= ram_gb * GB:
        return None
    return _problem(
        OutcomeKind.TOO_LITTLE_MEMORY,
        f"{size(memory_bytes)} of memory",
        f"{ram_gb:g} GB",
        f"run it on a host with {ram_gb:g} GB of memory or more",
    )


def held(base: Base) -> str:
    """Say which kernels a base's torch holds."""
    if base.torch is None:
        return f"{base.name} (which has no torch)"
    return f"{base.name} (torch {base.torch}: {', '.join(base.kernels)})"
