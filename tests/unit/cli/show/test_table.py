"""What a terminal shows while a run goes on."""

from __future__ import annotations

import io
from datetime import datetime, timezone

import pytest
from rich.console import Console

from faceorch.cli.show.table import LiveTable
from faceorch.record.kinds import JobStatus, OutcomeKind, RunStatus
from faceorch.record.reason import Reason
from faceorch.record.request import Request
from faceorch.record.run import ClipRecord, Host, Inputs, Job, PortraitRecord, Run
from faceorch.runs.events import JobStarted, Progressed, RunStarted, StageStarted

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
