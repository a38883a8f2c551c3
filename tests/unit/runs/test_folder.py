"""A new run folder: what is said in the clip is kept with it."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import MakeNetwork, compare_here
from tests.unit.conftest import Listener, RequestFor


def test_what_is_said_is_kept_when_its_text_lies_beside_the_clip(
    make_network: MakeNetwork, request_for: RequestFor, clip: Path, listener: Listener
) -> None:
    make_network("grey")
    clip.with_suffix(".txt").write_text("Good evening.", "utf-8")
    folder = compare_here(request_for("grey"), listener)
    assert (folder.inputs / "clip.txt").read_text("utf-8") == "Good evening."
    assert ">evening.</button>" in (folder.path / "report.html").read_text("utf-8")
