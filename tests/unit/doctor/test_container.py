"""What happened in a container, judged; and which image it is started from."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

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
