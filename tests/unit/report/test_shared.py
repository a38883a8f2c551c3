"""What is shared says nothing of the machine's folders."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec import structs

from faceorch.record.folder import RunFolder
from faceorch.report.shared import share_json, sharing
from tests.made_up import make_comparison


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return make_comparison(tmp_path / "My Runs" / "run", count=1, seconds=0.2, repeat=1)


@pytest.mark.parametrize(
    ("text", "shared"),
    [
        ("File /home/somebody/.cache/faceorch/x.py, line 3", "File …/x.py, line 3"),
        ("/home/somebody/face.png", "…/face.png"),
        ("--weights=/data/my-weights", "--weights=…/my-weights"),
        ("'/mnt/a/b c' and \"/mnt/d/e\"", "'…/b c' and \"…/e\""),
        ("C:\\Users\\Somebody\\face.png", "…/face.png"),
        ("~somebody/talks/a.wav", "…/a.wav"),
        ("/opt/faceorch/network/runner.py, /usr/lib/x.so", "/opt/faceorch/network/runner.py, /usr/lib/x.so"),
        ("https://example.org/a/b", "https://example.org/a/b"),
        ("2 s/s, 1/2, a/b/c.py, and / alone", "2 s/s, 1/2, a/b/c.py, and / alone"),
    ],
)
def test_paths_are_cut_down_to_their_last_part(run: RunFolder, text: str, shared: str) -> None:
    if "b c" in text:  # a path with a space is known only when the run names it
        run.run.request = structs.replace(run.run.request, weights="/mnt/a/b c")
    assert sharing(run)(text) == shared


def test_the_run_folder_itself_is_a_path_of_this_machine(run: RunFolder) -> None:
    assert sharing(run)(f"{run.path}/alder/log.txt") == "…/run/alder/log.txt"


def test_texts_are_found_wherever_they_are() -> None:
    assert share_json({"a": ["x", 1, None, {"b": "x"}]}, str.upper) == {"a": ["X", 1, None, {"b": "X"}]}
