"""Files and folders that a run is given, looked at before anything starts."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import MakeNetwork
from tests.unit.conftest import faceorch, run_arguments
from tests.unit.media.conftest import refusal


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("mount") is None, reason="needs root to mount a small disk")
def test_a_full_disk_is_told_before_anything_starts(
    make_network: MakeNetwork, portrait: Path, clip: Path, tmp_path: Path
) -> None:
    make_network("grey")
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], check=False)
    if mounted.returncode != 0:
        pytest.skip("this system does not allow mounts")
    try:
        done = faceorch(*run_arguments(portrait, clip, disk, "grey"))
        assert done.returncode == 4
        assert f"{disk} has 1 MiB free, 256 MiB needed" in done.stderr
        assert list(disk.iterdir()) == []
    finally:
        subprocess.run(["umount", str(disk)], check=True)


class TestRefusals:
    def test_a_folder(self, tmp_path: Path) -> None:
        assert refusal(tmp_path).message == f"{tmp_path} is a folder, an audio file is needed"

    def test_an_empty_file(self, tmp_path: Path) -> None:
        path = tmp_path / "clip.wav"
        path.write_bytes(b"")
        assert refusal(path).message == f"{path} is empty (0 bytes)"

    def test_a_named_pipe_does_not_hang(self, tmp_path: Path) -> None:
        import os

        path = tmp_path / "pipe"
        os.mkfifo(path)
        assert refusal(path).message == f"{path} is not a regular file"
