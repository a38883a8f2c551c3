"""A run whose network needs nothing, and a judge of which tests change what they need."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from faceorch.record.folder import RunFolder
from faceorch.record.kinds import JobStatus, RunStatus
from faceorch.runs.events import Listener
from tests.conftest import STUB_JUDGE, MakeNetwork, compare_here, ignore
from tests.unit.conftest import RequestFor

Compare = Callable[..., RunFolder]
JUDGES_PYTHON = {"grey": sys.executable, "standin": sys.executable}


@pytest.fixture
def compare(make_network: MakeNetwork, make_judge: MakeNetwork, request_for: RequestFor) -> Compare:
    """Return a function that makes one video and has it judged by the given judge, in this test's own Python."""

    def run(judge: str = STUB_JUDGE, tell: Listener = ignore, **changes: Any) -> RunFolder:
        make_network("grey")
        make_judge(judge)
        return compare_here(request_for("grey", **{"pythons": JUDGES_PYTHON, **changes}), tell)

    return run


def instead(line: str) -> str:
    """Return a judge that does `line` in the place of judging."""
    begin = "        for step in range(11):"
    return STUB_JUDGE.replace(begin, f"        {line}\n{begin}")


def leaving(line: str) -> str:
    """Return a judge that does `line` to what its runner has written, when it has written all of it."""
    source = f"""
import atexit, os, sys, json
from pathlib import Path
out = Path(json.loads(Path(sys.argv[1]).read_text())["out"])
made, series = out / "grey.json", out / "grey.parquet"
import faceorch_runner.tasks
emit = faceorch_runner.tasks.EventStream.emit
def at_the_end(self, kind, *given, **data):
    if kind.value == "done":
        {line}
    return emit(self, kind, *given, **data)
faceorch_runner.tasks.EventStream.emit = at_the_end
"""
    return source + STUB_JUDGE


def folder_of(path: Path) -> RunFolder:
    """Return a run folder as its record says."""
    return RunFolder.load(path)


def reason(folder: RunFolder) -> str:
    """Return why a run has no judgement, after seeing that the run itself is as it should be."""
    run = RunFolder.load(folder.path).run
    assert run.status is RunStatus.DONE
    assert [job.status for job in run.jobs] == [JobStatus.DONE]
    assert run.judging is not None
    assert (folder.path / "report.html").is_file()
    return "" if run.judging.reason is None else f"{run.judging.reason.kind.value}: {run.judging.reason.found}"


FAILED_CHECK = STUB_JUDGE.replace('SELF_CHECK = ""', 'SELF_CHECK = "2 blinks drawn, 1 found"')
