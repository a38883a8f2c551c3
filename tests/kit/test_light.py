"""Packages whose __init__ is not run, until somebody wants more of them."""

from __future__ import annotations

import importlib
import inspect
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from faceorch_kit.light import light, light_torch
from tests.conftest import LIMIT_S


@pytest.fixture(autouse=True)
def heavy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package `heavy` whose __init__ says that it was run."""
    folder = tmp_path / "heavy"
    (folder / "inner").mkdir(parents=True)
    (folder / "__init__.py").write_text("ran = True\nfrom .inner import more\n", "utf-8")
    (folder / "inner/__init__.py").write_text("more = 'all of it'\n", "utf-8")
    (folder / "inner/part.py").write_text("thing = 'the part'\n", "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "heavy"]:
        del sys.modules[name]


def test_a_part_is_imported_without_what_is_above_it() -> None:
    light("heavy")
    light("heavy.inner", thing="part")
    assert importlib.import_module("heavy.inner.part").thing == "the part"
    assert "ran" not in vars(sys.modules["heavy"])
    import heavy.inner as inner

    assert inner.thing == "the part"
    assert "more" not in vars(inner)


def test_whoever_wants_more_gets_the_whole_package() -> None:
    light("heavy")
    import heavy

    assert heavy.more == "all of it"
    assert heavy.ran
    with pytest.raises(AttributeError):
        heavy.nothing  # noqa: B018


def test_what_is_loaded_or_not_there_stays_as_it_is() -> None:
    import heavy

    light("heavy")
    assert sys.modules["heavy"] is heavy
    assert heavy.ran
    light("not_there_at_all")
    light("not_there_at_all.inner")
    assert not [name for name in sys.modules if name.startswith("not_there_at_all")]


def test_parts_of_torch_wait_until_somebody_asks_for_something(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "fake/torch"
    (folder / "export").mkdir(parents=True)
    (folder / "__init__.py").write_text("from . import export, nn, _meta_registrations\n", "utf-8")
    (folder / "nn.py").write_text("here = 1\n", "utf-8")
    for name in ("export/__init__.py", "_meta_registrations.py"):
        (folder / name).write_text("import sys\nsys.ran.append(__name__)\nthing = 'it'\n", "utf-8")
    for name in [name for name in sys.modules if name.partition(".")[0] == "torch"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    monkeypatch.setattr(sys, "ran", [], raising=False)
    monkeypatch.syspath_prepend(tmp_path / "fake")
    light_torch()
    torch = importlib.import_module("torch")
    assert torch.nn.here == 1
    assert sys.ran == []  # type: ignore[attr-defined]
    assert torch.export.thing == "it"
    assert sys.ran == ["torch.export"]  # type: ignore[attr-defined]
    for name in [name for name in sys.modules if name.partition(".")[0] == "torch"]:
        del sys.modules[name]


def test_to_look_where_a_module_is_from_does_not_run_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    light("heavy")
    import heavy

    inspect.getmodule(importlib)  # looks at every module that there is
    assert heavy.__file__ == str(tmp_path / "heavy/__init__.py")
    assert "ran" not in vars(heavy)
    with pytest.raises(AttributeError):
        heavy.__nothing__  # noqa: B018
    names: dict[str, object] = {}
    exec("from heavy import *", names)
    assert names["more"] == "all of it"


def test_two_threads_that_want_a_module_run_it_once_and_get_all_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside, go_on = threading.Event(), threading.Event()

    def gate() -> None:
        inside.set()
        assert go_on.wait(LIMIT_S)

    monkeypatch.setattr(sys, "gate", gate, raising=False)
    (tmp_path / "heavy/__init__.py").write_text(
        "import sys\nran = globals().get('ran', 0) + 1\nsys.gate()\nmore = 'all of it'\n", "utf-8"
    )
    light("heavy")
    import heavy

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(getattr, heavy, "more")
        assert inside.wait(LIMIT_S)
        second = pool.submit(getattr, heavy, "more")
        go_on.set()
        assert (first.result(), second.result()) == ("all of it", "all of it")
    assert heavy.ran == 1


def test_a_module_that_fails_says_so_each_time_it_is_asked(tmp_path: Path) -> None:
    (tmp_path / "heavy/__init__.py").write_text("raise OSError('no')\n", "utf-8")
    light("heavy")
    import heavy

    for _ in range(2):
        with pytest.raises(OSError, match="no"):
            heavy.more  # noqa: B018


def test_a_torch_that_is_loaded_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", sys)
    monkeypatch.setattr(sys, "meta_path", before := list(sys.meta_path))
    light_torch()
    assert sys.meta_path == before
