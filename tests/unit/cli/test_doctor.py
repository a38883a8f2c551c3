"""`faceorch doctor` as people and machines meet it, on this very host but with an engine that is not there."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path

import jsonschema
import pytest

from faceorch.doctor.examine import json_schema
from faceorch.errors import EngineError
from tests.unit.doctor.conftest import doctor

pytestmark = pytest.mark.usefixtures("bare_host")


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


def test_the_documentation_lists_every_check() -> None:
    root = Path(__file__).parents[3]
    page = (root / "docs" / "guide" / "doctor.md").read_text("utf-8")
    sources = [path.read_text("utf-8") for path in (root / "orchestrator/faceorch/doctor").glob("*.py")]
    checks = {name for text in sources for name in re.findall(r'(?:check=|CHECK = )"([^"]+)"', text)}
    assert {"engine", "driver", "GPU access", "kernels"} <= checks
    assert [name for name in sorted(checks) if f"| {name} |" not in page] == []
