"""The GPU before torch is imported: opened meanwhile, and how torch will take its memory."""

from __future__ import annotations

import ctypes
import os
import threading
from pathlib import Path
from typing import Any

# The newer torch reads the second name, older ones the first.
_SETTINGS = ("PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF")
_GROWING = "expandable_segments:True"
_WSL = Path("/dev/dxg")  # the GPU's device node there
# CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED of the CUDA driver API
_VIRTUAL_MEMORY = 102


class Opening:
    """Opens the first GPU in a thread of its own: a third of a second that needs none of Python's locks.

    The driver's context is the one that torch uses: when torch wants it, it is there. A driver that refuses says why to
    torch.
    """

    def __init__(self) -> None:
        self._decided = threading.Event()
        threading.Thread(target=self._open, name="gpu", daemon=True).start()

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
        if found is not None:
            driver, device = found
            driver.cuDevicePrimaryCtxRetain(ctypes.byref(ctypes.c_void_p()), device)


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
