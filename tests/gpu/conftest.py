"""A real NVIDIA GPU behind a real engine; where there is none the tests skip with the reason."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from faceorch.engine.client import connect
from faceorch.errors import EngineError
from faceorch.telemetry.nvml import read_gpus
from tests.gpu.scenarios import SCENARIOS, Lab, Outcome

# A local image whose Python has torch, and the path of that Python, in the image and on this host.
IMAGE, PYTHON = "FACEORCH_TEST_GPU_IMAGE", "FACEORCH_TEST_GPU_PYTHON"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker("gpu")


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    gpus = read_gpus()
    if not gpus.gpus:
        pytest.skip(gpus.reason)
    try:
        connect()
    except EngineError as error:
        pytest.skip(error.message)
    image, python = os.environ.get(IMAGE), os.environ.get(PYTHON)
    if not image or not python:
        pytest.skip(f"{IMAGE} and {PYTHON} name no local image with torch, and no Python in it")
    made = Lab(tmp_path_factory.mktemp("lab"), image, python)
    made.context_bytes = int(SCENARIOS["context"](made).measurements["one"].gpu.vram_peak_bytes.value or 0)
    yield made
    made.close()


@pytest.fixture
def holds() -> Callable[[Outcome], None]:
    """Return a function that asserts everything that a scenario checked."""

    def assert_all(outcome: Outcome) -> None:
        assert [f"{check.name}: {check.found}" for check in outcome.checks if not check.holds] == []

    return assert_all
