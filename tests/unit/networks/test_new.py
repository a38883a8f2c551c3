"""A new network's folder works under its own name; what is refused."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from faceorch.contract.reading import CHECKS
from faceorch.errors import InputError
from faceorch.networks.new import TEMPLATE, make_network


def test_the_folder_keeps_the_contract_under_its_own_name(tmp_path: Path) -> None:
    network = make_network("puppet", tmp_path / "made" / "here")
    assert network.folder == tmp_path / "made" / "here" / "puppet"
    for check in CHECKS.values():
        check(network)
    for path in network.folder.rglob("*"):
        assert not path.is_file() or "mynetwork" not in path.read_text("utf-8").lower(), path
    tree = ast.parse((network.code / "runner.py").read_text("utf-8"))
    assert [node.name for node in tree.body if isinstance(node, ast.ClassDef)] == ["Puppet"]
    assert [path.name for path in network.folder.parent.iterdir()] == ["puppet"], "nothing half-made stays"


def test_it_holds_every_file_of_the_template(tmp_path: Path) -> None:
    made = make_network("puppet", tmp_path).folder

    def files(folder: Path) -> set[str]:
        found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
        return {path.as_posix() for path in found if "__pycache__" not in path.parts}

    assert files(made) == files(TEMPLATE)


@pytest.mark.parametrize(
    ("name", "remedy"),
    [("My-Network", "mynetwork"), ("2nd", "nd"), ("../evil", "evil"), ("", "choose another name"), ("a b", "ab")],
)
def test_a_name_that_cannot_be_one_is_refused_with_one_that_can(name: str, remedy: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        make_network(name, tmp_path)
    assert "lower-case letters and digits" in caught.value.message
    assert remedy in caught.value.remedy
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("name", "found"), [("baseline", "already"), ("kit", "part of every image")])
def test_a_name_that_is_taken_is_refused(name: str, found: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=found):
        make_network(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["folder", "link"])
def test_what_is_there_is_left_alone(kind: str, tmp_path: Path) -> None:
    if kind == "folder":
        (tmp_path / "puppet").mkdir()
    else:
        (tmp_path / "puppet").symlink_to(tmp_path / "nowhere")
    with pytest.raises(InputError, match="already exists"):
        make_network("puppet", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["puppet"]


def test_a_name_longer_than_files_may_have_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a letter first, 60 at most$"):
        make_network("a" * 5000, tmp_path)
