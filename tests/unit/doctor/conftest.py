"""A host without engine and GPU, a made-up machine and networks, and what a person reads of a finding."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from faceorch.cli.main import cli
from faceorch.doctor.findings import Finding
from faceorch.doctor.probes import Machine
from faceorch.networks.manifest import Needs
from faceorch.telemetry.nvml import Gpus

NEEDS = {
    "floor": Needs(gpu=False, runtimes=("docker", "venv"), bases=("cpu",), ram_gb=2),
    "large": Needs(gpu=True, runtimes=("docker",), bases=("cu121", "cu128"), ram_gb=16, vram_gb=10),
    "small": Needs(gpu=True, runtimes=("docker",), bases=("cu121", "cu128"), ram_gb=8, vram_gb=6),
}


def machine(**facts: Any) -> Machine:
    given: dict[str, Any] = {
        "system": "Linux",
        "kernel": "6.8.0",
        "architecture": "x86_64",
        "container": False,
        "memory_bytes": 64 * 10**9,
        "available_bytes": 60 * 10**9,
    }
    return Machine(**{**given, **facts})


def said(finding: Finding) -> tuple[str, str, str, str]:
    """What a person reads first: how bad, found, needed, what to do."""
    return (finding.severity.value, finding.found, finding.needed, finding.remedy)


NO_GPUS = Gpus((), None, "no NVIDIA driver is installed")
MACHINE = Machine(
    system="Linux",
    kernel="6.8.0",
    architecture="x86_64",
    container=False,
    memory_bytes=64 * 10**9,
    available_bytes=60 * 10**9,
)


@pytest.fixture
def bare_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No engine, no GPU, plenty of memory: whatever this host has."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    for module in ("faceorch.doctor.probes", "faceorch.engine.sandbox"):
        monkeypatch.setattr(f"{module}.read_gpus", lambda: NO_GPUS)
    monkeypatch.setattr("faceorch.doctor.probes.read_states", lambda: ())
    monkeypatch.setattr("faceorch.doctor.probes.probe_machine", lambda: MACHINE)


def doctor(*arguments: str) -> Result:
    """Run `faceorch doctor`."""
    return CliRunner().invoke(cli, ["doctor", *arguments])
