"""The program that computes in a container, run here with a made-up torch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from faceorch.doctor import in_container


def run_program(*folders: Path) -> dict[str, Any]:
    """Run the program as a container does: its text given to an interpreter, which may find a made-up torch."""
    text = Path(in_container.__file__).read_text("utf-8")
    path = ":".join(map(str, folders))
    done = subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, check=True, env={"PYTHONPATH": path}
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


TORCH = """
__version__ = "9.9+made.up"
class _Matrix:
    def __matmul__(self, other): return self
    def cuda(self, index):
        if index == 1: raise RuntimeError("CUDA error: no kernel image is available\\nmore")
        return self
    def cpu(self): return self
def manual_seed(seed): pass
def randn(*shape): return _Matrix()
def allclose(left, right, atol): return True
class cuda:
    init = staticmethod(lambda: None)
    get_arch_list = staticmethod(lambda: ["sm_90"])
    device_count = staticmethod(lambda: 2)
    get_device_name = staticmethod(lambda index: f"H{index}")
"""
NO_CUDA = (
    "\nclass cuda:\n    @staticmethod\n    def init(): raise AssertionError('Torch not compiled with CUDA enabled')"
)


def test_with_torch_each_gpu_is_told_apart(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text(TORCH, "utf-8")
    found = run_program(tmp_path)
    assert (found["with"], found["kernels"]) == ("torch 9.9+made.up", ["sm_90"])
    first, second = found["gpus"]
    assert (first["name"], first["right"]) == ("H0", True)
    assert (second["name"], second["error"]) == ("H1", "CUDA error: no kernel image is available")


def test_a_torch_without_cuda_says_so(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text(TORCH + NO_CUDA, "utf-8")
    found = run_program(tmp_path)
    assert (found["gpus"], found["error"]) == ([], "Torch not compiled with CUDA enabled")


def test_without_torch_and_driver_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr("ctypes.CDLL", missing)
    assert in_container.with_driver() == {
        "with": "the CUDA driver",
        "gpus": [],
        "error": "there is no CUDA driver library (libcuda.so.1)",
    }
