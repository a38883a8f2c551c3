"""What a host lacks is known before anything starts."""

from __future__ import annotations

import pytest

from faceorch.record.kinds import OutcomeKind
from faceorch.record.run import Gpu
from faceorch.runs.plan import make_plan
from faceorch.runtimes import Runtime
from faceorch.telemetry.nvml import Gpus
from faceorch.weights.store import Store
from tests.conftest import MakeNetwork
from tests.unit.runs.conftest import READY, FakeRuntime, gpu, plan

GB = 10**9


@pytest.mark.parametrize(
    ("driver", "vram", "memory_gb", "kind", "reason", "remedy"),
    [
        (
            "525.85.12",
            (24, 24),
            64,
            OutcomeKind.UNSUPPORTED_DRIVER,
            "NVIDIA driver 525.85.12 found, 530.30.02 or newer for CUDA 12.1 (cu121) needed",
            "update the NVIDIA driver to 530.30.02 or newer, then restart the host",
        ),
        (
            "580.95.05",
            (8, 24),
            64,
            OutcomeKind.UNSUPPORTED_GPU,
            "GPU 0 (H200) with 8.0 GB found, 10 GB of GPU memory needed",
            "--gpus 1",
        ),
        (
            "580.95.05",
            (8, 4),
            64,
            OutcomeKind.UNSUPPORTED_GPU,
            "GPU 0 (H200) with 8.0 GB, GPU 1 (H200) with 4.0 GB found, 10 GB of GPU memory needed",
            "use a GPU with 10 GB or more",
        ),
        (
            "580.95.05",
            (24, 24),
            8,
            OutcomeKind.TOO_LITTLE_MEMORY,
            "8.0 GB of memory found, 16 GB needed",
            "run it on a host with 16 GB of memory or more",
        ),
    ],
)
def test_what_the_host_lacks_is_an_obstacle_before_anything_starts(
    make_network: MakeNetwork,
    driver: str,
    vram: tuple[int, int],
    memory_gb: int,
    kind: OutcomeKind,
    reason: str,
    remedy: str,
) -> None:
    network = make_network("heavy", gpu=True, bases=["cu121"], vram_gb=10, ram_gb=16)
    found = tuple(
        Gpu(index=i, uuid=f"GPU-{i}", name="H200", memory_bytes=gb * GB, compute_capability="9.0")
        for i, gb in enumerate(vram)
    )
    runtimes: dict[str, Runtime] = {"docker": FakeRuntime("docker", READY)}
    made = make_plan(
        [network],
        runtimes=runtimes,
        gpus=Gpus(found, driver),
        selected=found,
        memory_bytes=memory_gb * GB,
        weights=Store(),
    )
    assert [(o.reason.kind, o.reason.text, o.reason.remedy) for o in made.obstacles] == [(kind, reason, remedy)]


def test_a_gpu_that_was_not_selected_does_not_matter(make_network: MakeNetwork) -> None:
    network = make_network("heavy", gpu=True, bases=["cu121"], vram_gb=10)
    small, large = (
        Gpu(index=i, uuid=f"GPU-{i}", name="H200", memory_bytes=gb * GB, compute_capability="9.0")
        for i, gb in enumerate((8, 24))
    )
    runtimes: dict[str, Runtime] = {"docker": FakeRuntime("docker", READY)}
    made = make_plan(
        [network], runtimes=runtimes, gpus=Gpus((small, large), "580.1"), selected=[large], weights=Store()
    )
    assert [p.gpus for p in made.planned] == [("GPU-1",)]


def test_a_network_without_a_gpu_asks_for_no_driver(make_network: MakeNetwork) -> None:
    made = plan(make_network("grey"), READY, READY, Gpus((gpu(0),), "470.1"))
    assert [p.network.name for p in made.planned] == ["grey"]
