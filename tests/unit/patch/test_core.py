"""Patches: named, reasoned, safe to apply twice, refused when they cannot work."""

from __future__ import annotations

from pathlib import Path

import pytest

from faceorch_patch import Patch, PatchError, ReplaceExpression, Substitute, load_patches
from tests.unit.conftest import TWO_PATCHES
from tests.unit.patch.conftest import a_patch

FLOAT = ReplaceExpression("np.float", "float")


def test_a_patch_can_be_applied_twice() -> None:
    once = a_patch(FLOAT).apply("x = np.float(1)\n")
    assert once == "x = float(1)\n# Changed by faceorch (plain-float): numpy has no np.float\n"
    assert a_patch(FLOAT).apply(once) == once


def test_two_patches_of_one_file_do_not_hide_each_other() -> None:
    other = Patch(name="plain", file="code/a.py", reason="r", edits=(ReplaceExpression("np.int", "int"),))
    result = other.apply(a_patch(FLOAT).apply("x = np.float(np.int(1))"))
    assert result.startswith("x = float(int(1))\n")
    assert [p.is_applied(result) for p in (other, a_patch(FLOAT))] == [True, True]


def test_line_ends_and_other_letters_stay_as_they_are() -> None:
    once = a_patch(FLOAT).apply("é = 'ü'; x = np.float\r\ny = 1\r\n")
    assert once.startswith("é = 'ü'; x = float\r\ny = 1\r\n# Changed")
    assert "\n" not in once.replace("\r\n", "")


def test_a_result_that_is_no_python_is_refused() -> None:
    with pytest.raises(PatchError, match="the result is no Python: "):
        a_patch(Substitute("1", "(")).apply("x = 1\n")


def test_a_file_that_is_no_python_is_refused() -> None:
    with pytest.raises(PatchError, match="the file is no Python: "):
        a_patch(FLOAT).apply("x = = 1\n")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"file": "/etc/passwd.txt"}, "must be relative"),
        ({"file": "../a.py"}, "must be relative"),
        ({"file": "a.json"}, r"no comment can be left in a \.json file"),
        ({"reason": ""}, "says its reason in one line"),
        ({"edits": ()}, "needs edits"),
    ],
)
def test_a_patch_that_cannot_work_is_refused(changes: dict[str, object], message: str) -> None:
    given: dict[str, object] = {"name": "n", "file": "a.py", "reason": "r", "edits": (FLOAT,), **changes}
    with pytest.raises(ValueError, match=message):
        Patch(**given)  # type: ignore[arg-type]


def test_two_patches_of_one_name_and_file_are_refused(folder: Path) -> None:
    path = folder / "patches.py"
    path.write_text(TWO_PATCHES + "PATCHES = (PATCHES[0], PATCHES[0])\n", "utf-8")
    with pytest.raises(ValueError, match=r"two patches of one/a\.py are called plain-float"):
        load_patches(path)
