"""The only module that uses NVML: which GPUs this host has, and what they are doing."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

from msgspec import Struct

from faceorch.record.run import Gpu
from faceorch.telemetry.processes import LookUp
from faceorch.telemetry.samples import GpuProcess, GpuSample


class Gpus(Struct, frozen=True):
    """The GPUs that NVML sees; if there are none, `reason` is one line on why."""

    gpus: tuple[Gpu, ...]
    driver: str | None
    reason: str = ""


def read_gpus() -> Gpus:
    """Return the GPUs that NVML finds on this host."""
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


class GpuUser(Struct, frozen=True):
    """A process that uses a GPU. Memory is None if not reported; a pure graphics process does not compute."""

    pid: int
    memory_bytes: int | None
    computes: bool


class GpuState(Struct, frozen=True):
    """What one GPU is doing now.

    `mig_bytes` has the memory of its MIG instances, largest first. `users` is None if the driver lists no processes.
    """

    uuid: str
    free_bytes: int
    mig: bool
    mig_bytes: tuple[int, ...]
    users: tuple[GpuUser, ...] | None


def read_states() -> tuple[GpuState, ...]:
    """Return what each GPU is doing now; empty if NVML does not respond (`read_gpus` has the reason)."""
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
    """Return the handles of the MIG instances; None if the GPU is not partitioned."""
    import pynvml as nvml

    try:
        current, _ = nvml.nvmlDeviceGetMigMode(handle)
    except nvml.NVMLError:  # GPUs that do not support MIG answer "not supported"
        return None
    if current != nvml.NVML_DEVICE_MIG_ENABLE:
        return None
    instances = []
    for number in range(nvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
        with contextlib.suppress(nvml.NVMLError):  # a slot without an instance
            instances.append(nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, number))
    return instances


def _users(handles: list[Any]) -> tuple[GpuUser, ...] | None:
    """Return the processes on a GPU; for a partitioned GPU, they are listed by its instances."""
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
            except nvml.NVMLError:  # not reported under WSL2, nor to ordinary users of a partitioned GPU
                continue
            answered = answered or computes
            for process in found:
                memory = process.usedGpuMemory
                users[process.pid] = GpuUser(process.pid, None if memory is None else int(memory), computes)
    return tuple(sorted(users.values(), key=lambda user: user.pid)) if answered else None


# Each query is made every so many samples. Most take a tenth of a millisecond of a core; the energy counter takes five
# on an H100 (docs/reference/measurements.md), and only the first and last value of a total matter.
EVERY = {
    "memory": 1,
    "utilisation": 1,
    "power": 1,
    "processes": 1,
    "clock": 1,
    "temperature": 1,
    "throttle": 1,
    "graphics": 10,
    "energy": 20,
}
_OFFSET = {field: number for number, field in enumerate(EVERY)}


class Unavailable(Exception):
    """NVML cannot be used; the message is one line on why."""


class Nvml:
    """NVML held open on some GPUs, to be read many times a second; a context manager that raises `Unavailable`.

    `errors` keeps the first error for each GPU and field, `mig` the GPUs that are partitioned into instances.
    """

    def __init__(self, uuids: Sequence[str], look_up: LookUp) -> None:
        self._uuids, self._look_up = tuple(uuids), look_up
        self._handles: dict[str, Any] = {}
        self._instances: dict[str, list[Any]] = {}
        self._drawing: dict[tuple[str, int], list[Any]] = {}
        self._looks = 0
        self.errors: dict[str, dict[str, str]] = {}
        self.mig: frozenset[str] = frozenset()

    def __enter__(self) -> Nvml:
        import pynvml as nvml

        try:
            nvml.nvmlInit()
        except nvml.NVMLError_LibraryNotFound as error:
            raise Unavailable("no NVIDIA driver is installed") from error
        except nvml.NVMLError as error:
            raise Unavailable(f"NVML does not start: {error}") from error
        try:
            for uuid in self._uuids:
                self._handles[uuid] = nvml.nvmlDeviceGetHandleByUUID(uuid)
                divided = _mig(self._handles[uuid])
                self._instances[uuid] = [] if divided is None else divided or [self._handles[uuid]]
        except BaseException as error:
            nvml.nvmlShutdown()
            if isinstance(error, nvml.NVMLError):
                raise Unavailable(f"NVML does not open the GPU: {error}") from error
            raise
        self.mig = frozenset(uuid for uuid, instances in self._instances.items() if instances)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        import pynvml as nvml

        self._handles.clear()
        self._instances.clear()
        nvml.nvmlShutdown()

    def read(self, t_s: float, *, whole: bool = False) -> list[GpuSample]:
        """Return one sample of each GPU, all with the same time: the fields that are due, or all with `whole`."""
        self._looks += 1
        return [self._read(uuid, handle, t_s, whole) for uuid, handle in self._handles.items()]

    def _due(self, field: str, whole: bool) -> bool:
        return whole or (self._looks + _OFFSET[field]) % EVERY[field] == 0

    def _read(self, uuid: str, handle: Any, t_s: float, whole: bool) -> GpuSample:
        import pynvml as nvml

        def ask(field: str, function: Callable[..., Any], *arguments: Any) -> Any:
            return self._ask(uuid, field, function, handle, *arguments) if self._due(field, whole) else None

        memory = ask("memory", nvml.nvmlDeviceGetMemoryInfo)
        rates = ask("utilisation", nvml.nvmlDeviceGetUtilizationRates)
        power_mw = ask("power", nvml.nvmlDeviceGetPowerUsage)
        energy_mj = ask("energy", nvml.nvmlDeviceGetTotalEnergyConsumption)
        clock = ask("clock", nvml.nvmlDeviceGetClockInfo, nvml.NVML_CLOCK_SM)
        heat = ask("temperature", nvml.nvmlDeviceGetTemperature, nvml.NVML_TEMPERATURE_GPU)
        throttle = ask("throttle", nvml.nvmlDeviceGetCurrentClocksThrottleReasons)
        return GpuSample(
            t_s=t_s,
            gpu=uuid,
            used_bytes=None if memory is None else int(memory.used),
            total_bytes=None if memory is None else int(memory.total),
            utilisation_percent=None if rates is None else float(rates.gpu),
            memory_utilisation_percent=None if rates is None else float(rates.memory),
            power_w=None if power_mw is None else power_mw / 1000,
            energy_j=None if energy_mj is None else energy_mj / 1000,
            sm_clock_mhz=None if clock is None else float(clock),
            temperature_c=None if heat is None else float(heat),
            throttle=None if throttle is None else int(throttle),
            processes=self._processes(uuid, handle, whole) if self._due("processes", whole) else None,
        )

    def _processes(self, uuid: str, handle: Any, whole: bool) -> tuple[GpuProcess, ...] | None:
        """Return each process on a GPU once; one that computes and draws is in both of the driver's lists."""
        import pynvml as nvml

        found: dict[int, int | None] = {}
        answered = False
        for number, owner in enumerate(self._instances[uuid] or [handle]):
            computing = self._ask(uuid, "processes", nvml.nvmlDeviceGetComputeRunningProcesses, owner)
            answered = answered or computing is not None
            if self._due("graphics", whole):
                drawing = self._ask(uuid, "graphics", nvml.nvmlDeviceGetGraphicsRunningProcesses, owner)
                self._drawing[uuid, number] = list(drawing or ())
            seen: dict[int, int | None] = {}
            for entry in [*(computing or ()), *self._drawing.get((uuid, number), ())]:
                used, before = entry.usedGpuMemory, seen.get(int(entry.pid))
                seen[int(entry.pid)] = before if used is None else max(int(used), before or 0)
            for pid, bytes_ in seen.items():  # a process's memory on several instances adds up
                found[pid] = bytes_ if found.get(pid) is None else (bytes_ or 0) + (found[pid] or 0)
        if not answered:
            return None
        return tuple(self._process(pid, bytes_) for pid, bytes_ in sorted(found.items()))

    def _process(self, pid: int, memory_bytes: int | None) -> GpuProcess:
        facts = self._look_up(pid)
        if facts is None:
            return GpuProcess(pid=pid, memory_bytes=memory_bytes)
        return GpuProcess(
            pid=pid,
            memory_bytes=memory_bytes,
            started=facts.started,
            container=facts.container,
            session=facts.session,
        )

    def _ask(self, uuid: str, field: str, function: Callable[..., Any], *arguments: Any) -> Any:
        import pynvml as nvml

        try:
            return function(*arguments)
        except nvml.NVMLError as error:
            self.errors.setdefault(uuid, {}).setdefault(field, str(error))
            return None
