"""The command that patches checkouts while an image is built."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path


def run(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "faceorch_patch", str(folder / "patches.py"), str(folder / "upstream")]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_command_patches_several_checkouts(folder: Path) -> None:
    done = run(folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == textwrap.dedent(
        """\
        patched: one/a.py (plain-float: numpy has no np.float)
        patched: two/b.py (plain-int: numpy has no np.int)
        """
    )
    path = folder / "upstream" / "one" / "a.py"
    assert path.read_text("utf-8").startswith("x = float\n")
    assert path.stat().st_mode & 0o777 == 0o755
    again = run(folder)
    assert again.returncode == 0
    assert again.stdout.count("already patched: ") == 2


def test_the_command_names_every_patch_that_does_not_fit(folder: Path) -> None:
    (folder / "upstream" / "one" / "a.py").write_text("x = 1\n", "utf-8")
    (folder / "upstream" / "two" / "b.py").unlink()
    done = run(folder)
    assert done.returncode == 1
    assert done.stderr == textwrap.dedent(
        """\
        patch plain-float does not fit one/a.py: expected 1 x `np.float`, found 0
        patch plain-int does not fit two/b.py: the file is not there
        2 patches do not fit: upstream is not what they were written for
        """
    )
    assert (folder / "upstream" / "one" / "a.py").read_text("utf-8") == "x = 1\n"
