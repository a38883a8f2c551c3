"""The one door to NVML: which GPUs this host has."""

from __future__ import annotations

from dataclasses import dataclass

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
