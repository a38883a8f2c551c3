"""The GPU before torch is imported: opened meanwhile, with its libraries, and how torch will take its memory."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

# The newer torch reads the second name, older ones the first.
_SETTINGS = ("PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF")
_GROWING = "expandable_segments:True"
_WSL = Path("/dev/dxg")  # the GPU's device node there
# CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED of the CUDA driver API
_VIRTUAL_MEMORY = 102
# cuBLAS and cuDNN by their names of today and before, and what of them is made and taken away again: the first of each
# opens its library, and cuDNN's descriptor the part that convolves (their API references; all return 0 for success).
_LIBRARIES = (
    (("libcublas.so.13", "libcublas.so.12"), (("cublasCreate_v2", "cublasDestroy_v2"),)),
    (
        ("libcudnn.so.9", "libcudnn.so.8"),
        (
            ("cudnnCreate", "cudnnDestroy"),
            ("cudnnCreateConvolutionDescriptor", "cudnnDestroyConvolutionDescriptor"),
        ),
    ),
)


class Opening:
    """Opens the first GPU in a thread of its own, then cuBLAS and cuDNN: most of a second, free of Python's locks.

    The driver's context is the one that torch uses: when torch wants it, it is there. A driver that refuses says why to
    torch.
    """

    def __init__(self) -> None:
        self._decided, self._loaded = threading.Event(), threading.Event()
        threading.Thread(target=self._open, name="gpu", daemon=True).start()

    def torch_is_loaded(self) -> None:
        """Let the libraries be opened that came with torch's own."""
        self._loaded.set()

    def wait_until_decided(self) -> None:
        """Wait until it is settled how torch takes memory; it may take some from then on."""
        self._decided.wait()

    def _open(self) -> None:
        found = None
        try:
            found = _first_device()
            if found is not None:
                _let_blocks_grow(*found)
        finally:
            self._decided.set()
        if found is None:
            return
        driver, device = found
        context = ctypes.c_void_p()
        if driver.cuDevicePrimaryCtxRetain(ctypes.byref(context), device) == 0:
            driver.cuCtxSetCurrent(context)
            self._loaded.wait()
            _open_libraries()


def load_torch() -> None:
    """Load torch's libraries ahead of its import, which would keep Python's lock for all of half a second.

    In the order of torch's own code, so that every symbol is found where it would be. Where this does not work, torch's
    import does it, or says what is wrong.
    """
    spec = None
    if sys.platform == "linux":
        with suppress(ImportError, ValueError):
            spec = importlib.util.find_spec("torch")
    # The C library's function and not ctypes.CDLL, which keeps that lock too (CPython 3.11). glibc has it since 2.34.
    load = getattr(ctypes.CDLL(None), "dlopen", None) if spec is not None else None
    if spec is None or not spec.submodule_search_locations or load is None:
        return
    load.restype = ctypes.c_void_p
    libraries = Path(spec.submodule_search_locations[0], "lib")
    for name, scope in (("libtorch_global_deps.so", os.RTLD_GLOBAL), ("libtorch_python.so", os.RTLD_LOCAL)):
        if load(os.fsencode(libraries / name), os.RTLD_NOW | scope) is None:
            return


def _open_libraries() -> None:
    for names, makes in _LIBRARIES:
        library = _already_loaded(names)
        for make, take in makes:
            handle = ctypes.c_void_p()
            if library is not None and getattr(library, make)(ctypes.byref(handle)) == 0:
                getattr(library, take)(handle)


def _already_loaded(names: tuple[str, ...]) -> Any:
    """Return the first library of these that this process has loaded, None when it has none."""
    for name in names:
        with suppress(OSError):
            return ctypes.CDLL(name, mode=os.RTLD_NOLOAD | os.RTLD_LAZY)
    return None


def _first_device() -> tuple[Any, ctypes.c_int] | None:
    """Return the driver and its first device, None where there is none."""
    # As torch would set it: kernels are loaded when they are first used.
    os.environ.setdefault("CUDA_MODULE_LOADING", "LAZY")
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return None
    device = ctypes.c_int()
    found = driver.cuInit(0) == 0 and driver.cuDeviceGet(ctypes.byref(device), 0) == 0
    return (driver, device) if found else None


def _let_blocks_grow(driver: Any, device: ctypes.c_int) -> None:
    """Let torch's allocator enlarge its blocks where it would add others beside them.

    That takes a fifth less GPU memory in the same time, with the same pixels (docs/benchmarks.md). Some virtual GPUs
    and WSL2 cannot do it (cuMemMap), and torch would fail there: then nothing is changed. Nor is it where somebody has
    set torch's allocator already.
    """
    able = ctypes.c_int()
    if any(name in os.environ for name in _SETTINGS) or _WSL.exists():
        return
    if driver.cuDeviceGetAttribute(ctypes.byref(able), _VIRTUAL_MEMORY, device) == 0 and able.value == 1:
        os.environ.update(dict.fromkeys(_SETTINGS, _GROWING))
