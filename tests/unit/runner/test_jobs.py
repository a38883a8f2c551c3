"""A job file that does not follow the contract is named."""

from __future__ import annotations

from typing import Any

import pytest

from faceorch_runner import JobFile, RunnerError


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": 2}, "the job file has schema 2, this runner reads schema 1"),
        ({"extra": 1}, "the job file has unknown keys: extra"),
        ({"feed": "pipe"}, "'feed' is 'pipe', 'none' or 'stdin' needed"),
        ({"out": None}, "'out' is NoneType"),
        ({"jobs": [{"id": "../x"}]}, "job id '../x' is not a plain file name"),
    ],
)
def test_a_wrong_job_file_is_named(change: dict[str, Any], message: str) -> None:
    good = {
        "schema": 1,
        "network": "n",
        "code": "/c",
        "weights": None,
        "out": "/o",
        "device": "cpu",
        "feed": "none",
        "jobs": [],
    }
    assert JobFile.from_json(good).network == "n"
    with pytest.raises(RunnerError) as caught:
        JobFile.from_json({**good, **change})
    assert str(caught.value) == message
