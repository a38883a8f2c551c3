"""Several repetitions of one job: what they say together, what they cannot say, and how a run is taken up again."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import jsonschema
import pytest
from msgspec import structs

from faceorch.comparison import resume
from faceorch.record.folder import RunFolder, json_schema, now
from faceorch.record.kinds import JobStatus
from faceorch.record.request import Request
from faceorch.record.run import Environment, ForeignProcess, GpuUse, Job, Measured, Repetition, Spread, Times
from faceorch.record.spread import Ranking, rank, spreads
from faceorch.report import write_report
from faceorch.runs.events import Event, RepetitionStarted, StageStarted
from faceorch.runs.history import History, job_of
from faceorch.runs.repeats import Turn, turns
from faceorch.telemetry import timeline
from faceorch.telemetry.processes import TreeProbe
from faceorch.telemetry.samples import GpuSample, UsageSample
from faceorch.telemetry.summary import gpu_remarks, throttled
from tests.conftest import FOR_EVER_S, MakeNetwork, compare_here, ignore, reason_of, wait_until
from tests.unit.conftest import RequestFor


def request(repeat: int, warmup: int = 0) -> Request:
    return Request(portrait="face.png", clip="clip.wav", repeat=repeat, warmup=warmup)


def repetition(
    number: int, animate_s: float, *, sha: str = "0", warmup: bool = False, **metrics: Measured
) -> Repetition:
    return Repetition(
        number=number,
        warmup=warmup,
        started=now(),
        times=Times(animate_s=animate_s, total_s=animate_s + 2),
        video_sha256=sha * 64,
        metrics=dict(metrics),
    )


def spread(minimum: float, median: float, maximum: float, count: int = 5) -> Spread:
    return Spread(unit="s", count=count, min=minimum, median=median, max=maximum)


class TestTurns:
    def test_warm_ups_come_first(self) -> None:
        assert turns(request(2, 1), []) == [Turn(1, 1, True), Turn(1, 2, False), Turn(2, 2, False)]
        assert [str(turn) for turn in turns(request(2, 1), [])] == [
            "warm-up 1 of 1",
            "repetition 1 of 2",
            "repetition 2 of 2",
        ]

    def test_a_run_that_is_taken_up_does_what_is_missing_and_warms_up_again(self) -> None:
        assert turns(request(3, 1), [repetition(1, 5.0)]) == [Turn(1, 1, True), Turn(2, 3, False), Turn(3, 3, False)]

    def test_with_everything_done_there_is_no_turn(self) -> None:
        assert turns(request(1, 3), [repetition(1, 5.0)]) == []


class TestSpreads:
    def test_minimum_median_maximum_and_spread(self) -> None:
        found = spreads([repetition(1, 5.0), repetition(2, 4.0), repetition(3, 6.0)])["animate_s"]
        assert (found.min, found.median, found.max, found.count) == (4.0, 5.0, 6.0, 3)
        assert found.spread == pytest.approx(0.4)

    def test_figures_of_different_methods_are_not_mixed(self) -> None:
        told = Measured(value=900, unit="bytes", method="per_process")
        torch = Measured(value=700, unit="bytes", method="allocator")
        assert "vram_peak_bytes" not in spreads(
            [repetition(1, 5.0, vram_peak_bytes=told), repetition(2, 5.0, vram_peak_bytes=torch)]
        )
        assert "vram_peak_bytes" in spreads(
            [repetition(1, 5.0, vram_peak_bytes=told), repetition(2, 5.0, vram_peak_bytes=told)]
        )

    @pytest.mark.parametrize(
        ("seconds", "outliers"),
        [
            ([5.0, 5.1, 5.05, 4.95, 9.0], [5]),
            ([5.0, 5.0, 5.0, 5.0, 5.3], []),  # under a tenth: not worth a word
            ([5.0, 6.0, 7.0, 5.5, 6.5], []),  # they all differ
            ([5.0, 9.0], []),  # of two nobody can tell which
        ],
    )
    def test_an_outlier_is_found(self, seconds: list[float], outliers: list[int]) -> None:
        counted = [repetition(number, s) for number, s in enumerate(seconds, start=1)]
        assert spreads(counted)["animate_s"].outliers == outliers


class TestRemarks:
    def job(self, *counted: Repetition, **changes: Any) -> Job:
        asked = Job(network="a", title="A", status=JobStatus.PENDING)
        environment = Environment(runtime="venv", identity="x", name="x")
        return job_of(
            History(asked=asked, started=now(), environment=environment, several=True, repetitions=counted, **changes)
        )

    def test_an_outlier_is_pointed_out_with_what_to_do(self) -> None:
        job = self.job(*(repetition(n, s) for n, s in enumerate([5.0, 5.1, 5.0, 9.0], start=1)))
        assert job.notes[0] == (
            "repetition 4 took 9.00 s to animate, the median is 5.05 s: "
            "end other programs, warm up (--warmup 1), and run it again"
        )

    def test_videos_that_differ_are_pointed_out(self) -> None:
        assert self.job(repetition(1, 5.0), repetition(2, 5.0, sha="1")).notes == [
            "its repetitions made different videos from the same seed: compare its quality over several seeds"
        ]

    def test_the_figures_are_those_of_the_middle_one(self) -> None:
        job = self.job(repetition(1, 6.0), repetition(2, 4.0), repetition(3, 5.0), repetition(1, 99.0, warmup=True))
        assert (job.repetition, job.times.animate_s) == (3, 5.0)
        assert job.spreads["animate_s"].max == 6.0, "the warm-up does not count"

    def test_building_the_environment_is_no_part_of_any_repetition(self) -> None:
        counted = [repetition(n, s) for n, s in enumerate([6.0, 4.0, 5.0], start=1)]
        without, first_use = self.job(*counted), self.job(*counted, prepare_s=100.0)
        assert first_use.times.prepare_s == 100.0
        assert first_use.times.total_s == without.times.total_s
        assert first_use.spreads == without.spreads
        assert [done.times for done in first_use.repetitions] == [done.times for done in counted]

    def gpu(self, **changes: Any) -> GpuUse:
        nothing = Measured(value=None, unit="bytes", method="unavailable")
        return GpuUse(
            uuid="GPU-0", index=0, name="T", exclusive=False, vram_peak_bytes=nothing, energy_wh=nothing, **changes
        )

    def test_a_foreign_process_is_pointed_out_with_what_to_do(self) -> None:
        use = self.gpu(foreign=[ForeignProcess(pid=12, memory_bytes=None, before=True)])
        assert gpu_remarks([use]) == [
            "GPU 0 was shared with process 12: times are not this network's alone; "
            "end other programs on it, or choose another with --gpus, and run it again"
        ]

    def test_heat_is_pointed_out_with_what_to_do(self) -> None:
        samples = [GpuSample(t_s=t, gpu="GPU-0", throttle=bits) for t, bits in enumerate([0x20, 0x40, 0x1, 0x4])]
        use = self.gpu(throttled=throttled(samples, None))
        assert use.throttled == {"thermal": 0.5, "power": 0.25}
        assert gpu_remarks([use]) == [
            "GPU 0 slowed down because of heat in 50 % of the samples: times are longer than it can do; "
            "let it cool, improve its cooling, and run it again"
        ]


class TestRanking:
    def test_ranges_that_are_apart_are_ranked(self) -> None:
        assert rank({"B": spread(7, 8, 9), "A": spread(1, 2, 3)}) == Ranking((("A",), ("B",)))

    def test_ranges_that_overlap_are_not(self) -> None:
        found = {"A": spread(1, 2, 5), "B": spread(4, 6, 7), "C": spread(8, 9, 10)}
        assert rank(found) == Ranking((("A", "B"), ("C",)))

    def test_a_chain_of_overlaps_is_one_group(self) -> None:
        found = {"A": spread(1, 2, 4), "B": spread(3, 5, 7), "C": spread(6, 8, 9)}
        assert rank(found).groups == (("A", "B", "C"),)

    def test_few_repetitions_are_not_ranked(self) -> None:
        found = {"A": spread(1, 2, 3, count=2), "B": spread(7, 8, 9)}
        assert rank(found) == Ranking((), "A ran fewer than 3 times (--repeat 3 or more)")

    def test_one_network_has_nothing_to_be_compared_with(self) -> None:
        assert rank({"A": spread(1, 2, 3)}) == Ranking((), "there is nothing to compare it with")


class Counting:
    """Keeps the repetitions that it hears of."""

    def __init__(self) -> None:
        self.repetitions: list[str] = []

    def __call__(self, event: Event) -> None:
        if isinstance(event, RepetitionStarted):
            self.repetitions.append(f"{event.network}: {event.name}")


def test_a_repeated_run_records_every_repetition_and_keeps_one_video(
    make_network: MakeNetwork, request_for: RequestFor
) -> None:
    make_network("grey")
    listener = Counting()
    folder = compare_here(request_for("grey", repeat=3, warmup=1, price_per_kwh=0.3, currency="EUR"), listener)
    assert listener.repetitions == [
        "grey: warm-up 1 of 1",
        "grey: repetition 1 of 3",
        "grey: repetition 2 of 3",
        "grey: repetition 3 of 3",
    ]
    raw = json.loads((folder.path / "run.json").read_text("utf-8"))
    jsonschema.validate(raw, json_schema())
    job = RunFolder.load(folder.path).run.job("grey")
    assert [(r.number, r.warmup) for r in job.repetitions] == [(1, True), (1, False), (2, False), (3, False)]
    assert len({r.video_sha256 for r in job.repetitions}) == 1
    assert job.video is not None
    assert job.video.sha256 == job.repetitions[0].video_sha256
    middle = next(r for r in job.repetitions if not r.warmup and r.number == job.repetition)
    assert middle.times == job.times
    assert job.spreads["animate_s"].count == 3
    assert job.spreads["total_s"].median == pytest.approx(job.times.total_s)
    page = (folder.path / "report.md").read_text("utf-8")
    assert "cost of energy" in page
    assert job.metrics["cpu_s"].method == "process_tree"
    log = (folder.path / "grey" / "log.txt").read_text("utf-8")
    assert log.splitlines() == [f"--- {name.partition(': ')[2]} ---" for name in listener.repetitions]


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


FAILS_ONCE = """
import pathlib
from faceorch_runner import Network

