"""kill -9 of faceorch, its group or a runner, at random moments, in the venv runtime."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import MakeNetwork
from tests.killing import campaign, rounds
from tests.unit.conftest import run_arguments


def test_nothing_is_lost_and_nothing_is_left(
    make_network: MakeNetwork, portrait: Path, clip: Path, tmp_path: Path, own_home: Path
) -> None:
    make_network("grey")
    make_network("other")
    out = tmp_path / "out"
    seen = campaign(run_arguments(portrait, clip, out, "grey", "other"), out, own_home, rounds())
    print(dict(seen))
