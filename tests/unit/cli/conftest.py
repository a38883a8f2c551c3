"""A store of weights, and fixtures of other folders that commands are tested with too."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.doctor.conftest import bare_host
from tests.unit.engine.conftest import engine
from tests.unit.weights.conftest import server

__all__ = ["bare_host", "engine", "server"]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The store that commands use in this test; nothing is in it yet."""
    monkeypatch.setenv("FACEORCH_WEIGHTS", str(tmp_path / "store"))
    return tmp_path / "store"
