"""How many inputs are tried, which is the same every time; and what trying them may take."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Iterator

import hypothesis
import pytest
from hypothesis import HealthCheck

MOST_BYTES = 2 * 2**30
# Of a hundred inputs, how many each test gets.
SHARES = {"events": 25, "jobs": 20, "folders": 15, "manifests": 15, "media": 15, "words": 10}


def inputs(kind: str) -> hypothesis.settings:
    """Return the settings of one test: the same inputs each time, without limits of time."""
    total = int(os.environ.get("FACEORCH_FUZZ") or 300)
    return hypothesis.settings(
        max_examples=max(1, total * SHARES[kind] // 100),
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )


@pytest.fixture(autouse=True)
def little_memory() -> Iterator[None]:
    """No hostile input may take this process beyond the limit."""
    yield
    unit = 1 if sys.platform == "darwin" else 1024
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit < MOST_BYTES
