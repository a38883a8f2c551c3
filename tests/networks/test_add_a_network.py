"""The page for whoever adds a network: its commands, run as they stand there, in a folder outside the repository."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from faceorch.record.folder import RunFolder
from faceorch.record.kinds import JobStatus
from tests.conftest import LIMIT_S
from tests.networks.conftest import ASSETS

PAGE = Path(__file__).parents[2] / "docs" / "contribute" / "add-a-network.md"
LINE = re.compile(r"^(ok|skipped|FAILED) ", re.MULTILINE)


def test_its_commands_lead_to_a_compared_video(tmp_path: Path, demo_clip: Path) -> None:
    shutil.copy(ASSETS / "face.png", tmp_path / "face.png")
    shutil.copy(demo_clip, tmp_path / "clip.wav")
    blocks = re.findall(r"^```sh\n(.*?)^```", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    assert blocks
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["sh", "-eux", "-c", "".join(blocks)],
        cwd=tmp_path,
        env={**os.environ, "PATH": path},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert set(LINE.findall(done.stdout)) == {"ok", "skipped"}
    compared, alone = (RunFolder.load(folder) for folder in sorted((tmp_path / "results").iterdir()))
    assert [(job.network, job.status) for job in compared.run.jobs] == [
        ("baseline", JobStatus.DONE),
        ("puppet", JobStatus.DONE),
    ]
    assert (compared.path / "report.html").is_file()
    assert alone.run.request.settings == {"puppet": {"motion": 2.0}}
    assert "einops==" in (tmp_path / "networks" / "puppet" / "requirements.cpu.lock").read_text("utf-8")
