"""What is read of this machine: the toolkit's version, and the disk of a folder."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from faceorch.doctor.probes import probe_space, probe_toolkit


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
