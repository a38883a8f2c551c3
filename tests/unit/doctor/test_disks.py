"""Room for images and weights, before anything is built or downloaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from faceorch.doctor.disks import judge_disks
from faceorch.doctor.findings import Finding
from faceorch.doctor.probes import HostFacts, Machine, NoEngine, Space, Toolkit
from faceorch.engine.facts import EngineFacts
from faceorch.images.built import Image
from faceorch.networks.bases import load_bases
from faceorch.networks.discover import Network
from faceorch.record.run import Gpu
from faceorch.telemetry.nvml import Gpus
from faceorch.weights.store import Store
from tests.conftest import MakeNetwork

GPU = Gpu(index=0, uuid="GPU-0", name="H200", memory_bytes=24 * 10**9, compute_capability="9.0")
WEIGHTS = """
schema: 1
files:
  - path: a.pth
    source: {url: "http://127.0.0.1/a"}
    size: 4000000000
    sha256: null
    licence: MIT
    commercial: true
    why: all of it
"""


def facts(*images: Image, **given: Any) -> HostFacts:
    machine = Machine(
        system="Linux", kernel="6.8.0", architecture="x86_64", container=False, memory_bytes=1, available_bytes=1
    )
    values: dict[str, Any] = {
        "machine": machine,
        "gpus": Gpus((GPU,), "580.95.05"),
        "uses": {},
        "engine": EngineFacts(endpoint="unix:///e.sock", name="Docker Engine", version="28.2.2", api="1.50"),
        "images": images,
        "toolkit": Toolkit(version=None),
        "image_space": Space(path="/images", free_bytes=10 * 10**9, device=1),
        "weight_space": Space(path="/weights", free_bytes=10 * 10**9, device=2),
    }
    return HostFacts(**{**values, **given})


def image(network: str, base: str) -> Image:
    return Image(id="1", tags=(), network=network, inputs="", base=base, base_image="", builder="classic", created=0.0)


@pytest.fixture
def heavy(make_network: MakeNetwork) -> Network:
    network = make_network("heavy", gpu=True, runtimes=["docker"], bases=["cu121", "cu128"])
    for name in ("Dockerfile", "requirements.cu121.lock", "requirements.cu128.lock"):
        (network.folder / name).touch()
    (network.folder / "weights.yaml").write_text(WEIGHTS, "utf-8")
    return network


def judge(found: HostFacts, network: Network, tmp_path: Path) -> dict[str, Finding]:
    findings = judge_disks(found, {network.name: network}, load_bases(), Store(tmp_path / "weights"))
    return {finding.check: finding for finding in findings}


@pytest.mark.parametrize(
    ("images", "needed"),
    [
        ((), "7.5 GB for the images of heavy"),  # the base of 6 GB, and the network's own packages
        ((image("", "cu121"),), "1.5 GB for the images of heavy"),
        ((image("", "cu128"),), "7.5 GB for the images of heavy"),  # not the base that this GPU takes
        ((image("heavy", "cu121"),), "nothing, all images that can run here are built"),
    ],
)
def test_what_is_built_already_needs_no_room(
    images: tuple[Image, ...], needed: str, heavy: Network, tmp_path: Path
) -> None:
    assert judge(facts(*images), heavy, tmp_path)["disk for images"].needed == needed


def test_two_disks_are_judged_apart(heavy: Network, tmp_path: Path) -> None:
    found = judge(facts(), heavy, tmp_path)
    assert [finding.severity.value for finding in found.values()] == ["ok", "ok"]
    assert found["disk for weights"].needed == "4.0 GB for the weights of heavy"


def test_one_disk_must_hold_both(heavy: Network, tmp_path: Path) -> None:
    shared = replace(facts(), weight_space=Space(path="/weights", free_bytes=10 * 10**9, device=1))
    finding = judge(shared, heavy, tmp_path)["disk for weights"]
    assert (finding.severity.value, finding.found, finding.needed) == (
        "error",
        "10.0 GB free at /weights",
        "11.5 GB for the weights of heavy, 7.5 GB of it for images on the same disk",
    )
    assert finding.remedy.startswith("free some space (faceorch weights rm)")


def test_without_a_gpu_its_networks_need_no_room(heavy: Network, tmp_path: Path) -> None:
    found = judge(facts(gpus=Gpus((), None, "no driver")), heavy, tmp_path)
    assert found["disk for images"].needed == "nothing, all images that can run here are built"
    assert found["disk for weights"].needed == "nothing, all weights that can be used here are downloaded"


def test_images_on_a_disk_that_is_not_seen_are_not_judged(heavy: Network, tmp_path: Path) -> None:
    assert judge(facts(image_space=None), heavy, tmp_path)["disk for images"].severity.value == "skipped"
    gone = facts(image_space=None, engine=NoEngine(reason="no engine", remedy=""))
    assert list(judge(gone, heavy, tmp_path)) == ["disk for weights"]
