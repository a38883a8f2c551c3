"""A network's code is a package: found by its place, apart from upstream's modules and from other networks."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from faceorch_runner import Event, EventParser, Progress, RunnerError
from faceorch_runner.events import EventStream
from faceorch_runner.network import load_module, load_network
from tests.conftest import GREY_RUNNER, write_code
from tests.unit.runner.conftest import Start, finish


@pytest.fixture
def name() -> str:
    """Return a name that no other test of this process has used."""
    return f"net{uuid.uuid4().hex}"


def test_modules_of_one_name_live_side_by_side(tmp_path: Path, name: str) -> None:
    for network in ("one", "two"):
        runner = "from . import blend\nfrom .blend import WHOSE\n" + GREY_RUNNER
        write_code(tmp_path / network, runner=runner, blend=f"WHOSE = {network!r}")
    path = list(sys.path)
    found = [load_module(tmp_path / network, name + network, "runner").WHOSE for network in ("one", "two")]
    assert found == ["one", "two"]
    assert sys.path == path
    assert "blend" not in sys.modules


def test_a_module_may_be_called_like_one_of_upstreams(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_code(tmp_path / "upstream" / f"src_{name}", render="WHOSE = 'upstream'")
    monkeypatch.syspath_prepend(str(tmp_path / "upstream"))
    code = f"from src_{name} import render as upstream\nBOTH = (upstream.WHOSE, 'ours')"
    write_code(tmp_path / "code", render=code, runner="from .render import BOTH")
    assert load_module(tmp_path / "code", name, "runner").BOTH == ("upstream", "ours")


def test_a_module_is_loaded_once_and_a_network_made_anew(tmp_path: Path, name: str) -> None:
    write_code(tmp_path, runner=GREY_RUNNER, synthetic="from . import runner")
    first, second = load_network(tmp_path, name), load_network(tmp_path, name)
    assert type(first) is type(second)
    assert first is not second
    assert load_module(tmp_path, name, "synthetic").runner is sys.modules[type(first).__module__]


@pytest.mark.parametrize("lost", ["__init__.py", "runner.py"])
def test_a_file_that_is_missing_is_named(tmp_path: Path, name: str, lost: str) -> None:
    write_code(tmp_path, runner=GREY_RUNNER)
    (tmp_path / lost).unlink()
    with pytest.raises(RunnerError) as caught:
        load_network(tmp_path, name)
    assert str(caught.value) == f"{tmp_path / lost} is missing"


def test_two_folders_are_not_taken_for_one_network(tmp_path: Path, name: str) -> None:
    for folder in ("a", "b"):
        write_code(tmp_path / folder, runner=GREY_RUNNER)
    load_network(tmp_path / "a", name)
    with pytest.raises(RunnerError, match="a process has one network of a name"):
        load_network(tmp_path / "b", name)


def test_a_package_that_cannot_be_loaded_is_not_left_behind(tmp_path: Path, name: str) -> None:
    write_code(tmp_path, runner=GREY_RUNNER)
    (tmp_path / "__init__.py").write_text("raise ValueError('broken')\n", "utf-8")
    for _ in range(2):
        with pytest.raises(ValueError, match=r"^broken$"):
            load_network(tmp_path, name)


def test_parts_of_a_face_are_told_as_shares_of_what_a_picture_shows() -> None:
    told = list(boxes({"mouth": [(60, 80), (100, 70, 9), (80, 90)]}, (50, 50, 150, 100)))
    assert told == [{"picture": "video", "name": "mouth", "left": 0.1, "top": 0.4, "width": 0.4, "height": 0.4}]


def test_a_part_is_told_as_far_as_the_picture_shows_it() -> None:
    parts = {"face": [(-50, 10), (50, 250)], "eyes": [(-50, 10), (-5, 20)], "mouth": [(20, 20), (20, 40)]}
    told = list(boxes(parts, (0, 0, 100, 100)))
    assert [box["name"] for box in told] == ["face"], "eyes lie outside, and a mouth of no width is none"
    assert told[0] == {"picture": "video", "name": "face", "left": 0.0, "top": 0.1, "width": 0.5, "height": 0.9}


def boxes(parts: dict[str, Any], shown: tuple[float, float, float, float]) -> Iterator[dict[str, Any]]:
    """Yield what the host reads of them."""
    read, write = os.pipe()
    Progress(EventStream(write), "a").boxes("video", parts, shown)
    os.close(write)
    with open(read, "rb") as pipe:
        for event in EventParser().feed(pipe.read()):
            assert isinstance(event, Event)
            yield event.data


def test_two_networks_in_one_file_are_an_error(start: Start) -> None:
    code, events, _ = finish(start(GREY_RUNNER + "\nclass Other(Grey): pass\n"))
    assert code == 1
    assert "defines 2 subclasses of faceorch_runner.Network, 1 needed" in events[-1].data["message"]
