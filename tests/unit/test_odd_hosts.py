"""What a host has that is odd: a damaged Docker config, a `~` that the shell has left."""

from __future__ import annotations

from pathlib import Path

import pytest

from faceorch.cli.types import Folder
from faceorch.engine.client import endpoint
from faceorch.errors import EngineError


def test_a_damaged_docker_config_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.json").write_text('{"currentContext": 5}')
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    with pytest.raises(EngineError) as caught:
        endpoint()
    assert caught.value.message.startswith(f"{tmp_path}/config.json cannot be read: ")


def test_a_tilde_is_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Folder(path_type=Path).convert(Path("~/talks"), None, None) == tmp_path / "talks"
