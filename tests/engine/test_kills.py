"""kill -9 of faceorch or its group, at random moments, with a container: it is gone, and the run can be finished."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.engine.conftest import containers_left
from tests.engine.test_hostile_files import NAME, network
from tests.killing import campaign, rounds

if TYPE_CHECKING:
    from docker import APIClient

__all__ = ["network"]


def test_nothing_is_lost_and_no_container_is_left(
    network: Path,
    api: APIClient,
    portrait: Path,
    clip: Path,
    tmp_path: Path,
    own_home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FACEORCH_NETWORKS", os.fspath(network.parent))
    words = ["run", "--runtime", "docker", "--network", NAME, "--out", str(tmp_path / "out")]
    words += ["--image", str(portrait), "--audio", str(clip)]

    def check() -> None:
        assert containers_left(api) == []

    seen = campaign(words, tmp_path / "out", own_home, rounds(), check)
    print(dict(seen))
