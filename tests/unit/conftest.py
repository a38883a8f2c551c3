"""What several unit tests arrange in one way."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from faceorch.runs import Request
from tests.conftest import LIMIT_S

RequestFor = Callable[..., Request]


@pytest.fixture
def request_for(tmp_path: Path, portrait: Path, clip: Path) -> RequestFor:
    """Return a function that makes a request for the named networks, all run with this Python."""

    def make(*names: str, **changes: Any) -> Request:
        defaults: dict[str, Any] = {
            "image": portrait,
            "audio": clip,
            "networks": names,
            "runtime": "venv",
            "out": tmp_path / "results",
            "timeout_s": LIMIT_S,
            "pythons": {name: Path(sys.executable) for name in names},
        }
        return Request(**{**defaults, **changes})

    return make
