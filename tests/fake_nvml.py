# ruff: noqa: N802
"""A made-up NVML behind the one door to it: what the driver says, and whether everything opened was closed again."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

MIB = 2**20


class NVMLError(Exception):
    pass


class NVMLError_LibraryNotFound(NVMLError):  # noqa: N801
    pass


class NVMLError_NotFound(NVMLError):  # noqa: N801
    pass


@dataclass
class FakeNvml:
    """One GPU. `compute`, `graphics` and each of `instances` list (pid, MiB or None); `refused` fields are refused."""

    compute: list[tuple[int, int | None]] = field(default_factory=list)
    graphics: list[tuple[int, int | None]] = field(default_factory=list)
    instances: list[list[tuple[int, int | None]]] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)
    refuses_to_start: type[NVMLError] | None = None
    opened: int = 0
    reads: int = 0

    NVMLError = NVMLError
    NVMLError_LibraryNotFound = NVMLError_LibraryNotFound
    NVMLError_NotFound = NVMLError_NotFound
    NVML_CLOCK_SM, NVML_TEMPERATURE_GPU, NVML_DEVICE_MIG_ENABLE = 1, 0, 1

    def install(self, monkeypatch: pytest.MonkeyPatch) -> FakeNvml:
        monkeypatch.setitem(sys.modules, "pynvml", self)
        return self

    def nvmlInit(self) -> None:
        if self.refuses_to_start is not None:
            raise self.refuses_to_start("Driver Not Loaded")
        self.opened += 1

    def nvmlShutdown(self) -> None:
        assert self.opened > 0, "closed more often than opened"
        self.opened -= 1

    def _answer(self, name: str, value: Any) -> Any:
        assert self.opened > 0, f"{name} asked of a closed NVML"
        if name in self.refused:
            raise NVMLError("Not Supported")
        return value

    def nvmlDeviceGetCount(self) -> int:
        return int(self._answer("count", 1))

    def nvmlSystemGetDriverVersion(self) -> str:
        return str(self._answer("driver", "580.65"))

    def nvmlDeviceGetHandleByIndex(self, index: int) -> str:
        return "gpu"

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:
        return str(self._answer("handle", "gpu"))

    def nvmlDeviceGetUUID(self, handle: str) -> str:
        return "GPU-0"

    def nvmlDeviceGetName(self, handle: str) -> str:
        return "Test GPU"

    def nvmlDeviceGetCudaComputeCapability(self, handle: str) -> tuple[int, int]:
        return 8, 6

    def nvmlDeviceGetMemoryInfo(self, handle: str) -> SimpleNamespace:
        self.reads += 1
        used = sum(mib or 0 for _, mib in self.compute)
        return self._answer("memory", SimpleNamespace(used=used * MIB, total=8192 * MIB, free=1))  # type: ignore[no-any-return]

    def nvmlDeviceGetUtilizationRates(self, handle: str) -> SimpleNamespace:
        return self._answer("utilisation", SimpleNamespace(gpu=90, memory=30))  # type: ignore[no-any-return]

    def nvmlDeviceGetPowerUsage(self, handle: str) -> int:
        return int(self._answer("power", 150_000))

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: str) -> int:
        return int(self._answer("energy", 1000 * self.reads))

    def nvmlDeviceGetClockInfo(self, handle: str, kind: int) -> int:
        return int(self._answer("clock", 1800))

    def nvmlDeviceGetTemperature(self, handle: str, kind: int) -> int:
        return int(self._answer("temperature", 60))

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, handle: str) -> int:
        return int(self._answer("throttle", 0x4))

    def nvmlDeviceGetMigMode(self, handle: str) -> tuple[int, int]:
        if not self.instances:
            raise NVMLError("Not Supported")
        return 1, 1

    def nvmlDeviceGetMaxMigDeviceCount(self, handle: str) -> int:
        return 7

    def nvmlDeviceGetMigDeviceHandleByIndex(self, handle: str, index: int) -> int:
        if index >= len(self.instances):
            raise NVMLError_NotFound("Not Found")
        return index

    def nvmlDeviceGetComputeRunningProcesses(self, handle: str | int) -> list[SimpleNamespace]:
        found = self.instances[handle] if isinstance(handle, int) else self.compute
        return self._answer("processes", [_process(*entry) for entry in found])  # type: ignore[no-any-return]

    def nvmlDeviceGetGraphicsRunningProcesses(self, handle: str | int) -> list[SimpleNamespace]:
        found = [] if isinstance(handle, int) else self.graphics
        return self._answer("graphics", [_process(*entry) for entry in found])  # type: ignore[no-any-return]


def _process(pid: int, mib: int | None) -> SimpleNamespace:
    return SimpleNamespace(pid=pid, usedGpuMemory=None if mib is None else mib * MIB)
