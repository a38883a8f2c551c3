"""`faceorch doctor` as people and machines meet it, on this very host but with an engine that is not there."""

from __future__ import annotations

import json
import re
import socket
import stat
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner, Result

from faceorch.cli.main import cli
from faceorch.doctor.examine import json_schema
from faceorch.doctor.probes import Machine, probe_space, probe_toolkit
from faceorch.errors import EngineError
from faceorch.telemetry.nvml import Gpus
from tests.conftest import MakeNetwork

NO_GPUS = Gpus((), None, "no NVIDIA driver is installed")
MACHINE = Machine(
    system="Linux",
    kernel="6.8.0",
    architecture="x86_64",
    container=False,
    memory_bytes=64 * 10**9,
    available_bytes=60 * 10**9,
)


@pytest.fixture(autouse=True)
def bare_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No engine, no GPU, plenty of memory: whatever this host has."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    for module in ("faceorch.doctor.probes", "faceorch.engine.sandbox"):
        monkeypatch.setattr(f"{module}.read_gpus", lambda: NO_GPUS)
    monkeypatch.setattr("faceorch.doctor.probes.read_states", lambda: ())
    monkeypatch.setattr("faceorch.doctor.probes.probe_machine", lambda: MACHINE)


def doctor(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["doctor", *arguments])


def test_a_bare_host_is_told_what_it_lacks_and_what_runs_all_the_same() -> None:
    result = doctor()
    assert result.exit_code == 1
    lines = result.output.splitlines()
    (engine,) = [number for number, line in enumerate(lines) if line.startswith("error    engine")]
    assert re.search(r"no container engine responds at unix://.*none.sock \(needed: Docker Engine", lines[engine])
    assert lines[engine + 1].strip() == "running: only networks that can run without a container will run"
    assert lines[engine + 2].strip() == ("try: install or start Docker (systemctl start docker), or set DOCKER_HOST")
    assert any(line.startswith("error    driver") for line in lines)
    assert any(line.startswith("skipped  GPU access") for line in lines)
    assert re.fullmatch(
        r"ok       baseline +ready \(venv\); its environment is built at the first run",
        next(line for line in lines if line.startswith("ok       baseline")),
    )
    assert lines[-1] == "2 errors; ready to run now: baseline"


def test_without_a_terminal_there_are_no_colours_and_no_folded_lines() -> None:
    result = doctor()
    assert "\x1b" not in result.output
    assert max(map(len, result.output.splitlines())) > 120


def test_machines_get_json() -> None:
    result = doctor("--json")
    assert result.exit_code == 1
    report = json.loads(result.output)
    assert (report["schema"], report["errors"], report["gpu_access"]) == (1, 2, None)
    jsonschema.validate(report, json_schema())
    found = {finding["check"]: finding for finding in report["findings"]}
    assert found["engine"]["severity"] == "error"
    assert set(found["engine"]) == {"check", "severity", "found", "needed", "running", "measuring", "remedy"}
    baseline = next(state for state in report["networks"] if state["name"] == "baseline")
    assert (baseline["ready"], baseline["runtime"]) == (True, "venv")


def test_an_engine_that_one_may_not_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied() -> None:
        raise EngineError("this user may not use the container engine", "sudo usermod -aG docker $USER")

    monkeypatch.setattr("faceorch.doctor.probes.connect", denied)
    assert "this user may not use the container engine (needed:" in doctor().output
    assert "try: sudo usermod -aG docker $USER" in doctor().output


def test_an_engine_behind_ssh_is_on_another_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "ssh://me@gpu-server")
    output = doctor().output
    assert "the container engine at ssh://me@gpu-server is on another machine, which is not supported" in output
    assert "try: run faceorch on gpu-server itself, or unset DOCKER_HOST" in output


def test_a_socket_that_nobody_listens_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
    assert f"no container engine responds at unix://{path}" in doctor().output


def test_a_broken_manifest_is_a_finding_and_the_rest_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "mine" / "network"
    folder.mkdir(parents=True)
    (folder / "network.yaml").write_text("schema: 1\n", "utf-8")
    monkeypatch.setenv("FACEORCH_NETWORKS", str(folder.parent))
    result = doctor()
    assert result.exit_code == 1
    assert re.search(r"^error    networks +.*network.yaml: 'title' is missing", result.output, re.M)
    assert "error    engine" in result.output


WEIGHTS = """
schema: 1
files:
  - {path: a.pth, source: {url: "http://127.0.0.1/a"}, size: %s, sha256: null, licence: MIT, commercial: true, why: all}
"""


@pytest.mark.parametrize(("size", "severity", "needed"), [(1000, "ok", "1.0 kB"), (10**18, "error", "1000000000.0 GB")])
def test_weights_that_do_not_fit_are_told_before_the_download(
    make_network: MakeNetwork, size: int, severity: str, needed: str
) -> None:
    network = make_network("heavy")
    (network.folder / "weights.yaml").write_text(WEIGHTS % size, "utf-8")
    report = json.loads(doctor("--json").output)
    (finding,) = [finding for finding in report["findings"] if finding["check"] == "disk for weights"]
    assert (finding["severity"], finding["needed"]) == (severity, f"{needed} for the weights of heavy")
    (state,) = [state for state in report["networks"] if state["name"] == "heavy"]
    assert state["reason"].startswith("its weight file is missing")
    assert state["remedy"] == "faceorch weights pull heavy"


def test_a_broken_weights_manifest_is_a_finding_and_the_rest_is_told(make_network: MakeNetwork) -> None:
    (make_network("heavy").folder / "weights.yaml").write_text("schema: 1\n", "utf-8")
    output = doctor().output
    assert re.search(r"^error    networks +.*weights.yaml: 'files' is missing", output, re.M)
    assert "running: heavy cannot run" in output
    assert re.search(r"^ok       baseline", output, re.M)


def test_the_toolkit_tells_its_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert probe_toolkit().program is None
    script = tmp_path / "nvidia-ctk"
    script.write_text("#!/bin/sh\necho 'NVIDIA Container Toolkit CLI version 1.17.4'\necho 'commit: 0.1.2'\n", "utf-8")
    script.chmod(0o755)
    found = probe_toolkit()
    assert (found.version, found.program) == ("1.17.4", "nvidia-ctk")
    script.unlink()
    older = tmp_path / "nvidia-container-cli"
    older.write_text("#!/bin/sh\necho 'cli-version: 1.13.5'\necho 'lib-version: 1.13.5'\n", "utf-8")
    older.chmod(stat.S_IRWXU)
    assert probe_toolkit().version == "1.13.5"
    older.write_text("#!/bin/sh\nexit 1\n", "utf-8")
    found = probe_toolkit()
    assert (found.version, found.program) == (None, "nvidia-container-cli")


def test_the_disk_of_a_folder_that_does_not_exist_yet(tmp_path: Path) -> None:
    found = probe_space(tmp_path / "a" / "b")
    assert found.path == str(tmp_path / "a" / "b")
    assert found.free_bytes is not None
    assert found.free_bytes > 0


def test_the_documentation_lists_every_check() -> None:
    root = Path(__file__).parents[3]
    page = (root / "docs" / "guide" / "doctor.md").read_text("utf-8")
    sources = [path.read_text("utf-8") for path in (root / "orchestrator/faceorch/doctor").glob("*.py")]
    checks = {name for text in sources for name in re.findall(r'(?:check=|CHECK = )"([^"]+)"', text)}
    assert {"engine", "driver", "GPU access", "kernels"} <= checks
    assert [name for name in sorted(checks) if f"| {name} |" not in page] == []
