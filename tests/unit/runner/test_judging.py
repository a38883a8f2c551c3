"""The operation `judge` of the runner: findings and series out, one video's trouble is not another's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from faceorch.record.judgement import Judgement
from faceorch_runner import EventKind
from tests.conftest import FOR_EVER_S, STUB_JUDGE
from tests.unit.runner.conftest import Run


def found(folder: Path, name: str) -> Any:
    return json.loads((folder / "out" / f"{name}.json").read_text("utf-8"))


def instead(line: str) -> str:
    """Return a judge that does `line` first when it judges a video called `one`."""
    begin = "        assert portrait"
    return STUB_JUDGE.replace(begin, f"        if video.stem == 'one':\n            {line}\n{begin}")


def test_every_video_gets_findings_and_series_in_one_process(run: Run, tmp_path: Path) -> None:
    code, events, _ = run(ids=("one", "two"))
    assert code == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        f"{name}.{kind}" for name in ("one", "two") for kind in ("json", "parquet")
    }
    judgement = msgspec.convert(found(tmp_path, "two"), Judgement)
    assert judgement.findings["head_motion"].value == 4.5
    stages = [event.data["name"] for event in events if event.kind is EventKind.STAGE]
    assert stages == ["import", "setup", "self-check", "judge one", "judge two"]
    percents = [event.data["done"] for event in events if event.kind is EventKind.PROGRESS and event.job == "one"]
    assert percents == [0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100]
    assert [event.kind for event in events].count(EventKind.DONE) == 1
    assert events[-1].kind is EventKind.DONE


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("from faceorch_runner import RunnerError; raise RunnerError('it cannot be decoded')", "it cannot be decoded"),
        ("raise KeyError('yaw')", "KeyError: 'yaw'"),
        ("return {'value': float('nan')}", "ValueError: Out of range float values are not JSON compliant"),
        ("return {'value': object()}", "TypeError: Object of type object is not JSON serializable"),
    ],
)
def test_a_video_that_cannot_be_judged_does_not_keep_the_next_one_back(
    run: Run, tmp_path: Path, line: str, error: str
) -> None:
    code, events, log = run(instead(line), ids=("one", "two"))
    assert code == 0
    assert found(tmp_path, "one")["error"].startswith(error)
    assert found(tmp_path, "two")["frames"] == 25
    assert [event for event in events if event.kind is EventKind.ERROR] == []
    assert ("Traceback" in log) == ("RunnerError" not in line)


def test_a_judge_that_fails_its_own_check_judges_nothing(run: Run, tmp_path: Path) -> None:
    code, events, _ = run(STUB_JUDGE.replace('SELF_CHECK = ""', 'SELF_CHECK = "2 blinks drawn, 1 found"'))
    assert code == 1
    assert events[-1].kind is EventKind.ERROR
    assert events[-1].data == {"kind": "crash", "message": "2 blinks drawn, 1 found"}
    assert list((tmp_path / "out").iterdir()) == []


def test_the_long_check_tells_what_it_tried(run: Run) -> None:
    code, events, _ = run(ids=(), full=True)
    assert code == 0
    said = [event.data["message"] for event in events if event.kind is EventKind.NOTE]
    assert said == ["a made-up head turns by 4.5 of 4.5 degrees"]


def test_its_time_is_over_after_the_limit(run: Run) -> None:
    code, events, _ = run(instead(f"import time; time.sleep({FOR_EVER_S})"), timeout_s=0.2)
    assert code == 1
    assert events[-1].data == {"kind": "timeout", "message": "not finished after 0.2 s"}
