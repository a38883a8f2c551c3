"""The one door to NVML: which GPUs this host has."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

from faceorch.record import Gpu


@dataclass(frozen=True, slots=True)
class Gpus:
    """The GPUs that NVML sees; when there are none, `reason` says why in one line."""

    gpus: tuple[Gpu, ...]
    driver: str | None
    reason: str = ""


def read_gpus() -> Gpus:
    """Ask NVML which GPUs this host has."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError_LibraryNotFound:
        return Gpus((), None, "no NVIDIA driver is installed")
    except pynvml.NVMLError as error:
        return Gpus((), None, f"NVML does not start: {error}")
    try:
        driver = str(pynvml.nvmlSystemGetDriverVersion())
        gpus = tuple(_read(index) for index in range(pynvml.nvmlDeviceGetCount()))
        return Gpus(gpus, driver, "" if gpus else "the NVIDIA driver sees no GPU")
    except pynvml.NVMLError as error:
        return Gpus((), None, f"NVML fails: {error}")
    finally:
        pynvml.nvmlShutdown()


def _read(index: int) -> Gpu:
    import pynvml as nvml

    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    major, minor = nvml.nvmlDeviceGetCudaComputeCapability(handle)
    return Gpu(
        index=index,
        uuid=str(nvml.nvmlDeviceGetUUID(handle)),
        name=str(nvml.nvmlDeviceGetName(handle)),
        memory_bytes=int(nvml.nvmlDeviceGetMemoryInfo(handle).total),
        compute_capability=f"{major}.{minor}",
    )


@dataclass(frozen=True, slots=True)
class GpuUser:
    """A process that uses a GPU. Its memory is None where the driver does not tell; graphics alone never computes."""

    pid: int
    memory_bytes: int | None
    computes: bool


@dataclass(frozen=True, slots=True)
class GpuState:
    """What one GPU is doing now.

    `mig_bytes` has the memory of its MIG instances, largest first; `users` is None where the driver tells of nobody.
    """

    uuid: str
    free_bytes: int
    mig: bool
    mig_bytes: tuple[int, ...]
    users: tuple[GpuUser, ...] | None


def read_states() -> tuple[GpuState, ...]:
    """Ask NVML what each GPU is doing now; nothing where NVML does not answer (`read_gpus` says why)."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return ()
    try:
        return tuple(_state(index) for index in range(pynvml.nvmlDeviceGetCount()))
    except pynvml.NVMLError:
        return ()
    finally:
        pynvml.nvmlShutdown()


def _state(index: int) -> GpuState:
    import pynvml as nvml

    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    instances = _mig(handle)
    sizes = [int(nvml.nvmlDeviceGetMemoryInfo(instance).total) for instance in instances or ()]
    return GpuState(
        uuid=str(nvml.nvmlDeviceGetUUID(handle)),
        free_bytes=int(nvml.nvmlDeviceGetMemoryInfo(handle).free),
        mig=instances is not None,
        mig_bytes=tuple(sorted(sizes, reverse=True)),
        users=_users(instances or [handle]),
    )


def _mig(handle: Any) -> list[Any] | None:
    """Return the handles of the MIG instances; None when the GPU is not divided."""
    import pynvml as nvml

    try:
        current, _ = nvml.nvmlDeviceGetMigMode(handle)
    except nvml.NVMLError:  # GPUs that cannot be divided answer "not supported"
        return None
    if current != nvml.NVML_DEVICE_MIG_ENABLE:
        return None
    instances = []
    for number in range(nvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
        with contextlib.suppress(nvml.NVMLError):  # a place that no instance takes
            instances.append(nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, number))
    return instances


def _users(handles: list[Any]) -> tuple[GpuUser, ...] | None:
    """Return who uses a GPU; of a divided one its instances tell, not the GPU itself."""
    import pynvml as nvml

    users: dict[int, GpuUser] = {}
    answered = False
    for handle in handles:
        for ask, computes in (
            (nvml.nvmlDeviceGetGraphicsRunningProcesses, False),
            (nvml.nvmlDeviceGetComputeRunningProcesses, True),
        ):
            try:
                found = ask(handle)
            except nvml.NVMLError:  # not told under WSL2, nor to ordinary users of a divided GPU
                continue
            answered = answered or computes
            for process in found:
                memory = process.usedGpuMemory
                users[process.pid] = GpuUser(process.pid, None if memory is None else int(memory), computes)
    return tuple(sorted(users.values(), key=lambda user: user.pid)) if answered else None