class Fails(Network):
    def animate(self, job, progress):
        count = pathlib.Path({path!r})
        number = int(count.read_text()) if count.is_file() else 0
        count.write_text(str(number + 1))
        if number == {fail_at}:
            {how}
        with job.video(64, 48, 25) as video:
            for index in range(25):
                video.write(bytes(64 * 48 * 3))
        return video.path
"""


def test_a_run_that_failed_in_a_repetition_is_taken_up_where_it_stood(
    make_network: MakeNetwork, request_for: RequestFor, tmp_path: Path
) -> None:
    source = FAILS_ONCE.format(path=str(tmp_path / "count"), fail_at=3, how="raise ValueError('the fourth time')")
    make_network("grey", source)
    first = compare_here(request_for("grey", repeat=4, warmup=1), ignore)
    job = first.run.job("grey")
    assert reason_of(job).text == "ValueError: the fourth time (repetition 3 of 4)"
    assert [r.number for r in job.repetitions if not r.warmup] == [1, 2]
    kept = [r.started for r in job.repetitions if not r.warmup]
    assert (first.path / "grey.mp4").is_file()
    listener = Counting()
    again = resume(first.path, listener)
    assert listener.repetitions == ["grey: warm-up 1 of 1", "grey: repetition 3 of 4", "grey: repetition 4 of 4"]
    job = again.run.job("grey")
    assert job.status is JobStatus.DONE
    counted = [r for r in job.repetitions if not r.warmup]
    assert [r.number for r in counted] == [1, 2, 3, 4]
    assert [r.started for r in counted[:2]] == kept
    rows = timeline.read(again.path / str(job.timeline))
    assert {row["repetition"] for row in rows if not row["warmup"]} == {1, 2, 3, 4}


def test_repetitions_without_their_video_are_done_again(
    make_network: MakeNetwork, request_for: RequestFor, tmp_path: Path
) -> None:
    make_network("grey")
    folder = compare_here(request_for("grey", repeat=2), ignore)
    (folder.path / "grey.mp4").write_bytes(b"cut")
    listener = Counting()
    again = resume(folder.path, listener)
    assert listener.repetitions == ["grey: repetition 1 of 2", "grey: repetition 2 of 2"]
    assert again.run.job("grey").status is JobStatus.DONE


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


INTERRUPTED = """
import os, signal, sys, threading
from pathlib import Path
from faceorch.cli.main import main
from faceorch.telemetry import watch
sys.argv = ["faceorch", *sys.argv[1:]]
leave = os._exit
def last_look(code):
    names = sorted(t.name for t in threading.enumerate() if t.name.startswith("faceorch"))
    print("threads:", names, flush=True)
    leave(code)
