"""Programs run as a user without rights, by tests that root runs: much holds for root only because it is root."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import pytest

NOBODY = 65534
_ROOT = Path(__file__).parents[1]


def run_plain(
    arguments: Sequence[str], *, groups: Sequence[int] = (), stdin: str = "", **env: str
) -> subprocess.CompletedProcess[str]:
    """Run this Python with `arguments` and this test's packages as nobody; skip where that cannot be."""
    python = _python()
    if python is None:
        pytest.skip("no user but root can run this Python, and the system has none of the same version")
    return _run(python, arguments, groups, stdin, env)


def _run(
    python: str, arguments: Sequence[str], groups: Sequence[int], stdin: str, env: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    # The standard library is the interpreter's own.
    paths = [path for path in sys.path if not path.startswith((sys.base_prefix, "/usr/lib/python")) and path]
    return subprocess.run(
        [python, *arguments],
        env={"PATH": os.defpath, "HOME": "/nonexistent", "PYTHONPATH": os.pathsep.join([str(_ROOT), *paths]), **env},
        cwd="/",
        user=NOBODY,
        group=NOBODY,
        extra_groups=groups,
        input=stdin,
        capture_output=True,
        text=True,
    )


@cache
def _python() -> str | None:
    for python in (sys.executable, f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}"):
        try:
            if _run(python, ["-c", "import av, docker, pytest, faceorch.cli.main"], (), "", {}).returncode == 0:
                return python
        except OSError:
            continue
    return None


@pytest.fixture
def nobodys_folder() -> Iterator[Path]:
    """A folder that nobody may write to; pytest's own are closed to others."""
    with tempfile.TemporaryDirectory(prefix="faceorch-test-") as name:
        os.chown(name, NOBODY, NOBODY)
        yield Path(name)
