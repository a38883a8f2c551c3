"""The timeline of a job: others can read it, and a damaged one costs its samples alone."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from faceorch.comparison import resume
from faceorch.record.kinds import JobStatus
from faceorch.runs.events import Event, StageStarted
from faceorch.telemetry import timeline
from faceorch.telemetry.processes import TreeProbe
from faceorch.telemetry.samples import UsageSample
from tests.conftest import MakeNetwork, compare_here, ignore, wait_until
from tests.unit.conftest import FAILS_ONCE, RequestFor

HELD = """
import pathlib, time
from faceorch_runner import Network

def hold(stage):
    go = pathlib.Path({folder!r}) / stage
    while not go.exists():
        time.sleep(0.01)
    go.unlink()

class Held(Network):
    def setup(self, weights, device):
        hold("setup")
    def animate(self, job, progress):
        progress.stage("frames")
        hold("frames")
        with job.video(64, 48, 25) as video:
            for index in range(25):
                video.write(bytes(64 * 48 * 3))
        return video.path
"""


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Return a function that tells how often runners have been looked at."""
    count = 0
    read = TreeProbe.read

    def counted(self: TreeProbe) -> UsageSample | None:
        nonlocal count
        sample = read(self)
        count += 1
        return sample

    monkeypatch.setattr(TreeProbe, "read", counted)
    return lambda: count


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_the_timeline_is_read_by_duckdb(
    make_network: MakeNetwork, request_for: RequestFor, tmp_path: Path, looks: Callable[[], int], kind: str
) -> None:
    make_network("grey", HELD.format(folder=str(tmp_path)))

    def hold(event: Event) -> None:
        """Hold the runner in its stages until it has been looked at there."""
        if isinstance(event, StageStarted) and event.name in ("setup", "frames"):
            wanted = looks() + 2  # one may have begun before the stage did
            wait_until(lambda: looks() >= wanted, f"two looks in stage {event.name}")
            (tmp_path / event.name).touch()

    begun_s = time.monotonic()
    folder = compare_here(request_for("grey", repeat=2, timeline=kind), hold)
    whole_s = time.monotonic() - begun_s
    job = folder.run.job("grey")
    assert job.timeline == f"grey/telemetry.{kind}"
    path = folder.path / job.timeline
    found = duckdb.sql(
        f"select repetition, count(*), max(memory_bytes), min(t_s), max(t_s), list(distinct stage) from '{path}' "
        "where not warmup group by 1 order by 1"
    )
    assert found is not None
    table = found.fetchall()
    assert [row[0] for row in table] == [1, 2]
    for _, count, memory, first_s, last_s, stages in table:
        assert count >= 2
        assert memory > 2**20
        assert 0 <= first_s < last_s < whole_s
        assert {"setup", "frames"} <= set(stages)
    rows = timeline.read(path)
    assert len(rows) == sum(row[1] for row in table)
    assert list(rows[0]) == list(timeline.COLUMNS)
    assert rows[0]["vram_bytes"] is None


@pytest.mark.parametrize(
    ("kind", "content"), [("parquet", b""), ("parquet", b"PAR1 and no more"), ("csv", b"a,b\n1,2\n")]
)
def test_a_damaged_timeline_costs_its_samples_and_nothing_else(
    make_network: MakeNetwork, request_for: RequestFor, tmp_path: Path, kind: str, content: bytes
) -> None:
    source = FAILS_ONCE.format(path=str(tmp_path / "count"), fail_at=1, how="raise ValueError('the second time')")
    make_network("grey", source)
    first = compare_here(request_for("grey", repeat=2, timeline=kind), ignore)
    file = first.path / "grey" / f"telemetry.{kind}"
    file.write_bytes(content)
    job = resume(first.path, ignore).run.job("grey")
    assert (job.status, len(job.repetitions)) == (JobStatus.DONE, 2)
    assert {row["repetition"] for row in timeline.read(file)} == {2}
    log = (first.path / "grey" / "log.txt").read_text("utf-8")
    assert f"faceorch: {file} " in log
    assert "the samples of the repetitions before are lost, their figures are kept" in log
