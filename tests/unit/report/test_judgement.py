"""What the judge found, on the pages: claimed beside measured, closeness, traces, and what cannot be said."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from faceorch import report
from faceorch.record.claims import STILL_PICTURE, Claims
from faceorch.record.folder import RunFolder
from faceorch.record.judgement import Finding, Judge, Judgement, Trace, Verdict
from faceorch.record.kinds import JobStatus, OutcomeKind
from faceorch.record.reason import Reason
from faceorch.record.request import StandIn
from faceorch.record.run import Job, Judging, Video
from faceorch.report.judgement import closeness, view
from tests.unit.cli.show.test_table import run_of

VIDEO = Video(
    file="a.mp4",
    width=64,
    height=48,
    fps=25.0,
    frames=25,
    duration_s=1.0,
    codec="h264",
    pixel_format="yuv420p",
    audio_codec="aac",
    bytes=1,
    sha256="0" * 64,
)
JUDGE = Judge(version="1", models={"a.task": "a" * 64}, thresholds="b" * 64)


def finding(verdict: str, says: str = "", reason: str = "why", **fields: Any) -> Finding:
    return Finding(verdict=Verdict(verdict), says=says or verdict, reason=reason, **fields)


def judgement(judge: Judge = JUDGE, traces: dict[str, Trace] | None = None, **findings: Finding) -> Judgement:
    return Judgement(
        judge=judge, frames=25, duration_s=1.0, coverage=1.0, findings=findings, traces=traces or {}, notes=[]
    )


def job(name: str, judged: Judgement | None, **claims: str) -> Job:
    known = Claims(source="a paper", **claims) if claims else None
    return Job(network=name, title=name.title(), status=JobStatus.DONE, video=VIDEO, judgement=judged, claims=known)


@pytest.mark.parametrize(
    ("claimed", "verdict", "differs"),
    [
        ("yes", "yes", False),
        ("yes", "no", True),
        ("yes", "slight", True),
        ("yes", "unclear", False),
        ("yes", "not_measurable", False),
        ("small", "slight", False),
        ("small", "yes", False),
        ("small", "no", True),
        ("none in still mode, which keeps the portrait's own pose", "no", False),
        ("none in still mode, which keeps the portrait's own pose", "yes", True),
        ("no", "slight", False),
    ],
)
def test_a_claim_stands_beside_what_was_measured(claimed: str, verdict: str, differs: bool) -> None:
    shown = view(run_of(job("a", judgement(head_motion=finding(verdict)), head_motion=claimed)))
    cell = shown.rows[0].cells[0]
    assert (cell.name, cell.claimed, cell.differs) == ("head motion", claimed, differs)
    assert shown.sources == [("A", "a paper")]


def test_values_have_their_intervals_and_what_is_not_measurable_says_why() -> None:
    found = judgement(
        head_motion=finding("yes", "moves", value=26.04, low=24.2, high=27.9, unit="deg"),
        lip_sync=finding("not_measurable", "not measurable", "the clip has 1.2 s of speech, 2 s needed"),
        identity=finding("yes", "kept", value=0.31, unit=""),
    )
    (row,) = view(run_of(job("a", found))).rows
    head, hair, blinks, sync = row.cells
    assert head.figure == "26° (24 to 28)"
    assert (sync.says, sync.figure, sync.reason) == ("not measurable", "", "the clip has 1.2 s of speech, 2 s needed")
    assert (hair.says, hair.reason) == ("not measured", "the judge has no such metric")
    assert blinks.style == "open"
    assert [(cell.name, cell.says, cell.figure) for cell in row.others] == [("identity", "kept", "0.31")]


def test_a_face_that_moves_in_a_still_picture_is_called_so() -> None:
    pasted = judgement(head_motion=finding("yes"), hair_motion=finding("no"))
    whole = judgement(head_motion=finding("yes"), hair_motion=finding("yes"))
    unknown = judgement(head_motion=finding("yes"), hair_motion=finding("not_measurable"))
    rows = view(run_of(job("a", pasted), job("b", whole), job("c", unknown))).rows
    assert [row.still_picture for row in rows] == [STILL_PICTURE, "", ""]


@pytest.mark.parametrize(
    ("value", "real", "close"),
    [(4.5, 6.0, 0.75), (6.0, 6.0, 1.0), (18.0, 6.0, -1.0), (1.0, 0.0, None), (None, 1.0, None)],
)
def test_closeness_has_thevals_form(value: float | None, real: float | None, close: float | None) -> None:
    assert closeness(value, real) == close


def of_reference(*jobs: Job) -> Any:
    run = run_of(*jobs)
    run.request = structs.replace(run.request, videos={"a": "a.mp4"}, reference="real.mp4")
    return run


def test_real_footage_stands_on_top() -> None:
    theirs, real = (judgement(head_motion=finding("yes", value=value)) for value in (4.5, 6.0))
    shown = view(of_reference(job("a", theirs), job("reference", real)))
    assert [(row.title, row.reference, row.cells[0].close) for row in shown.rows] == [
        ("Reference", True, ""),
        ("A", False, "0.75"),
    ]


def test_two_judges_are_said_and_their_values_not_brought_together() -> None:
    other = structs.replace(JUDGE, thresholds="c" * 64)
    theirs = judgement(other, head_motion=finding("yes", value=4.5))
    real = judgement(head_motion=finding("yes", value=6.0))
    shown = view(of_reference(job("a", theirs), job("reference", real)))
    assert shown.different.startswith("These videos were judged by 2 different judges")
    assert [row.cells[0].close for row in shown.rows] == ["", ""]
    assert view(run_of(job("a", theirs))).different == ""


def test_a_trace_breaks_where_there_was_no_face() -> None:
    traces = {
        "mouth": Trace(step_s=0.5, values=[0.0, 0.1, None, 0.1, 0.0], unit="IOD"),
        "voice": Trace(step_s=0.5, values=[0.0, 1.0, 0.5, 0.2, 0.0]),
        "yaw": Trace(step_s=0.5, values=[2.0, 2.0], unit="deg"),
        "closure": Trace(step_s=0.5, values=[None, None]),
    }
    yaw, mouth = view(run_of(job("a", judgement(traces=traces)))).rows[0].sparks
    assert (yaw.name, yaw.scale, yaw.lines) == ("head turns", "2 to 2°", ["0.0,18.0 48.0,18.0"])
    assert mouth.lines == ["0.0,34.0 48.0,2.0", "144.0,2.0 192.0,34.0"]
    assert mouth.voice.startswith("0.0,36 0.0,34.0 48.0,2.0 ")
    assert mouth.voice.endswith(" 192.0,36")


def test_loudness_in_decibels_is_drawn_upwards_too() -> None:
    traces = {
        "mouth": Trace(step_s=0.5, values=[0.0, 0.1]),
        "voice": Trace(step_s=0.5, values=[-60.0, 0.0], unit="dB"),
    }
    (mouth,) = view(run_of(job("a", judgement(traces=traces)))).rows[0].sparks
    assert mouth.voice == "0.0,36 0.0,34.0 120.0,2.0 120.0,36"


HOSTILE = '<script>alert(1)</script> | "x"'


@pytest.fixture
def pages(tmp_path: Path) -> Any:
    """Return a function that writes the pages of a run and returns them."""

    def write(run: Any) -> tuple[str, str]:
        report.write_report(RunFolder(tmp_path, run))
        return (tmp_path / "report.html").read_text("utf-8"), (tmp_path / "report.md").read_text("utf-8")

    return write


def test_the_pages_show_it_and_words_stay_words(pages: Any) -> None:
    traces = {"yaw": Trace(step_s=0.5, values=[1.0, 2.0], unit="deg")}
    found = judgement(traces=traces, head_motion=finding("yes", HOSTILE, HOSTILE, value=4.5), hair_motion=finding("no"))
    html, markdown = pages(run_of(job("a", found, head_motion="yes", eye_blinks="yes")))
    assert "<script>alert" not in html
    assert STILL_PICTURE in html
    assert STILL_PICTURE in markdown
    assert "\\<script\\>alert(1)\\</script\\> \\| " in markdown
    (picture,) = html.split("<svg")[1:]
    drawn = ET.fromstring("<svg" + picture.partition("</svg>")[0] + "</svg>")
    assert drawn.attrib["aria-label"] == "head turns, 1 to 2°"
    assert [line.attrib["points"] for line in drawn] == ["0.0,34.0 120.0,2.0"]


def test_why_there_is_no_judgement_and_what_to_do(pages: Any) -> None:
    run = run_of(job("a", None))
    reason = Reason(kind=OutcomeKind.CRASH, found="the judge failed its check of itself: 1 blink", remedy="report it")
    run.judging = Judging(reason=reason, notes=["A: not judged: no frames"])
    for page in pages(run):
        assert "There is no judgement: the judge failed its check of itself: 1 blink. What to do: report it" in page
        assert "not judged: no frames" in page


def test_nobody_who_was_not_asked_says_anything(pages: Any) -> None:
    for page in pages(run_of(job("a", None))):
        assert "What moves" not in page


def test_what_moves_on_stand_in_weights_says_nothing(pages: Any) -> None:
    run = run_of(job("a", judgement(head_motion=finding("yes"))))
    run.request = structs.replace(run.request, stand_in=StandIn(size="tiny"))
    html, markdown = pages(run)
    assert "Stand-in weights: what moves here says nothing of the networks." in html
    assert "**Stand-in weights**: what moves here says nothing of the networks." in markdown
