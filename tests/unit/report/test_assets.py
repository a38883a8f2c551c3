"""The page's script is its modules, each once, after those that it needs; nothing of the module syntax is left."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

import pytest

from faceorch.report import assets

MODULES = sorted(assets.FOLDER.glob("*.js"))


def test_every_module_and_style_sheet_is_in_the_page() -> None:
    script = assets.script()
    for module in MODULES:
        assert script.count(f"const module_{module.stem} = ") == 1, module.name
    assert {path.name for path in assets.FOLDER.glob("*.css")} == set(assets.STYLES)


def test_a_module_comes_after_those_that_it_imports() -> None:
    order = re.findall(r"^const module_(\w+) = ", assets.script(), re.MULTILINE)
    for module in MODULES:
        for needed in re.findall(r'from "\./(\w+)\.js"', module.read_text("utf-8")):
            assert order.index(needed) < order.index(module.stem)


def test_nothing_is_left_that_a_browser_would_not_take() -> None:
    assert not re.search(r"^(import|export)\b", assets.script(), re.MULTILINE)
    assert "</" not in assets.script() + assets.styles(), "it would end the element that holds it"


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_modules_say_what_they_are_and_never_make_markup_of_text(module: Path) -> None:
    text = module.read_text("utf-8")
    assert text.startswith("// ")
    assert not re.search(r"innerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", text)


def test_the_policy_allows_exactly_this_text() -> None:
    digest = base64.b64encode(hashlib.sha256("a ü".encode()).digest()).decode()
    assert assets.allowed("a ü") == f"'sha256-{digest}'"
