"""SadTalker's own modules without its environment: torch and upstream's code have stand-ins here, or no test."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from types import ModuleType

import pytest

from faceorch.paths import docker_folder

FOLDER = docker_folder() / "sadtalker"

Load = Callable[[str], ModuleType]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Iterator[Load]:
    """Return a function that imports one of SadTalker's modules; none of them is left behind."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(FOLDER))
    yield importlib.import_module
    for name in set(sys.modules) - before:
        if name.startswith("sadtalker_") or name in ("runner", "faceorch_network"):
            del sys.modules[name]
