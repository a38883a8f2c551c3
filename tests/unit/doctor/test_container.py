"""What happened in a container, judged; and the program that runs in it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from faceorch.doctor import in_container
from faceorch.doctor.container import InContainer, choose_image, judge_container
from faceorch.doctor.findings import Severity
from faceorch.engine.remedies import INSTALL_TOOLKIT
from faceorch.images.built import Image
from faceorch.networks.bases import load_bases

BASES = load_bases()
GOOD = {"name": "NVIDIA H200", "right": True, "seconds": 1.2}


def seen(asked: int = 1, problem: str = "", remedy: str = "", made_with: str = "", **result: Any) -> InContainer:
    return InContainer(
        image="faceorch/hallo:0123",
        base="cu121",
        asked=asked,
        elapsed_s=3.1,
        result={**result, "with": made_with} if made_with else result,
        problem=problem,
        remedy=remedy,
    )


def test_a_gpu_that_computes() -> None:
    kernels = list(BASES["cu121"].kernels)
    found = seen(gpus=[GOOD], kernels=kernels, made_with="torch 2.3.1+cu121")
    (finding,) = judge_container(found, BASES["cu121"])
    assert finding.severity is Severity.OK
    assert finding.found == (
        "NVIDIA H200 computed correctly with torch 2.3.1+cu121 in faceorch/hallo:0123, 3.1 s in total"
    )


@pytest.mark.parametrize(
    ("found", "text", "remedy"),
    [
        (
            seen(problem="the engine cannot reach NVIDIA GPUs", remedy="install it"),
            "the engine cannot reach NVIDIA GPUs (in faceorch/hallo:0123)",
            "install it",
        ),
        (
            seen(gpus=[], error="cuInit: CUDA_ERROR_NO_DEVICE", made_with="the CUDA driver"),
            "the container started but sees no GPU "
            "(in faceorch/hallo:0123, the CUDA driver: cuInit: CUDA_ERROR_NO_DEVICE)",
            INSTALL_TOOLKIT,
        ),
        (
            seen(gpus=[{"name": "RTX 5090", "error": "CUDA error: no kernel image is available"}], made_with="torch 2"),
            "RTX 5090: CUDA error: no kernel image is available (in faceorch/hallo:0123, torch 2)",
            "build on the base with kernels for the newest GPUs: faceorch build --base cu128",
        ),
        (
            seen(gpus=[{"name": "H200", "right": False}], made_with="torch 2"),
            "H200: the result is wrong (in faceorch/hallo:0123, torch 2)",
            "update the driver and restart the host; a GPU whose results are still wrong is broken",
        ),
        (
            seen(asked=2, gpus=[GOOD], made_with="torch 2"),
            "1 of 2 GPUs reached the container (in faceorch/hallo:0123)",
            "check the engine's GPU setup: MIG, CDI specifications, NVIDIA_VISIBLE_DEVICES",
        ),
    ],
)
def test_what_goes_wrong_has_a_remedy(found: InContainer, text: str, remedy: str) -> None:
    (finding,) = judge_container(found, BASES["cu121"])
    assert (finding.severity, finding.found, finding.remedy) == (Severity.ERROR, text, remedy)
    assert finding.running == "networks that need a GPU will fail"


def test_an_image_whose_torch_is_not_that_of_its_base_is_told() -> None:
    _, finding = judge_container(seen(gpus=[GOOD], kernels=["sm_75", "sm_70"]), BASES["cu121"])
    assert finding.severity is Severity.WARNING
    assert finding.found == "the torch of faceorch/hallo:0123 has sm_70, sm_75"
    assert finding.needed.endswith("as docker/base/cu121.yaml says")


def image(tag: str, base: str, created: float) -> Image:
    return Image(
        id=tag,
        tags=(f"faceorch/base-{base}:{tag}",),
        network="",
        inputs=tag,
        base=base,
        base_image="",
        builder="classic",
        created=created,
    )


@pytest.mark.parametrize(
    ("found", "preferred", "chosen"),
    [
        ([], "cu121", None),
        ([image("a", "cpu", 9)], "cu121", "a"),
        ([image("a", "cpu", 9), image("b", "cu121", 1)], "cu128", "b"),
        ([image("a", "cu128", 9), image("b", "cu121", 1), image("c", "cu121", 2)], "cu121", "c"),
        ([image("a", "gone", 1), image("b", "cpu", 2)], None, "b"),
        ([replace(image("a", "cpu", 9), tags=("evil:latest",))], "cpu", None),
    ],
)
def test_the_image_that_tells_most_is_looked_with(
    found: list[Image], preferred: str | None, chosen: str | None
) -> None:
    best = choose_image(found, BASES, preferred)
    assert (best.id if best else None) == chosen


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