os._exit = last_look
main()
"""


def test_a_run_that_is_interrupted_in_a_repetition_keeps_its_timeline_and_is_finished_later(
    make_network: MakeNetwork, portrait: Path, clip: Path, tmp_path: Path
) -> None:
    host = "psutil.Process().parents()[1].pid"  # between them is the watcher
    how = f"import os, psutil, signal, time; os.kill({host}, signal.SIGINT); time.sleep({FOR_EVER_S})"
    make_network("grey", FAILS_ONCE.format(path=str(tmp_path / "count"), fail_at=1, how=how))
    out = tmp_path / "results"
    done = subprocess.run(
        [
            *(sys.executable, "-c", INTERRUPTED, "run", "--image", str(portrait), "--audio", str(clip)),
            *("--network", "grey", "--runtime", "venv", "--python", f"grey={sys.executable}"),
            *("--out", str(out), "--repeat", "3", "--timeline", "csv"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 130, done.stderr
    assert "threads: []" in done.stdout
    (path,) = out.iterdir()
    job = RunFolder.load(path).run.job("grey")
    assert reason_of(job).text == "interrupted while it ran"
    assert [r.number for r in job.repetitions] == [1]
    rows = timeline.read(path / "grey" / "telemetry.csv")
    assert {row["repetition"] for row in rows} == {1, 2}, "what was seen of the second one is kept"
    again = resume(path, ignore)
    job = again.run.job("grey")
    assert job.status is JobStatus.DONE
    assert [r.number for r in job.repetitions] == [1, 2, 3]
    rows = timeline.read(path / "grey" / "telemetry.csv")
    assert {row["repetition"] for row in rows} == {1, 2, 3}


def test_the_report_shows_costs_with_their_method_and_the_ranges(
    make_network: MakeNetwork, request_for: RequestFor
) -> None:
    from lxml import html

    make_network("grey")
    make_network("slow")
    folder = compare_here(request_for("grey", "slow", repeat=3, price_per_gpu_hour=2.0), ignore)
    for number, job in enumerate(folder.run.jobs):
        factor = {"grey": 1.0, "slow": 10.0}[job.network]  # as if one took ten times as long
        repetitions = [
            structs.replace(r, times=structs.replace(r.times, animate_s=factor * (1 + r.number / 10)))
            for r in job.repetitions
        ]
        # A run as short as this may end before anybody has looked at what it uses.
        memory = Measured(value=5e7, unit="bytes", method="process_tree", note="")
        folder.run.jobs[number] = structs.replace(
            job,
            repetitions=repetitions,
            spreads=spreads(repetitions),
            metrics={**job.metrics, "memory_peak_bytes": memory},
        )
    write_report(folder)
    page = html.fromstring((folder.path / "report.html").read_text("utf-8"))
    (costs,) = page.xpath("//section[h2='What it cost']")
    rows = {row.findtext("th"): row.findall("td") for row in costs.iterfind(".//tbody/tr")}
    assert [cell.text for cell in rows["Grey"][:2]] == ["n/a", "n/a"]
    assert "MB" in rows["Grey"][-1].text_content()  # marked as the best on some machines
    notes = [note.text for note in costs.iterfind(".//ol/li")]
    assert "n/a: grey uses no GPU" in notes
    assert any(note.startswith("the runner's process and all its children") for note in notes)
    (ranges,) = page.xpath("//section[h2='Repetitions']")
    lines = [p.text for p in ranges.iterfind("p")]
    assert "Animating, fastest first: 1. Grey; 2. Slow." in lines
    plain = (folder.path / "report.md").read_text("utf-8")
    assert "## What it cost\n\n| network | peak VRAM | GPU busy |" in plain
    assert "\n|---|---:|---:|" in plain
    assert "| Grey | animate |" in plain
