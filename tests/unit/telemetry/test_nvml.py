"""What NVML says a GPU is doing now, and what it refuses: answers of a made-up driver."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pynvml
import pytest

from faceorch.telemetry.nvml import GpuState, GpuUser, Nvml, Unavailable, read_states
from faceorch.telemetry.processes import Facts
from tests.fake_nvml import MIB, FakeNvml, NVMLError_LibraryNotFound
from tests.unit.telemetry.conftest import OURS


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


class TestNvml:
    @staticmethod
    def facts(pid: int) -> Facts | None:
        return Facts(1, OURS)

    def test_a_process_that_computes_and_draws_is_one(self, nvml: FakeNvml) -> None:
        nvml.compute, nvml.graphics = [(7, 900), (8, 10)], [(7, 850), (9, 40)]
        with Nvml(["GPU-0"], self.facts) as door:
            (sample,) = door.read(1.0, whole=True)
        assert sample.processes is not None
        assert [(p.pid, (p.memory_bytes or 0) // MIB) for p in sample.processes] == [(7, 900), (8, 10), (9, 40)]
        assert (sample.utilisation_percent, sample.power_w, sample.sm_clock_mhz, sample.throttle) == (90, 150, 1800, 4)

    def test_what_the_driver_refuses_is_none_and_the_refusal_is_kept(self, nvml: FakeNvml) -> None:
        nvml.refused = {"energy", "throttle", "processes"}
        nvml.compute = [(7, None)]
        with Nvml(["GPU-0"], self.facts) as door:
            (sample,) = door.read(1.0, whole=True)
            assert door.errors["GPU-0"]["energy"] == "Not Supported"
        assert (sample.energy_j, sample.throttle, sample.processes) == (None, None, None)

    def test_what_is_dear_and_needed_rarely_is_asked_less_often(self, nvml: FakeNvml) -> None:
        nvml.graphics = [(9, 40)]
        with Nvml(["GPU-0"], self.facts) as door:
            samples = [door.read(float(t))[0] for t in range(20)]
        names = (
            "used_bytes",
            "utilisation_percent",
            "power_w",
            "processes",
            "sm_clock_mhz",
            "temperature_c",
            "throttle",
        )
        for name in names:
            assert [sample for sample in samples if getattr(sample, name) is None] == [], name
        assert sum(sample.energy_j is not None for sample in samples) == 1
        last = samples[-1].processes
        assert last is not None
        assert [process.pid for process in last] == [7, 9], "who only draws is remembered in between"

    def test_of_a_split_gpu_every_instance_is_asked(self, nvml: FakeNvml) -> None:
        nvml.instances, nvml.compute = [[(7, 300)], [(8, None), (7, 100)]], [(99, 1)]
        with Nvml(["GPU-0"], self.facts) as door:
            (sample,) = door.read(1.0, whole=True)
            assert door.mig == {"GPU-0"}
        assert sample.processes is not None
        assert [(p.pid, p.memory_bytes) for p in sample.processes] == [(7, 400 * MIB), (8, None)]

    def test_a_door_that_does_not_open_says_why(self, nvml: FakeNvml) -> None:
        nvml.refuses_to_start = NVMLError_LibraryNotFound
        with pytest.raises(Unavailable, match="no NVIDIA driver is installed"), Nvml(["GPU-0"], self.facts):
            pass
