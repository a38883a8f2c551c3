"""What a terminal shows while a run goes on."""

from __future__ import annotations

import io
from datetime import datetime, timezone

import pytest
from rich.console import Console

from faceorch.cli.show.table import LiveTable
from faceorch.record.kinds import JobStatus, OutcomeKind, RunStatus
from faceorch.record.run import ClipRecord, Host, Inputs, Job, Options, PortraitRecord, Run
from faceorch.words import duration

NOW = datetime(2026, 1, 31, tzinfo=timezone.utc)


def run_of(*jobs: Job) -> Run:
    digest = "0" * 64
    return Run(
        faceorch="0",
        id="x",
        status=RunStatus.RUNNING,
        created=NOW,
        updated=NOW,
        options=Options(networks=[], runtime="venv", gpus="all", seed=0, timeout_s=None),
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
        kind=OutcomeKind.NO_GPU,
        reason="needs an NVIDIA GPU: " + "no driver " * 20,
        remedy="run it on a host with an NVIDIA GPU",
    )
    with display:
        display.run_started(run_of(running, skipped))
        display.job_started(running)
        display.stage("baseline", "frames")
        display.progress("baseline", 10, 375, "frames")
        first, second = display._lines().plain.split("\n")
    assert first.split()[:2] == ["baseline", "frames"]
    assert first.endswith("10/375 frames")
    assert second.startswith("liveportrait  skipped  ")
    assert len(second) == width
    assert second.endswith("\u2026")


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, "n/a"), (1.24, "1.2 s"), (42, "42 s"), (61, "1:01 min"), (3700, "1:01 h")]
)
def test_durations_are_written_as_people_write_them(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text
