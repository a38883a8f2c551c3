"""The GPU is opened ahead; torch's blocks of its memory grow where the driver can, and stay as they are elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
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

    def cuCtxSetCurrent(self, context: Any) -> int:  # noqa: N802
        return 0


class Library:
    """Stands in for cuBLAS and cuDNN: remembers what is asked of it, and refuses to make what `refuses` says."""

    def __init__(self, refuses: str = "") -> None:
        self.asked: list[str] = []
        self._refuses = refuses

    def __getattr__(self, name: str) -> Callable[[Any], int]:
        def answer(handle: Any) -> int:
            self.asked.append(name)
            return 1 if name == self._refuses else 0

        return answer


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
    opening.torch_is_loaded()
    for thread in threading.enumerate():
        if thread.name == "gpu":
            thread.join(LIMIT_S)


def use(monkeypatch: pytest.MonkeyPatch, driver: Driver, loaded: dict[str, Library] | None = None) -> None:
    def library(name: str, mode: int | None = None) -> Any:
        if name == "libcuda.so.1":
            return driver
        assert mode == os.RTLD_NOLOAD | os.RTLD_LAZY  # never one that torch has not loaded
        if name not in (loaded or {}):
            raise OSError(f"{name}: cannot open shared object file")
        return (loaded or {})[name]

    monkeypatch.setattr("ctypes.CDLL", library)


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


MAKES = [
    *("cublasCreate_v2", "cublasDestroy_v2", "cudnnCreate", "cudnnDestroy"),
    *("cudnnCreateConvolutionDescriptor", "cudnnDestroyConvolutionDescriptor"),
]


@pytest.mark.parametrize("names", [("libcublas.so.12", "libcudnn.so.8"), ("libcublas.so.13", "libcudnn.so.9")])
def test_the_libraries_that_torch_has_loaded_are_opened_and_nothing_of_them_is_kept(
    names: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    library = Library()
    use(monkeypatch, Driver(1), dict.fromkeys(names, library))
    opened()
    assert library.asked == MAKES


def test_what_a_library_refuses_to_make_is_not_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    library = Library("cudnnCreate")
    use(monkeypatch, Driver(1), dict.fromkeys(("libcublas.so.12", "libcudnn.so.8"), library))
    opened()
    assert library.asked == [name for name in MAKES if name != "cudnnDestroy"]


def test_no_library_is_opened_where_there_is_no_context(monkeypatch: pytest.MonkeyPatch) -> None:
    library = Library()
    refuses = Driver(1, "cuDevicePrimaryCtxRetain")
    use(monkeypatch, refuses, dict.fromkeys(("libcublas.so.12", "libcudnn.so.8"), library))
    opened()
    assert library.asked == []


def test_no_library_is_opened_before_torch_has_loaded_it(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, Driver(1), {"libcudnn.so.8": (library := Library())})
    opening = gpu.Opening()
    opening.wait_until_decided()
    assert library.asked == []
    opening.torch_is_loaded()
    for thread in threading.enumerate():
        if thread.name == "gpu":
            thread.join(LIMIT_S)
    assert library.asked == MAKES[2:]


class Loader:
    """Stands in for the C library's dlopen."""

    def __init__(self, missing: str = "") -> None:
        self.asked: list[tuple[str, int]] = []
        self._missing = missing

    def __call__(self, path: bytes, mode: int) -> int | None:
        self.asked.append((Path(os.fsdecode(path)).name, mode))
        return None if self.asked[-1][0] == self._missing else 4096


def loads(monkeypatch: pytest.MonkeyPatch, loader: Loader, *places: str) -> list[str]:
    spec = SimpleNamespace(submodule_search_locations=list(places)) if places else None
    monkeypatch.setattr("importlib.util.find_spec", lambda name: spec)
    monkeypatch.setattr("ctypes.CDLL", lambda name: SimpleNamespace(dlopen=loader))
    gpu.load_torch()
    return [name for name, _ in loader.asked]


def test_torchs_libraries_are_loaded_as_torch_does_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    loader = Loader()
    assert loads(monkeypatch, loader, str(tmp_path)) == ["libtorch_global_deps.so", "libtorch_python.so"]
    assert [bool(mode & os.RTLD_GLOBAL) for _, mode in loader.asked] == [True, False]


def test_what_cannot_be_loaded_is_left_to_torch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert loads(monkeypatch, Loader("libtorch_global_deps.so"), str(tmp_path)) == ["libtorch_global_deps.so"]
    assert loads(monkeypatch, Loader()) == []  # no torch at all


def test_torch_is_imported_as_ever_after_its_libraries(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="its libraries")
    code = "from faceorch_runner.gpu import load_torch; load_torch(); import torch; print(torch.ones(3).sum().item())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert done.stdout.strip() == "3.0", done.stderr
