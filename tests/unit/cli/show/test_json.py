"""A run as JSON lines, and as nothing else."""

from __future__ import annotations

import json
from pathlib import Path

from tests.conftest import MakeNetwork
from tests.unit.conftest import faceorch, run_arguments


def test_json_lines_are_json_and_nothing_else(
    make_network: MakeNetwork, portrait: Path, clip: Path, tmp_path: Path
) -> None:
    make_network("grey")
    done = faceorch(*run_arguments(portrait, clip, tmp_path / "out", "grey"), "--json")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [events[0]["event"], events[-1]["event"]] == ["run_started", "run_ended"]
    assert events[-1]["run"]["jobs"][0]["status"] == "done"
    assert {"stage", "progress", "job_started", "job_ended"} <= {event["event"] for event in events}
