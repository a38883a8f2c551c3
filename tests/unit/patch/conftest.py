"""Two checkouts and the patches that fit them."""

from __future__ import annotations

from pathlib import Path

import pytest

from faceorch_patch import Edit, Patch
from tests.unit.conftest import TWO_PATCHES


def a_patch(*edits: Edit, file: str = "code/a.py") -> Patch:
    return Patch(name="plain-float", file=file, reason="numpy has no np.float", edits=edits)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "patches.py").write_text(TWO_PATCHES, "utf-8")
    for name, code in (("one/a.py", "x = np.float\n"), ("two/b.py", "y = np.int\n")):
        path = tmp_path / "upstream" / name
        path.parent.mkdir(parents=True)
        path.write_text(code, "utf-8")
    (tmp_path / "upstream" / "one" / "a.py").chmod(0o755)
    return tmp_path
