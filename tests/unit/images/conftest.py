"""A network that is built into an image."""

from __future__ import annotations

import pytest

from faceorch.networks.discover import Network
from tests.conftest import MakeNetwork


@pytest.fixture
def network(make_network: MakeNetwork) -> Network:
    made = make_network("grey", runtimes=["docker"], bases=["cu121", "cu128"])
    (made.folder / "Dockerfile").write_text("ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\n", "utf-8")
    return made
