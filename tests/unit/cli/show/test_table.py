"""What a terminal shows while a run goes on."""

from __future__ import annotations

import io
from datetime import datetime, timezone
from pathlib import Path

import pytest
from rich.console import Console

from faceorch.cli.show.table import LiveTable
from faceorch.record.kinds import JobStatus, OutcomeKind, RunStatus
from faceorch.record.reason import Reason
from faceorch.record.request import Request
from faceorch.record.run import ClipRecord, Host, Inputs, Job, Judging, PortraitRecord, Run
from faceorch.runs.events import (
    JobStarted,
    JudgingEnded,
    JudgingStarted,
    Progressed,
    RunEnded,
    RunStarted,
    StageStarted,
)

NOW = datetime(2026, 1, 31, tzinfo=timezone.utc)


def run_of(*jobs: Job) -> Run:
    digest = "0" * 64
    return Run(
        faceorch="0",
        id="x",
        status=RunStatus.RUNNING,
        created=NOW,
        updated=NOW,
        request=Request(portrait="p", clip="c", runtime="venv"),
        host=Host(os="", kernel="", cpu="", cores=2, memory_bytes=1, python="3"),
        inputs=Inputs(
            portrait=PortraitRecord(file="p", source="p", source_sha256=digest, sha256=digest, width=64, height=64),
            clip=ClipRecord(
                file="c", source="c", source_sha256=digest, sha256=digest, duration_s=1.0, sample_rate_hz=16000
            ),
        ),
        jobs=list(jobs),
    )


@pytest.mark.parametrize("width", [60, 80, 200])
def test_every_network_has_its_line_and_only_the_end_is_cut(width: int) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=width, color_system=None)
    display = LiveTable(console)
    running = Job(network="baseline", title="Baseline", status=JobStatus.RUNNING)
    skipped = Job(
        network="liveportrait",
        title="L",
        status=JobStatus.SKIPPED,
        reason=Reason(
            kind=OutcomeKind.NO_GPU,
            found="needs an NVIDIA GPU: " + "no driver " * 20,
            remedy="run it on a host with an NVIDIA GPU",
        ),
    )
    with display:
        display(RunStarted(run=run_of(running, skipped)))
        display(JobStarted(network="baseline"))
        display(StageStarted(network="baseline", name="frames"))
        display(Progressed(network="baseline", done=10, total=375, unit="frames"))
        first, second = display._lines().plain.split("\n")
    assert first.split()[:2] == ["baseline", "frames"]
    assert first.endswith("10/375 frames")
    assert second.startswith("liveportrait  skipped  ")
    assert len(second) == width
    assert second.endswith("\u2026")


@pytest.mark.parametrize("reason", [None, Reason(kind=OutcomeKind.CRASH, found="it crashed", remedy="report it")])
def test_the_judge_has_a_line_of_its_own(reason: Reason | None, tmp_path: Path) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=120, color_system=None)
    display = LiveTable(console)
    run = run_of(Job(network="baseline", title="Baseline", status=JobStatus.SKIPPED, reason=reason))
    with display:
        display(RunStarted(run=run))
        display(JudgingStarted(judge="judge", videos=1))
        display(StageStarted(network="judge", name="judge baseline"))
        display(Progressed(network="judge", done=40, total=100, unit="%"))
        at_work = display._lines().plain.splitlines()[1]
        display(JudgingEnded(judge="judge", judging=Judging(reason=reason)))
        ended = display._lines().plain.splitlines()[1]
        display(RunEnded(folder=str(tmp_path), run=run))
    assert at_work.startswith("judge     judge baseline  ")
    assert "40/100 %" in at_work
    assert ended.startswith("judge     done" if reason is None else "judge     no judgement")
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    assert ("judge: no judgement: it crashed -> report it" in shown) == (reason is not None)
