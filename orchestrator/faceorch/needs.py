"""What keeps a network from running here: one pure judgement per need, for `faceorch run`'s plan and for `doctor`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from faceorch.engine.facts import EngineFacts
from faceorch.engine.versions import version_key
from faceorch.networks.bases import Base, choose_base
from faceorch.networks.manifest import Needs
from faceorch.record.kinds import OutcomeKind
from faceorch.record.reason import Reason
from faceorch.record.run import Gpu
from faceorch.words import size

API_MIN = "1.40"  # device requests: Docker 19.03
ARCHITECTURE = "x86_64"
GB = 10**9  # as on a GPU's box: a card of 10 GB has room for what needs 10 GB, although it shows 9.8 GiB


def engine_problem(engine: EngineFacts) -> Reason | None:
    """Check an engine that answers: is it new enough, and does it run Linux containers?"""
    if engine.os_type != "linux":
        return Reason(
            kind=OutcomeKind.NO_ENGINE,
            found=f"an engine of {engine.os_type} containers",
            needed="Linux containers",
            remedy="switch Docker Desktop to Linux containers",
        )
    if version_key(engine.api) < version_key(API_MIN):
        found = f"{engine.name} {engine.version} (API {engine.api})"
        needed, remedy = f"API {API_MIN} or newer", "update Docker to 24 or newer"
        return Reason(kind=OutcomeKind.NO_ENGINE, found=found, needed=needed, remedy=remedy)
    return None


def architecture_problem(architecture: str) -> Reason | None:
    """Check the processor for networks with a GPU: the torch that is locked has GPU code in one kind of wheel only."""
    if architecture == ARCHITECTURE:
        return None
    remedy = f"run it on a host with an {ARCHITECTURE} processor"
    found = f"processor {architecture}"
    return Reason(kind=OutcomeKind.NOT_AVAILABLE, found=found, needed=ARCHITECTURE, remedy=remedy)


def no_gpu_problem(needs: Needs, gpus: Sequence[Gpu], reason: str) -> Reason | None:
    """Check that there is a GPU for a network that needs one; `reason` says why there is none."""
    if gpus or not needs.gpu:
        return None
    found = f"needs an NVIDIA GPU: {reason}"
    return Reason(kind=OutcomeKind.NO_GPU, found=found, remedy="run it on a host with an NVIDIA GPU")


def driver_problem(driver: str | None, base: Base) -> Reason | None:
    """Check the driver against the oldest one that runs `base`; a driver of unknown version passes."""
    if driver is None or base.driver_min is None or version_key(driver) >= version_key(base.driver_min):
        return None
    return Reason(
        kind=OutcomeKind.UNSUPPORTED_DRIVER,
        found=f"NVIDIA driver {driver}",
        needed=f"{base.driver_min} or newer for CUDA {base.cuda} ({base.name})",
        remedy=f"update the NVIDIA driver to {base.driver_min} or newer, then restart the host",
    )


def kernel_problem(
    names: Sequence[str], gpus: Sequence[Gpu], *, forced: bool = False, bases: Mapping[str, Base] | None = None
) -> Reason | None:
    """Check the GPUs against the kernels that the torch of each base holds; `forced`: the user named the base."""
    if choose_base(names, gpus, bases) is not None:
        return None
    devices = ", ".join(f"{gpu.index} ({gpu.name}, compute capability {gpu.compute_capability})" for gpu in gpus)
    one = len(gpus) == 1
    which = f"the base {names[0]} does not have" if forced else f"no base of it ({', '.join(names)}) has"
    return Reason(
        kind=OutcomeKind.UNSUPPORTED_GPU,
        found=f"{which} kernels for {'' if one else 'all of '}GPU {devices}",
        remedy="choose GPUs of one generation with --gpus"
        if not one
        else "leave out --base"
        if forced
        else "choose another GPU with --gpus",
    )


def vram_problem(gpus: Sequence[Gpu], vram_gb: float | None) -> Reason | None:
    """Check the memory of every GPU that may be used."""
    if vram_gb is None:
        return None
    small = [gpu for gpu in gpus if gpu.memory_bytes < vram_gb * GB]
    if not small:
        return None
    fitting = ",".join(str(gpu.index) for gpu in gpus if gpu not in small)
    return Reason(
        kind=OutcomeKind.UNSUPPORTED_GPU,
        found=", ".join(f"GPU {gpu.index} ({gpu.name}) with {size(gpu.memory_bytes)}" for gpu in small),
        needed=f"{vram_gb:g} GB of GPU memory",
        remedy=f"--gpus {fitting}" if fitting else f"use a GPU with {vram_gb:g} GB or more",
    )


def ram_problem(memory_bytes: int | None, ram_gb: float) -> Reason | None:
    """Check the memory of the host (or of the engine's machine); an unknown amount passes."""
    if memory_bytes is None or memory_bytes >= ram_gb * GB:
        return None
    return Reason(
        kind=OutcomeKind.TOO_LITTLE_MEMORY,
        found=f"{size(memory_bytes)} of memory",
        needed=f"{ram_gb:g} GB",
        remedy=f"run it on a host with {ram_gb:g} GB of memory or more",
    )


def held(base: Base) -> str:
    """Return which kernels a base's torch holds."""
    if base.torch is None:
        return f"{base.name} (which has no torch)"
    return f"{base.name} (torch {base.torch}: {', '.join(base.kernels)})"
