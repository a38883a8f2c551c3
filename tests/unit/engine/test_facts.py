"""What the engine says of itself, and the CDI specifications on this machine."""

from __future__ import annotations

import json
import platform
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from faceorch.engine.facts import CDI_FOLDERS, CdiSpecs, read_cdi, read_facts

LOCAL = "unix:///var/run/docker.sock"


class FakeApi:
    """Answers as an engine of a given `info` and `version` does."""

    def __init__(self, version: dict[str, Any] | None = None, **info: Any) -> None:
        self._version = {"Version": "28.2.2", "ApiVersion": "1.50", **(version or {})}
        self._info = {"KernelVersion": platform.release(), "CDISpecDirs": ["/nowhere"], **info}

    def info(self) -> dict[str, Any]:
        return self._info

    def version(self) -> dict[str, Any]:
        return self._version


def facts(endpoint: str = LOCAL, version: dict[str, Any] | None = None, **info: Any) -> Any:
    return read_facts(cast(Any, FakeApi(version, **info)), endpoint)


def spec(*names: str, kind: str = "nvidia.com/gpu", mounts: tuple[str, ...] = ()) -> dict[str, Any]:
    devices = [{"name": name, "containerEdits": {"deviceNodes": [{"path": f"/dev/nvidia{name}"}]}} for name in names]
    edits = {"mounts": [{"hostPath": path, "containerPath": path} for path in mounts]}
    return {"cdiVersion": "0.6.0", "kind": kind, "devices": devices, "containerEdits": edits}


@pytest.mark.parametrize(
    ("endpoint", "info", "elsewhere"),
    [
        (LOCAL, {}, ""),
        ("tcp://127.0.0.1:2375", {}, ""),
        ("tcp://gpu-server:2376", {}, "on gpu-server"),
        ("ssh://me@gpu-server", {}, "on gpu-server"),
        (
            LOCAL,
            {"KernelVersion": "6.6.12-linuxkit", "OperatingSystem": "Docker Desktop"},
            "in a virtual machine or on another host (Docker Desktop, kernel 6.6.12-linuxkit)",
        ),
    ],
)
def test_where_the_engine_runs(endpoint: str, info: dict[str, Any], elsewhere: str) -> None:
    assert facts(endpoint, **info).elsewhere == elsewhere


@pytest.mark.parametrize(
    ("version", "name", "podman"),
    [
        ({"Components": [{"Name": "Engine"}]}, "Docker Engine", False),
        ({"Platform": {"Name": "Docker Desktop 4.41.2 (191736)"}}, "Docker Desktop", False),
        ({"Components": [{"Name": "Podman Engine"}]}, "Podman", True),
    ],
)
def test_the_engine_has_a_name(version: dict[str, Any], name: str, podman: bool) -> None:
    found = facts(version=version)
    assert (found.name, found.podman) == (name, podman)


def test_what_kind_of_engine_it_is() -> None:
    found = facts(
        SecurityOptions=["name=seccomp,profile=builtin", "name=rootless", "name=selinux", "name=userns"],
        CgroupVersion="2",
        MemoryLimit=False,
        MemTotal=8,
        Runtimes={"runc": {}, "nvidia": {}},
        Architecture="arm64",
        DriverStatus=[["driver-type", "io.containerd.snapshotter.v1"]],
    )
    assert (found.rootless, found.selinux, found.remaps_users, found.containerd_store) == (True, True, True, True)
    assert (found.cgroup_version, found.memory_limit, found.memory_bytes) == ("2", False, 8)
    assert (found.runtimes, found.architecture) == (("nvidia", "runc"), "aarch64")


def test_wsl2_shows_in_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = "5.15.167.4-microsoft-standard-WSL2"
    monkeypatch.setattr("platform.release", lambda: kernel)
    found = facts(KernelVersion=kernel)
    assert (found.wsl, found.elsewhere) == (True, "")


def test_an_old_engine_that_says_little_is_described_too() -> None:
    found = facts(CDISpecDirs=None)
    assert (found.cgroup_version, found.cdi_on, found.cdi.folders, found.rootless) == ("1", False, CDI_FOLDERS, False)


def test_a_hook_on_the_path_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("faceorch.engine.facts._SERVICE_PATH", ())
    monkeypatch.setenv("PATH", "")
    assert facts().hook is False
    hook = tmp_path / "nvidia-container-runtime-hook"
    hook.write_text("#!/bin/sh\n", "utf-8")
    hook.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert facts().hook is True
    assert facts("tcp://gpu-server:2376").hook is False, "this machine's hook says nothing about another's"


def test_devices_that_the_engine_found_itself_are_taken() -> None:
    found = facts(
        DiscoveredDevices=[
            {"Source": "cdi", "ID": "nvidia.com/gpu=GPU-a"},
            {"Source": "cdi", "ID": "vendor.com/nic=eth0"},
        ]
    )
    assert (found.cdi.devices, found.cdi_on) == (("GPU-a",), True)


def test_specifications_are_read_in_both_formats(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(spec("0", "all")), "utf-8")
    (tmp_path / "b.yaml").write_text(yaml.safe_dump(spec("0", "1")), "utf-8")
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(spec("x", kind="vendor.com/nic")), "utf-8")
    (tmp_path / "README").write_text("not one", "utf-8")
    found = read_cdi([str(tmp_path), str(tmp_path / "missing")])
    assert (found.devices, found.missing_files, found.broken) == (("0", "all", "1"), (), ())


def test_a_specification_that_mounts_what_is_gone_is_seen(tmp_path: Path) -> None:
    gone = str(tmp_path / "libcuda.so.525")
    (tmp_path / "a.json").write_text(json.dumps(spec("0", mounts=(str(tmp_path), gone))), "utf-8")
    assert read_cdi([str(tmp_path)]).missing_files == (gone,)


@pytest.mark.parametrize("content", ["", "{", "[1]", "kind: nvidia.com/gpu", "kind: nvidia.com/gpu\ndevices: [x]"])
def test_a_broken_specification_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "nvidia.yaml"
    path.write_text(content, "utf-8")
    assert read_cdi([str(tmp_path)]).broken == (f"{path}: not a CDI specification",)


def test_a_specification_that_is_not_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "nvidia.json"
    path.write_bytes(b"\xff\xfe\x00")
    assert read_cdi([str(tmp_path)]) == CdiSpecs(folders=(str(tmp_path),), broken=(f"{path}: not a CDI specification",))
