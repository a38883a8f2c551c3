"""Kernels of our own without a compiler in the image: torch brings NVRTC, which compiles CUDA for the GPU at hand."""

from __future__ import annotations

import ctypes
import threading
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

_SHARED = 48 * 1024  # bytes of shared memory that a kernel gets without asking
# Of CUDA's driver.
_MAX_DYNAMIC_SHARED = 8
_FP16, _SWIZZLE_128, _PROMOTE_128 = 6, 3, 2
_MOST_MAPS = 4096

_COMPILING = threading.Lock()
_BINARIES: dict[tuple[Path, str], bytes] = {}


class KernelError(RuntimeError):
    """NVRTC or the driver refused."""


class Kernels:
    """The functions of one source file on one GPU."""

    def __init__(self, binary: bytes) -> None:
        self._driver = ctypes.CDLL("libcuda.so.1")
        self._module = ctypes.c_void_p()
        self._binary = binary
        self._check(self._driver.cuModuleLoadData(ctypes.byref(self._module), binary))
        self._functions: dict[str, ctypes.c_void_p] = {}
        self._maps: dict[tuple[int, ...], Any] = {}

    def launch(
        self, name: str, grid: tuple[int, ...], threads: int | tuple[int, int], *arguments: Any, shared: int = 0
    ) -> None:
        """Start a kernel in torch's stream. Arguments are tensors (None: a null pointer), ints, floats; long ints as
        `ctypes.c_longlong`, matrices as `Kernels.map` returns them."""
        values = [_argument(value) for value in arguments]
        pointers = (ctypes.c_void_p * len(values))(*(ctypes.addressof(value) for value in values))
        x, y, z = (*grid, 1, 1)[:3]
        across, down = threads if isinstance(threads, tuple) else (threads, 1)
        stream = ctypes.c_void_p(torch.cuda.current_stream().cuda_stream)
        function = self._function(name)
        if shared > _SHARED:
            self._check(self._driver.cuFuncSetAttribute(function, _MAX_DYNAMIC_SHARED, shared))
        self._check(
            self._driver.cuLaunchKernel(function, x, y, z, across, down, 1, shared, stream, pointers, ctypes.c_void_p())
        )

    def map(self, matrix: torch.Tensor, rows: int) -> Any:
        """Return what Hopper's copy engine needs to fetch `rows` rows of 64 fp16 values of a matrix (n, values)."""
        key = (matrix.data_ptr(), *matrix.shape, rows)
        if key not in self._maps:
            if len(self._maps) > _MOST_MAPS:
                self._maps.clear()
            room = (ctypes.c_uint64 * 24)()  # the map's own 16 begin at a multiple of 64 bytes
            found = (ctypes.c_uint64 * 16).from_buffer(room, -ctypes.addressof(room) % 64)
            n, wide = matrix.shape
            encode = self._driver.cuTensorMapEncodeTiled
            sizes, strides = (ctypes.c_uint64 * 2)(wide, n), (ctypes.c_uint64 * 1)(2 * wide)
            box, each = (ctypes.c_uint32 * 2)(64, rows), (ctypes.c_uint32 * 2)(1, 1)
            pointer = _argument(matrix)
            self._check(encode(found, _FP16, 2, pointer, sizes, strides, box, each, 0, _SWIZZLE_128, _PROMOTE_128, 0))
            self._maps[key] = found
        return self._maps[key]

    def _function(self, name: str) -> ctypes.c_void_p:
        if name not in self._functions:
            function = ctypes.c_void_p()
            self._check(self._driver.cuModuleGetFunction(ctypes.byref(function), self._module, name.encode()))
            self._functions[name] = function
        return self._functions[name]

    def _check(self, code: int) -> None:
        if code != 0:
            text = ctypes.c_char_p()
            self._driver.cuGetErrorString(code, ctypes.byref(text))
            raise KernelError(f"CUDA error {code}: {(text.value or b'unknown').decode()}")


@lru_cache
def kernels_of(source: Path) -> Kernels:
    """Return the kernels of a CUDA file, compiled for the current GPU: once a process, in about a second."""
    torch.cuda.current_stream().synchronize()  # makes torch's context the current one
    return Kernels(_compiled(source, _architecture()))


def prepare(source: Path) -> None:
    """Compile a CUDA file in a thread of its own, so that whoever wants its kernels later need not wait."""
    threading.Thread(target=_compiled, args=(source, _architecture()), name="nvrtc", daemon=True).start()


def _architecture() -> str:
    major, minor = torch.cuda.get_device_capability()
    return f"sm_{major}{minor}{'a' if is_hopper() else ''}"


def _compiled(source: Path, architecture: str) -> bytes:
    with _COMPILING:
        if (source, architecture) not in _BINARIES:
            _BINARIES[source, architecture] = compile_for(source, architecture)
        return _BINARIES[source, architecture]


@lru_cache(maxsize=1)
def is_hopper() -> bool:
    """Return whether the current GPU has Hopper's matrix instructions, which later ones do not have."""
    return bool(torch.cuda.get_device_capability() == (9, 0))


def compile_for(source: Path, architecture: str) -> bytes:
    """Return a CUDA file compiled for an architecture such as `sm_90`; needs no GPU."""
    nvrtc, program = ctypes.CDLL(str(_library())), ctypes.c_void_p()

    def check(code: int) -> None:
        if code != 0:
            nvrtc.nvrtcGetErrorString.restype = ctypes.c_char_p
            raise KernelError(f"NVRTC: {nvrtc.nvrtcGetErrorString(code).decode()}{_log(nvrtc, program)}")

    check(nvrtc.nvrtcCreateProgram(ctypes.byref(program), source.read_bytes(), source.name.encode(), 0, None, None))
    options = [f"--gpu-architecture={architecture}".encode(), b"--std=c++14"]
    check(nvrtc.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*options)))
    size = ctypes.c_size_t()
    check(nvrtc.nvrtcGetCUBINSize(program, ctypes.byref(size)))
    binary = ctypes.create_string_buffer(size.value)
    check(nvrtc.nvrtcGetCUBIN(program, binary))
    nvrtc.nvrtcDestroyProgram(ctypes.byref(program))
    return binary.raw


def _log(nvrtc: Any, program: ctypes.c_void_p) -> str:
    size = ctypes.c_size_t()
    if not program or nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size)) != 0 or size.value < 2:
        return ""
    log = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetProgramLog(program, log)
    return f": {log.value.decode().strip()}"


def _library() -> Path:
    """Return the NVRTC of the CUDA that torch was built for, beside torch's other libraries."""
    import nvidia

    for folder in nvidia.__path__:
        found = sorted(Path(folder).glob("*/lib/libnvrtc.so.*"))
        if found:
            return found[0]
    raise KernelError("no NVRTC beside torch")


def _argument(value: Any) -> Any:
    if value is None:
        return ctypes.c_void_p()
    if isinstance(value, torch.Tensor):
        if not (value.is_cuda and value.is_contiguous()):
            raise KernelError(f"a kernel got a tensor of {tuple(value.shape)} that is not one piece of GPU memory")
        return ctypes.c_void_p(value.data_ptr())
    if isinstance(value, float):
        return ctypes.c_float(value)
    return ctypes.c_int(value) if isinstance(value, int) else value
