"""compose.yaml: one service per finished network, in the sandbox of the docker runtime."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import pytest
import yaml

from faceorch.engine import sandbox as runtime
from faceorch.images import compose
from faceorch.images.recipe import upstream_arguments
from faceorch.networks.discover import Network
from tests.conftest import MakeNetwork, write_code


def service(network: Network) -> dict[str, object]:
    made: dict[str, object] = compose._service(network)
    return made


def filled(text: str) -> str:
    """Return a value as Compose sees it when no variable is set."""
    return re.sub(r"\$\{\w+:-((?:[^{}]|\{[^}]*\})*)\}", r"\1", text)


def test_there_is_a_service_for_every_finished_network_and_no_other() -> None:
    made = yaml.safe_load(compose.compose_file())
    assert list(made["services"]) == [network.name for network in compose.finished()]
    assert "baseline" in made["services"]


def test_the_sandbox_is_that_of_the_docker_runtime(make_network: MakeNetwork) -> None:
    made = service(make_network("grey", ram_gb=3))
    assert made["network_mode"] == "none"
    assert (made["read_only"], made["init"]) == (True, True)
    assert (made["cap_drop"], made["security_opt"]) == (["ALL"], ["no-new-privileges"])
    assert made["tmpfs"] == [f"/tmp:{runtime.TMP}"]
    assert (made["pids_limit"], made["shm_size"]) == (runtime.PROCESSES, runtime.SHM_BYTES)
    assert made["ulimits"] == {"nofile": {"soft": runtime.FILES, "hard": runtime.FILES}, "core": 0}
    assert (made["mem_limit"], made["memswap_limit"]) == ("3g", "3g")
    assert made["logging"] == {"driver": "json-file", "options": {"max-size": "16m", "max-file": "2"}}
    assert "deploy" not in made


def test_the_job_has_every_setting_as_a_variable(make_network: MakeNetwork) -> None:
    made = service(make_network("grey"))
    text = made["environment"]["JOB"]  # type: ignore[index]
    assert "${GREY_SIZE:-64}" in text
    job = json.loads(filled(text))
    assert job["jobs"][0]["settings"] == {"size": 64, "loud": False, "mode": "a", "gain": 1.0}
    assert (job["device"], job["weights"], job["jobs"][0]["seed"]) == ("cpu", None, 0)


def test_a_gpu_network_reserves_gpus_and_mounts_its_weights(make_network: MakeNetwork) -> None:
    network = make_network("heavy", gpu=True, bases=["cu121", "cu128"])
    (network.folder / "weights.yaml").write_text("", "utf-8")
    made = service(network)
    assert made["deploy"] == {
        "resources": {
            "reservations": {
                "devices": [
                    {"driver": "nvidia", "count": "all", "capabilities": ["gpu", "compute", "utility", "video"]}
                ]
            }
        }
    }
    assert made["build"]["args"]["BASE"] == "${FACEORCH_BASE:-cu121}"  # type: ignore[index]
    mounts = {m["target"]: m for m in made["volumes"]}  # type: ignore[attr-defined]
    assert mounts["/weights"]["read_only"] is True
    assert mounts["/weights"]["source"].endswith("/networks/heavy")
    assert {m["bind"]["create_host_path"] for m in mounts.values()} == {False}


def test_a_service_gets_the_parts_of_the_kit_that_its_network_declares(
    tmp_path: Path, make_network: MakeNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit = tmp_path / "faceorch_kit"
    write_code(kit, used="", other="")
    write_code(kit / "folder", deep="")
    monkeypatch.setattr(compose, "kit_folder", lambda: kit)
    network = make_network("grey", runtimes=["docker"])
    (network.folder / "Dockerfile").write_text(
        f"ARG BASE_IMAGE\nFROM ${{BASE_IMAGE}}\n{compose._KIT}USER 1:1\n", "utf-8"
    )
    network.manifest = msgspec.structs.replace(network.manifest, uses=("used", "folder"))
    monkeypatch.setattr(compose, "finished", lambda: [network])
    target = "/opt/faceorch/kit/faceorch_kit/"
    assert compose.dockerfile().endswith(
        "FROM base AS grey\n"
        f"COPY kit/faceorch_kit/__init__.py kit/faceorch_kit/used.py {target}\n"
        f"COPY kit/faceorch_kit/folder {target}folder\n"
        "USER 1:1\n"
    )


def test_upstream_code_is_named_to_the_build() -> None:
    for network in compose.finished():
        arguments = service(network)["build"]["args"]  # type: ignore[index]
        for name, pinned in upstream_arguments(network).items():
            assert arguments[name] == pinned


def test_both_files_are_in_the_tree() -> None:
    root = Path(__file__).parents[3]
    assert (root / "compose.yaml").read_text("utf-8") == compose.compose_file()
    assert (root / "docker" / "compose.Dockerfile").read_text("utf-8") == compose.dockerfile()
