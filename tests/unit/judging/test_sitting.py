"""A judge that fails, hangs or does not start is a reason, and the run is as it was."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.conftest import FOR_EVER_S
from tests.unit.judging.conftest import FAILED_CHECK, Compare, instead, reason


@pytest.mark.parametrize(
    ("judge", "found"),
    [
        (FAILED_CHECK, "crash: the judge failed its check of itself: 2 blinks drawn, 1 found"),
        ("import no_such_package", "crash: ModuleNotFoundError: No module named 'no_such_package'"),
        ("", "crash: .* has no function begin"),
        (instead("import os; os._exit(3)"), "crash: it ended with exit code 3 and without saying why"),
        (instead("import os; os.kill(os.getpid(), 9)"), "killed: it was killed"),
        (instead("import os; os.kill(os.getpid(), 11)"), "crash: it crashed in native code"),
    ],
)
def test_a_judge_that_fails_is_a_reason_and_the_run_is_as_it_was(compare: Compare, judge: str, found: str) -> None:
    import re

    folder = compare(judge)
    assert re.match(found, reason(folder))
    judging = folder.run.judging
    assert judging is not None
    assert judging.reason is not None
    assert judging.reason.remedy
    if judge is FAILED_CHECK:
        assert judging.self_check == "2 blinks drawn, 1 found"


def test_a_judge_that_hangs_is_ended(compare: Compare) -> None:
    folder = compare(instead(f"import time; time.sleep({FOR_EVER_S})"), timeout_s=5.0)
    assert reason(folder) == "timeout: not finished after 5 s (in stage 'judge grey')"


def test_a_judge_without_its_environment_is_a_reason(compare: Compare, tmp_path: Path) -> None:
    folder = compare(pythons={"grey": sys.executable, "standin": str(tmp_path / "nowhere")})
    assert reason(folder) == f"no_python: {tmp_path / 'nowhere'} is not a Python interpreter"
