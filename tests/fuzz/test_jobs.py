"""Job files that are damaged: a typed error, in the runner's own words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from faceorch_runner import JobFile, RunnerError, TaskFile
from faceorch_runner.jobs import read_json
from tests.fuzz.conftest import inputs
from tests.fuzz.mutation import damaged_bytes, damaged_value

HEAD = {
    "schema": 1,
    "network": "grey",
    "code": "/code",
    "weights": "/w",
    "out": "/out",
    "device": "cpu",
    "feed": "stdin",
}
JOB = {"id": "grey", "portrait": "/p", "audio": "/a", "seed": 0, "settings": {"size": 64}, "timeout_s": 1.5}
FILES: list[dict[str, Any]] = [
    {**HEAD, "jobs": [JOB]},
    {**HEAD, "sandboxed": True, "op": "synthetic", "full": False},
    {**HEAD, "sandboxed": True, "op": "convert", "files": [{"source": "a", "target": "b", "key": None, "half": True}]},
]


VALUES = st.sampled_from(FILES).flatmap(damaged_value)


@inputs("jobs")
@given(st.one_of(VALUES, VALUES, VALUES, damaged_bytes([json.dumps(f).encode() for f in FILES] + [b"[" * 100_000])))
def test_a_damaged_job_file_is_a_typed_error(tmp_path_factory: Any, content: Any) -> None:
    path: Path = tmp_path_factory.getbasetemp() / "job.json"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    try:
        raw = read_json(path)
        (TaskFile if isinstance(raw, dict) and "op" in raw else JobFile).from_json(raw)
    except RunnerError as error:
        assert str(error)
