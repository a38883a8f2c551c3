"""What several unit tests arrange in one way."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from faceorch.record.request import Request
from tests.conftest import LIMIT_S

RequestFor = Callable[..., Request]


@pytest.fixture
def request_for(tmp_path: Path, portrait: Path, clip: Path) -> RequestFor:
    """Return a function that makes a request for the named networks, all run with this Python."""

    def make(*names: str, **changes: Any) -> Request:
        defaults: dict[str, Any] = {
            "portrait": str(portrait),
            "clip": str(clip),
            "networks": names,
            "runtime": "venv",
            "timeout_s": LIMIT_S,
            "pythons": dict.fromkeys(names, sys.executable),
        }
        return Request(**{**defaults, **changes})

    return make
