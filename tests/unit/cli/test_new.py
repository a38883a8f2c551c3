"""What `faceorch new` says comes next."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from faceorch.cli.main import cli


def test_the_next_commands_are_quoted_and_keep_the_folders_that_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    monkeypatch.setenv("FACEORCH_NETWORKS", str(other))
    done = CliRunner().invoke(cli, ["new", "puppet", "--in", str(tmp_path / "my networks")])
    assert done.exit_code == 0, done.output
    export, check, run = [shlex.split(line) for line in done.output.split("next:\n")[1].splitlines()]
    assert export == ["export", f"FACEORCH_NETWORKS={other}:{tmp_path / 'my networks'}"]
    assert check == ["faceorch", "test-network", str(tmp_path / "my networks" / "puppet")]
    assert run[:3] == ["faceorch", "run", "--image"]
    assert Path(run[3]).is_file()


def test_a_folder_that_is_searched_already_is_not_named_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEORCH_NETWORKS", str(tmp_path))
    done = CliRunner().invoke(cli, ["new", "puppet", "--in", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert "export" not in done.output
