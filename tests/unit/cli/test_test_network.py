"""`faceorch test-network`: what it prints, and its exit code."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from faceorch.cli.main import cli
from tests.unit.contract.conftest import removed, replaced


def test_the_command_names_what_fails_and_ends_with_1(puppet: Path) -> None:
    removed("Dockerfile")(puppet)
    done = CliRunner().invoke(cli, ["test-network", str(puppet)])
    assert done.exit_code == 1
    assert "FAILED   the folder is whole: Dockerfile missing\n         try: " in done.output
    assert "ok       the runner is what the contract asks for\n" in done.output


def test_what_needs_a_gpu_or_a_container_is_not_run_here(puppet: Path) -> None:
    replaced("network.yaml", "[docker, venv]", "[docker]")(puppet)
    done = CliRunner().invoke(cli, ["test-network", str(puppet)])
    assert done.exit_code == 0, done.output
    assert done.output.count("only in a container: faceorch build puppet, then faceorch smoke puppet") == 4
