"""A run as a whole, with its report: what it leaves, and what is written later."""

from __future__ import annotations

import json

import jsonschema
import pytest
from msgspec import structs

from faceorch import report
from faceorch.comparison import resume
from faceorch.record.folder import RunFolder, json_schema
from faceorch.record.kinds import JobStatus, RunStatus
from faceorch.record.run import Measured
from faceorch.record.spread import spreads
from faceorch.report import grid, write_report
from tests.conftest import MakeNetwork, compare_here, ignore
from tests.unit.conftest import Listener, RequestFor


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


def test_a_run_leaves_videos_records_logs_and_reports(
    make_network: MakeNetwork, request_for: RequestFor, listener: Listener
) -> None:
    make_network("grey")
    folder = compare_here(request_for("grey", seed=7, settings={"grey": {"size": 32}}), listener)
    files = {str(p.relative_to(folder.path)) for p in folder.path.rglob("*") if p.is_file()}
    assert files == {
        "run.json",
        "report.html",
        "report.md",
        "report.json",
        "report.csv",
        "grey.mp4",
        "grey.jpg",
        "inputs/portrait.png",
        "inputs/clip.wav",
        "grey/log.txt",
        "grey/events.jsonl",
        "grey/job.json",
        "grey/telemetry.parquet",
        "grey/timeline.json",
    }
    run = RunFolder.load(folder.path).run
    assert run.status is RunStatus.DONE
    (job,) = run.jobs
    assert (job.status, job.seed, job.exit_code) == (JobStatus.DONE, 7, 0)
    assert job.settings == {"size": 32, "loud": False, "mode": "a", "gain": 1.0}
    assert job.video is not None
    assert (job.video.frames, job.video.fps) == (25, 25)
    assert job.environment is not None
    assert (job.environment.runtime, job.environment.given) == ("venv", True)
    times = job.times
    assert times.total_s is not None
    parts = [times.start_s, times.import_s, times.check_s, times.setup_s, times.animate_s, times.stop_s]
    assert all(part is not None and part >= 0 for part in parts)
    assert sum(part for part in parts if part is not None) <= times.total_s + 0.05
    assert job.compute_s_per_video_s == pytest.approx(times.animate_s, rel=0.05)
    jsonschema.validate(json.loads((folder.path / "run.json").read_text("utf-8")), json_schema())


class TestResume:
    def test_nothing_missing_is_no_work_and_says_so(
        self, make_network: MakeNetwork, request_for: RequestFor, listener: Listener
    ) -> None:
        make_network("grey")
        folder = compare_here(request_for("grey"), listener)
        listener.heard.clear()
        page = (folder.path / "report.html").stat()
        resume(folder.path, listener)
        assert listener.heard == [
            ("note", None, "nothing is missing: every network of this run has its video"),
            ("run_ended", RunStatus.DONE),
        ]
        assert (folder.path / "report.html").stat() == page

    @pytest.mark.parametrize("missing", report.FILES)
    def test_what_a_kill_left_unwritten_is_written(
        self, make_network: MakeNetwork, request_for: RequestFor, listener: Listener, missing: str
    ) -> None:
        """Killed between the last video and the end of the report."""
        make_network("grey")
        folder = compare_here(request_for("grey"), listener)
        folder.run.status = RunStatus.RUNNING
        folder.save()
        (folder.path / missing).unlink()
        (folder.path / ".faceorch-half-written").touch()
        (folder.path / ".faceorch-half-made").mkdir()
        (folder.job_folder("grey") / ".faceorch-half-written").touch()
        listener.heard.clear()
        resume(folder.path, listener)
        assert ("note", None, "its report, or a part of it, was missing, and is written") in listener.heard
        assert (folder.path / missing).is_file()
        assert RunFolder.load(folder.path).run.status is RunStatus.DONE
        assert not list(folder.path.rglob(".*"))

    def test_a_missing_grid_is_made(
        self, make_network: MakeNetwork, request_for: RequestFor, listener: Listener
    ) -> None:
        make_network("grey")
        make_network("other")
        folder = compare_here(request_for("grey", "other"), listener)
        (folder.path / grid.NAME).unlink()
        resume(folder.path, listener)
        assert grid.is_there(folder)
