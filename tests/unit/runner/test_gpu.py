"""The GPU is opened ahead; torch's blocks of its memory grow where the driver can, and stay as they are elsewhere."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest

from faceorch_runner import gpu
from tests.conftest import LIMIT_S

NAMES = ("PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF")


class Driver:
    """Stands in for libcuda: answers one attribute."""

    def __init__(self, able: int, refuses: str = "") -> None:
        self._able, self._refuses = able, refuses
        self.contexts = 0

    def _answer(self, name: str) -> int:
        return 100 if name == self._refuses else 0

    def cuInit(self, flags: int) -> int:  # noqa: N802
        return self._answer("cuInit")

    def cuDeviceGet(self, device: Any, index: int) -> int:  # noqa: N802
        return self._answer("cuDeviceGet")

    def cuDeviceGetAttribute(self, value: Any, attribute: int, device: Any) -> int:  # noqa: N802
        assert attribute == 102
        value._obj.value = self._able
        return self._answer("cuDeviceGetAttribute")

    def cuDevicePrimaryCtxRetain(self, context: Any, device: Any) -> int:  # noqa: N802
        self.contexts += 1
        return self._answer("cuDevicePrimaryCtxRetain")


@pytest.fixture(autouse=True)
def untouched(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.setenv(name, "")  # so that what a test sets is undone
        monkeypatch.delenv(name)
    monkeypatch.setattr(gpu, "_WSL", Path("/no/such/node"))


def found() -> dict[str, str]:
    return {name: os.environ[name] for name in NAMES if name in os.environ}


def opened() -> None:
    opening = gpu.Opening()
    opening.wait_until_decided()
    for thread in threading.enumerate():
        if thread.name == "gpu":
            thread.join(LIMIT_S)


def use(monkeypatch: pytest.MonkeyPatch, driver: Driver) -> None:
    monkeypatch.setattr("ctypes.CDLL", lambda name: driver)


def test_blocks_grow_where_the_driver_can_map_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, Driver(1))
    opened()
    assert found() == dict.fromkeys(NAMES, "expandable_segments:True")


@pytest.mark.parametrize(
    "driver", [Driver(0), Driver(1, "cuInit"), Driver(1, "cuDeviceGet"), Driver(1, "cuDeviceGetAttribute")]
)
def test_a_driver_that_cannot_is_left_alone(monkeypatch: pytest.MonkeyPatch, driver: Driver) -> None:
    use(monkeypatch, driver)
    opened()
    assert not found()


def test_no_driver_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr("ctypes.CDLL", missing)
    opened()
    assert not found()


def test_wsl_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, Driver(1))
    monkeypatch.setattr(gpu, "_WSL", Path(os.devnull))
    opened()
    assert not found()


@pytest.mark.parametrize("name", NAMES)
def test_what_the_user_has_set_stays(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    use(monkeypatch, Driver(1))
    os.environ[name] = "max_split_size_mb:256"
    opened()
    assert found() == {name: "max_split_size_mb:256"}


def test_the_context_that_torch_will_use_is_made_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_MODULE_LOADING", raising=False)
    driver = Driver(1)
    use(monkeypatch, driver)
    opened()
    assert driver.contexts == 1
    assert os.environ["CUDA_MODULE_LOADING"] == "LAZY"


@pytest.mark.parametrize("refuses", ["cuInit", "cuDeviceGet"])
def test_no_context_without_a_gpu(monkeypatch: pytest.MonkeyPatch, refuses: str) -> None:
    driver = Driver(1, refuses)
    use(monkeypatch, driver)
    opened()
    assert driver.contexts == 0
