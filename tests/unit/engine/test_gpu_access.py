"""One decision how GPUs reach a container: a `--gpus` request, CDI devices by name, or not at all and why."""

from __future__ import annotations

from typing import Any

import pytest

from faceorch.engine.facts import CdiSpecs, EngineFacts
from faceorch.engine.gpu_access import Access, GpuRequest, Route, decide
from faceorch.engine.remedies import ENABLE_CDI, GENERATE_CDI, INSTALL_TOOLKIT, INSTALL_TOOLKIT_ROOTLESS
from faceorch.errors import EngineError

CDI = CdiSpecs(devices=("0", "all"))
STALE = CdiSpecs(devices=("0",), missing_files=("/usr/lib/libcuda.so.525",))
INDICES = {"GPU-a": 0, "GPU-b": 1}


def engine(version: str = "28.2.2", **facts: Any) -> EngineFacts:
    return EngineFacts(
        endpoint="unix:///e.sock", name=facts.pop("name", "Docker Engine"), version=version, api="1.50", **facts
    )


@pytest.mark.parametrize(
    ("facts", "route", "reason"),
    [
        (engine(hook=True), Route.REQUEST, "the NVIDIA container toolkit's hook is installed"),
        (engine(hook=True, cdi=CDI, cdi_on=True), Route.REQUEST, "the NVIDIA container toolkit's hook is installed"),
        (engine(hook=True, cdi=STALE, cdi_on=True), Route.REQUEST, "the NVIDIA container toolkit's hook is installed"),
        (engine("26.1.5", cdi=CDI, cdi_on=True), Route.CDI, "CDI devices, and no NVIDIA hook"),
        # Some engines read the specifications and list no folder.
        (engine("29.1.0", cdi=CDI, cdi_on=False), Route.CDI, "CDI devices, and no NVIDIA hook"),
        # The runtime may be configured while the hook is not installed: CDI is surer.
        (engine(runtimes=("nvidia", "runc"), cdi=CDI, cdi_on=True), Route.CDI, "CDI devices, and no NVIDIA hook"),
        # Docker Desktop in WSL2: the hook is in another distribution.
        (engine(runtimes=("nvidia", "runc")), Route.REQUEST, "the engine has the nvidia runtime"),
        (
            engine(rootless=True, hook=True, cdi=CDI, cdi_on=True),
            Route.CDI,
            "a rootless engine takes GPUs as CDI devices",
        ),
        (engine(rootless=True, hook=True), Route.REQUEST, "the NVIDIA container toolkit's hook is installed"),
        (engine("5.2.0", name="Podman", hook=True, cdi=CDI), Route.CDI, "Podman takes GPUs as CDI devices"),
    ],
)
def test_the_way_is_chosen_by_what_the_host_has(facts: EngineFacts, route: Route, reason: str) -> None:
    found = decide(facts)
    assert (found.route, found.reason) == (route, reason)


@pytest.mark.parametrize(
    ("facts", "reason", "remedy"),
    [
        (
            engine(),
            "the engine cannot reach NVIDIA GPUs: no container toolkit and no CDI specification",
            INSTALL_TOOLKIT,
        ),
        (
            engine(rootless=True),
            "the engine cannot reach NVIDIA GPUs: no container toolkit and no CDI specification",
            INSTALL_TOOLKIT_ROOTLESS,
        ),
        (
            engine("26.1.5", cdi=CDI, cdi_on=False),
            "there are CDI specifications, but the engine does not read them: features.cdi is off",
            ENABLE_CDI,
        ),
        (
            engine("20.10.24+dfsg1", cdi=CDI),
            "there are CDI specifications, but Docker 20.10.24+dfsg1 does not read them (25 or newer needed)",
            f"update Docker, or {INSTALL_TOOLKIT}",
        ),
        (
            engine("5.2.0", name="Podman", hook=True),
            "Podman takes GPUs only as CDI devices, and has none",
            GENERATE_CDI,
        ),
        (
            engine(cdi=STALE, cdi_on=True),
            "the CDI specifications mount /usr/lib/libcuda.so.525, which does not exist",
            GENERATE_CDI,
        ),
        (
            engine("5.2.0", name="Podman", cdi=STALE),
            "the CDI specifications mount /usr/lib/libcuda.so.525, which does not exist",
            GENERATE_CDI,
        ),
        (
            engine(hook=True, elsewhere="on gpu-server"),
            "the engine runs on gpu-server: it does not have this machine's GPUs",
            "run faceorch on the engine's own machine, or point DOCKER_HOST at an engine of this one",
        ),
    ],
)
def test_without_a_way_it_says_why_and_what_to_do(facts: EngineFacts, reason: str, remedy: str) -> None:
    found = decide(facts)
    assert (found.route, found.reason, found.remedy) == (None, reason, remedy)
    with pytest.raises(EngineError) as caught:
        found.request(["GPU-a"], INDICES)
    assert (caught.value.message, caught.value.remedy) == (reason, remedy)


def test_a_request_names_uuids() -> None:
    wanted = Access(route=Route.REQUEST, reason="").request(["GPU-a"], INDICES)
    assert wanted == GpuRequest(driver="", device_ids=("GPU-a",), capabilities=("gpu", "compute", "utility", "video"))


def test_under_wsl2_only_all_gpus_together_can_be_asked_for() -> None:
    access = decide(engine(runtimes=("nvidia", "runc"), wsl=True))
    assert access.request(["GPU-b", "GPU-a"], INDICES).device_ids == ("all",)
    with pytest.raises(EngineError) as caught:
        access.request(["GPU-b"], INDICES)
    assert (caught.value.message, caught.value.remedy) == (
        "under WSL2 a container gets every GPU or none",
        "--gpus all",
    )


@pytest.mark.parametrize(
    ("devices", "uuids", "names"),
    [
        (("0", "1", "GPU-a", "GPU-b", "all"), ["GPU-b"], ["GPU-b"]),
        (("0", "1", "all"), ["GPU-b"], ["1"]),
        (("0", "1", "all"), ["GPU-a", "GPU-b"], ["0", "1"]),
        (("all",), ["GPU-a", "GPU-b"], ["all"]),  # WSL2: one device for all of them
    ],
)
def test_cdi_devices_are_named_as_the_specifications_do(
    devices: tuple[str, ...], uuids: list[str], names: list[str]
) -> None:
    wanted = Access(route=Route.CDI, reason="", devices=devices).request(uuids, INDICES)
    assert wanted == GpuRequest(
        driver="cdi", device_ids=tuple(f"nvidia.com/gpu={name}" for name in names), capabilities=()
    )


def test_a_gpu_that_cdi_does_not_name_is_not_replaced_by_another() -> None:
    access = Access(route=Route.CDI, reason="", devices=("0", "all"))
    with pytest.raises(EngineError) as caught:
        access.request(["GPU-b"], INDICES)
    assert caught.value.message == "the CDI specifications name 0, all, but not GPU-b"
    assert caught.value.remedy == f"{GENERATE_CDI}, or --gpus all"
