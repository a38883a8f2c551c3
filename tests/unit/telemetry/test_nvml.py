"""What NVML says a GPU is doing now: answers of a made-up driver."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pynvml
import pytest

from faceorch.telemetry.nvml import GpuState, GpuUser, read_states


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A driver with one GPU. Change the answers in the returned dict; an exception as answer is raised."""
    not_supported = pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
    answers: dict[str, Any] = {
        "Init": None,
        "Shutdown": None,
        "DeviceGetCount": 1,
        "DeviceGetHandleByIndex": "gpu",
        "DeviceGetUUID": "GPU-a",
        "DeviceGetMemoryInfo": SimpleNamespace(free=5, total=8),
        "DeviceGetMigMode": not_supported,
        "DeviceGetGraphicsRunningProcesses": [],
        "DeviceGetComputeRunningProcesses": [],
    }

    def answer(name: str) -> Any:
        def call(*arguments: Any) -> Any:
            value = answers[name]
            if callable(value):
                value = value(*arguments)
            if isinstance(value, Exception):
                raise value
            return value

        return call

    names = (*answers, "DeviceGetMaxMigDeviceCount", "DeviceGetMigDeviceHandleByIndex")
    for name in names:
        monkeypatch.setattr(pynvml, f"nvml{name}", answer(name))
    return answers


def process(pid: int, memory: int | None) -> SimpleNamespace:
    return SimpleNamespace(pid=pid, usedGpuMemory=memory)


def test_an_idle_gpu(driver: dict[str, Any]) -> None:
    assert read_states() == (GpuState("GPU-a", 5, False, (), ()),)


def test_users_are_told_apart_by_what_they_do(driver: dict[str, Any]) -> None:
    driver["DeviceGetGraphicsRunningProcesses"] = [process(2, 30), process(1, 10)]
    driver["DeviceGetComputeRunningProcesses"] = [process(1, 20), process(3, None)]
    (state,) = read_states()
    assert state.users == (GpuUser(1, 20, True), GpuUser(2, 30, False), GpuUser(3, None, True))


def test_users_that_the_driver_does_not_tell(driver: dict[str, Any]) -> None:
    driver["DeviceGetComputeRunningProcesses"] = pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
    driver["DeviceGetGraphicsRunningProcesses"] = pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
    (state,) = read_states()
    assert state.users is None


def test_a_divided_gpu_tells_its_instances_largest_first(driver: dict[str, Any]) -> None:
    driver["DeviceGetMigMode"] = (pynvml.NVML_DEVICE_MIG_ENABLE, pynvml.NVML_DEVICE_MIG_ENABLE)
    driver["DeviceGetMaxMigDeviceCount"] = 3
    instances = {0: 10, 2: 20}
    driver["DeviceGetMigDeviceHandleByIndex"] = lambda handle, number: instances.get(
        number, pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)
    )
    driver["DeviceGetMemoryInfo"] = lambda handle: SimpleNamespace(free=5, total=8 if handle == "gpu" else handle)
    driver["DeviceGetComputeRunningProcesses"] = lambda handle: [] if handle == "gpu" else [process(handle, 1)]
    (state,) = read_states()
    assert (state.mig, state.mig_bytes) == (True, (20, 10))
    assert state.users == (GpuUser(10, 1, True), GpuUser(20, 1, True)), "its instances tell, the GPU itself does not"


def test_a_gpu_that_could_be_divided_and_is_not(driver: dict[str, Any]) -> None:
    driver["DeviceGetMigMode"] = (pynvml.NVML_DEVICE_MIG_DISABLE, pynvml.NVML_DEVICE_MIG_ENABLE)
    assert read_states()[0].mig is False


@pytest.mark.parametrize("failing", ["Init", "DeviceGetCount", "DeviceGetMemoryInfo"])
def test_a_driver_that_does_not_answer_says_nothing(driver: dict[str, Any], failing: str) -> None:
    driver[failing] = pynvml.NVMLError(pynvml.NVML_ERROR_UNKNOWN)
    assert read_states() == ()
