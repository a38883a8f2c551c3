"""GPU requests reach real engines in the way that the host has: no GPU is here, what arrives in the container tells."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from faceorch.doctor.container import judge_container, probe_container
from faceorch.doctor.findings import Severity
from faceorch.engine.client import connect, endpoint
from faceorch.engine.facts import EngineFacts, read_facts
from faceorch.engine.gpu_access import Access, Route, decide
from faceorch.engine.remedies import GENERATE_CDI, INSTALL_TOOLKIT
from faceorch.errors import EngineError
from faceorch.images import built
from faceorch.networks.bases import load_bases
from faceorch.record.kinds import OutcomeKind
from faceorch.record.reason import Reason
from faceorch.runtimes import Ready
from faceorch.runtimes.docker import DockerRuntime
from tests.conftest import LIMIT_S, MakeNetwork
from tests.engine.conftest import REQUIRED, Probe, containers_left, make_probe

CDI_HOST = "FACEORCH_TEST_CDI_HOST"
REQUEST = Access(route=Route.REQUEST, reason="a test")

TELL = """
    import json, os
    keys = ("NVIDIA_VISIBLE_DEVICES", "NVIDIA_DRIVER_CAPABILITIES", "CDI_DEVICE")
    found = {key: os.environ.get(key) for key in keys} | {"node": os.path.exists("/dev/nvidia0")}
    (facts / "facts.json").write_text(json.dumps(found))
"""


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> None:
    """Find the hook where the engine of `.ci/engine` does: in a folder beside its socket."""
    folder = Path(endpoint().removeprefix("unix://")).parent / "bin"
    monkeypatch.setenv("PATH", f"{os.environ['PATH']}:{folder}")
    if not facts().hook:
        pytest.skip("this host's engine has no NVIDIA hook (.ci/engine gives it a stub)")


@pytest.fixture
def cdi_probe(
    make_network: MakeNetwork,
    base_image: str,
    tmp_path: Path,
    portrait: Path,
    clip: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Probe]:
    """A probe on an engine that has CDI devices and no hook."""
    host = os.environ.get(CDI_HOST)
    if host is None:
        told = f"{CDI_HOST} names no engine with CDI devices (.ci/engine-cdi starts one)"
        (pytest.fail if os.environ.get(REQUIRED) == "1" else pytest.skip)(told)
    monkeypatch.setenv("DOCKER_HOST", host)
    monkeypatch.setattr("faceorch.engine.facts._SERVICE_PATH", ())
    yield from make_probe(make_network, connect(), base_image, tmp_path, portrait, clip)
    assert containers_left(connect()) == []


def facts() -> EngineFacts:
    return read_facts(connect(), endpoint())


def run(probe: Probe, *gpus: str) -> dict[str, object]:
    """Run the probe with `gpus` and return what it found in its container."""
    with DockerRuntime().start(replace(probe.launch(), gpus=gpus)) as process:
        process.send(b'{"op":"drain"}\n')
        while process.output.get(timeout=LIMIT_S) is not None:
            pass
        process.wait(LIMIT_S)
    found: dict[str, object] = json.loads((probe.out / "facts.json").read_text("utf-8"))
    return found


@pytest.mark.usefixtures("hook")
def test_a_gpus_request_reaches_the_hook(probe: Probe) -> None:
    probe.write(TELL)
    probe.build()
    assert decide(facts()).route is Route.REQUEST
    found = run(probe, "GPU-a", "GPU-b")
    assert found["NVIDIA_VISIBLE_DEVICES"] == "GPU-a,GPU-b"
    assert set(str(found["NVIDIA_DRIVER_CAPABILITIES"]).split(",")) == {"compute", "utility", "video"}


def test_without_a_way_for_gpus_a_network_is_not_ready(probe: Probe) -> None:
    if decide(facts()).route is not None:
        pytest.skip("this host's engine can give GPUs")
    probe.build()
    found = DockerRuntime().ready(probe.network, "cpu", gpu=True)
    assert found == Reason(
        kind=OutcomeKind.NO_GPU_ACCESS,
        found="the engine cannot reach NVIDIA GPUs: no container toolkit and no CDI specification",
        remedy=INSTALL_TOOLKIT,
    )
    assert isinstance(DockerRuntime().ready(probe.network, "cpu"), Ready), "on the CPU it is"


@pytest.mark.usefixtures("hook")
def test_a_container_that_starts_without_a_gpu_is_found_out(probe: Probe) -> None:
    probe.build()
    (image,) = [image for image in built.ours(probe.api) if image.network == "probe"]
    (finding,) = judge_container(probe_container(probe.api, facts(), image, REQUEST, ["GPU-a"]), load_bases()["cpu"])
    assert (finding.severity, finding.remedy) == (Severity.ERROR, INSTALL_TOOLKIT)
    assert finding.found == (
        f"the container started but sees no GPU (in {image.tag}, the CUDA driver: "
        "there is no CUDA driver library (libcuda.so.1))"
    )


def test_an_image_whose_python_is_gone_is_told_and_nothing_is_left(probe: Probe) -> None:
    dockerfile = probe.network.folder / "Dockerfile"
    dockerfile.write_text(f'{dockerfile.read_text("utf-8")}\nENTRYPOINT ["/no/python"]\n', "utf-8")
    probe.build()
    (image,) = [image for image in built.ours(probe.api) if image.network == "probe"]
    seen = probe_container(probe.api, facts(), image, REQUEST, [])
    assert seen.problem.startswith("the program in the container ended with exit code 127: ")
    assert "/no/python" in seen.problem
    assert seen.remedy == f"inspect the image: docker run --rm -it --entrypoint sh {image.tag}"


def test_cdi_devices_are_asked_for_by_name(cdi_probe: Probe) -> None:
    cdi_probe.write(TELL)
    cdi_probe.build()
    found = facts()
    assert (found.cdi_on, found.cdi.devices, found.hook) == (True, ("0", "GPU-made-up"), False)
    assert decide(found).route is Route.CDI
    inside = run(cdi_probe, "GPU-made-up")
    assert (inside["CDI_DEVICE"], inside["node"], inside["NVIDIA_VISIBLE_DEVICES"]) == ("GPU-made-up", True, None)


def test_without_gpus_no_cdi_device_comes_in(cdi_probe: Probe) -> None:
    cdi_probe.write(TELL)
    cdi_probe.build()
    inside = run(cdi_probe)
    assert (inside["CDI_DEVICE"], inside["node"]) == (None, False)


def test_a_gpus_request_where_only_cdi_is_becomes_one_line(cdi_probe: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    cdi_probe.build()
    monkeypatch.setattr("faceorch.runtimes.docker.decide", lambda facts: REQUEST)
    with pytest.raises(EngineError) as caught:
        run(cdi_probe, "GPU-made-up")
    assert caught.value.message.startswith("the engine cannot reach NVIDIA GPUs: no container toolkit (")
    assert caught.value.remedy == INSTALL_TOOLKIT


def test_a_cdi_device_that_is_gone_becomes_one_line(cdi_probe: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    cdi_probe.build()
    stale = Access(route=Route.CDI, reason="a test", devices=("GPU-gone",))
    monkeypatch.setattr("faceorch.runtimes.docker.decide", lambda facts: stale)
    with pytest.raises(EngineError) as caught:
        run(cdi_probe, "GPU-gone")
    assert caught.value.message.startswith("the engine has no such CDI device (")
    assert caught.value.remedy == GENERATE_CDI
