"""What every display says of a judgement: one line per video, and where it differs from what is claimed."""

from __future__ import annotations

from pathlib import Path

import pytest

from faceorch.cli.show.lines import closing_lines, judging_line, measured_line
from faceorch.record.kinds import OutcomeKind, RunStatus
from faceorch.record.reason import Reason
from faceorch.record.run import Judging
from tests.unit.cli.show.test_table import run_of
from tests.unit.report.test_judgement import finding, job, judgement

FOUND = judgement(
    head_motion=finding("no", "stands still", value=0.4, low=0.1, high=0.6, unit="deg"),
    hair_motion=finding("not_measurable", "not measurable"),
    blinks=finding("yes", "blinks", value=12.0, low=3.0, high=30.0, unit="/min"),
    lip_sync=finding("unclear", "unclear"),
)


def test_one_line_per_video_marks_what_differs_from_its_claim() -> None:
    shown = job("a", FOUND, head_motion="yes", eye_blinks="yes")
    line = (
        "a: measured: head motion: stands still, 0.4° (0.1 to 0.6) (claimed: yes); hair motion: not measurable; "
        "blinks: blinks, 12 /min (3 to 30); lip-sync: unclear"
    )
    assert measured_line(shown) == line
    assert line in closing_lines(run_of(shown, job("b", None)), Path("x"))
    assert measured_line(job("b", None)) == ""


@pytest.mark.parametrize(
    ("reason", "line"),
    [
        (None, "done"),
        (
            Reason(kind=OutcomeKind.NOT_BUILT, found="its image is not built", remedy="faceorch build judge"),
            "no judgement: its image is not built -> faceorch build judge",
        ),
        (Reason(kind=OutcomeKind.CRASH, found="it crashed"), "no judgement: it crashed"),
    ],
)
def test_how_judging_went(reason: Reason | None, line: str) -> None:
    assert judging_line(Judging(reason=reason)) == line


def test_what_could_not_be_judged_is_told_at_the_end() -> None:
    run = run_of(job("a", None))
    run.judging = Judging(notes=["A: not judged: no frames"])
    assert "judge: A: not judged: no frames" in closing_lines(run, Path("x"))


def test_a_run_without_its_judgement_says_how_to_get_it() -> None:
    run = run_of(job("a", None))
    run.status = RunStatus.DONE
    run.judging = Judging(reason=Reason(kind=OutcomeKind.NOT_BUILT, found="its image is not built"))
    assert closing_lines(run, Path("/x"))[-1] == "judge it later with: faceorch judge /x"
    run.judging = Judging()
    assert closing_lines(run, Path("/x"))[-1].startswith("report: ")
