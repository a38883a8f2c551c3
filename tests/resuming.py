"""What a user does after an interruption: copy the command that is shown into a shell, in any folder."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import psutil

END_S = 120  # guards against hanging, and nothing else

SLEEPING = """
from faceorch_runner import Network
import time
class Sleeping(Network):
    def animate(self, job, progress):
        progress.stage("sleeping")
        progress.update(1, 10)
        time.sleep(3000)
"""


def shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command as a shell does that finds this faceorch, in `folder`."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["/bin/sh", "-c", command],
        cwd=folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=END_S,
        check=False,
    )


def interrupted(arguments: Sequence[str], folder: Path, number: signal.Signals) -> str:
    """Run faceorch in `folder` until its network sleeps, end it by a signal, return what it printed after that."""
    with subprocess.Popen(
        [sys.executable, "-m", "faceorch", *arguments],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line)
            if "sleeping: sleeping" in line or "probe: sleeping" in line:
                break
        else:
            raise AssertionError("".join(said))
        runners = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(number)
        output = process.communicate(timeout=END_S)[0]
    _, alive = psutil.wait_procs(runners, timeout=END_S)
    assert alive == []
    return output


def printed_command(output: str) -> str:
    """Return the command that the end of an interrupted run prints."""
    return str(re.findall(r"^interrupted; finish it with: (faceorch .*)$", output, re.MULTILINE)[0])


def reported_command(page: Path) -> str:
    """Return the command that report.md shows for a run that is not complete."""
    return str(
        re.findall(r"^\*\*Not complete\.\*\* Finish it with `(faceorch .*)`$", page.read_text("utf-8"), re.MULTILINE)[0]
    )
