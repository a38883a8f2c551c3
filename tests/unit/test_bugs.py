"""A bug of faceorch's own: one line, and a log that holds the traceback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.conftest import MakeNetwork


def test_a_bug_is_one_line_and_a_log(
    make_network: MakeNetwork, portrait: Path, clip: Path, tmp_path: Path, own_home: Path
) -> None:
    code = (
        "import sys; sys.argv = ['faceorch', 'networks']; import faceorch.networks.discover as n\n"
        "def broken(*a): raise KeyError('oops')\n"
        "n.load_networks = broken\nfrom faceorch.cli.main import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 70
    first, second = done.stderr.splitlines()
    assert first == "faceorch has a bug: KeyError: 'oops'"
    log = Path(second.partition("details: ")[2])
    assert log.parent == own_home / "bugs"
    assert "Traceback" in log.read_text("utf-8")
