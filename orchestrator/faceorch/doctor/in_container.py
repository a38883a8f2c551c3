"""Computes on every visible GPU and prints one JSON object. Runs inside a container, on the standard library alone.

If torch is installed, it multiplies matrices, as the networks do. Otherwise it passes a few lines of PTX to the driver,
which compiles them for the GPU, and checks their result.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import sys
import time
from typing import Any

# Adds 1 to each of `count` 32-bit integers.
PTX = b"""
.version 6.0
.target sm_50
.address_size 64
.visible .entry add_one(.param .u64 data, .param .u32 count)
{
    .reg .pred %outside;
    .reg .b32 %value, %index, %total, %block, %size, %thread;
    .reg .b64 %address, %offset;
    ld.param.u64 %address, [data];
    ld.param.u32 %total, [count];
    mov.u32 %block, %ctaid.x;
    mov.u32 %size, %ntid.x;
    mov.u32 %thread, %tid.x;
    mad.lo.s32 %index, %block, %size, %thread;
    setp.ge.u32 %outside, %index, %total;
    @%outside bra done;
    cvta.to.global.u64 %address, %address;
    mul.wide.u32 %offset, %index, 4;
    add.s64 %address, %address, %offset;
    ld.global.u32 %value, [%address];
    add.u32 %value, %value, 1;
    st.global.u32 [%address], %value;
done:
    ret;
}
"""


def with_torch(torch: Any) -> dict[str, Any]:
    """Multiply two matrices on each GPU and compare the product with the CPU's."""
    found: dict[str, Any] = {"with": f"torch {torch.__version__}", "kernels": [], "gpus": []}
    try:
        torch.cuda.init()
    except (RuntimeError, AssertionError) as error:  # no driver, no GPU, or a torch without CUDA
        found["error"] = str(error).splitlines()[0]
        return found
    found["kernels"] = torch.cuda.get_arch_list()
    torch.manual_seed(0)
    left, right = torch.randn(256, 256), torch.randn(256, 256)
    wanted = left @ right
    for index in range(torch.cuda.device_count()):
        begun = time.monotonic()
        gpu: dict[str, Any] = {"name": torch.cuda.get_device_name(index)}
        try:
            got = (left.cuda(index) @ right.cuda(index)).cpu()
            gpu["right"] = bool(torch.allclose(wanted, got, atol=0.5))  # TF32 keeps a mantissa of ten bits
        except RuntimeError as error:
            gpu["error"] = str(error).splitlines()[0]
        gpu["seconds"] = round(time.monotonic() - begun, 2)
        found["gpus"].append(gpu)
    return found


class Driver:
    """The CUDA driver library; a failed call raises `RuntimeError` with the error's name or code."""

    def __init__(self) -> None:
        self.library = ctypes.CDLL("libcuda.so.1")

    def call(self, name: str, *arguments: Any) -> None:
        """Call a function of the driver."""
        code = getattr(self.library, name)(*arguments)
        if code:
            text = ctypes.c_char_p()
            self.library.cuGetErrorName(code, ctypes.byref(text))
            raise RuntimeError(f"{name}: {text.value.decode() if text.value else code}")


def with_driver() -> dict[str, Any]:
    """Run the PTX above on each GPU through the driver alone."""
    found: dict[str, Any] = {"with": "the CUDA driver", "gpus": []}
    try:
        driver = Driver()
    except OSError:
        found["error"] = "there is no CUDA driver library (libcuda.so.1)"
        return found
    try:
        driver.call("cuInit", 0)
        count = ctypes.c_int()
        driver.call("cuDeviceGetCount", ctypes.byref(count))
    except RuntimeError as error:
        found["error"] = str(error)
        return found
    for index in range(count.value):
        begun = time.monotonic()
        gpu: dict[str, Any] = {"name": f"GPU {index}"}
        try:
            gpu["right"] = add_one(driver, index, gpu)
        except RuntimeError as error:
            gpu["error"] = str(error)
        gpu["seconds"] = round(time.monotonic() - begun, 2)
        found["gpus"].append(gpu)
    return found


def add_one(driver: Driver, index: int, gpu: dict[str, Any], count: int = 1000) -> bool:
    """Add 1 to `count` numbers on GPU `index`; return whether every result is correct."""
    device, context, module, function = ctypes.c_int(), ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_void_p()
    memory = ctypes.c_uint64()
    driver.call("cuDeviceGet", ctypes.byref(device), index)
    name = ctypes.create_string_buffer(128)
    driver.call("cuDeviceGetName", name, len(name), device)
    gpu["name"] = name.value.decode()
    driver.call("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
    try:
        driver.call("cuCtxSetCurrent", context)
        numbers = (ctypes.c_uint32 * count)(*range(count))
        driver.call("cuMemAlloc_v2", ctypes.byref(memory), ctypes.c_size_t(ctypes.sizeof(numbers)))
        driver.call("cuMemcpyHtoD_v2", memory, numbers, ctypes.c_size_t(ctypes.sizeof(numbers)))
        driver.call("cuModuleLoadData", ctypes.byref(module), PTX)
        driver.call("cuModuleGetFunction", ctypes.byref(function), module, b"add_one")
        total = ctypes.c_uint32(count)
        values = (ctypes.c_void_p * 2)(
            ctypes.cast(ctypes.byref(memory), ctypes.c_void_p), ctypes.cast(ctypes.byref(total), ctypes.c_void_p)
        )
        driver.call("cuLaunchKernel", function, (count + 127) // 128, 1, 1, 128, 1, 1, 0, None, values, None)
        driver.call("cuMemcpyDtoH_v2", numbers, memory, ctypes.c_size_t(ctypes.sizeof(numbers)))
        return all(number == at + 1 for at, number in enumerate(numbers))
    finally:
        driver.call("cuDevicePrimaryCtxRelease_v2", device)


def main() -> None:
    """Print the result as one JSON object."""
    try:
        torch = importlib.import_module("torch")
    except ImportError:
        found = with_driver()
    else:
        found = with_torch(torch)
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
