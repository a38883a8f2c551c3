"""One job and its repetitions: what is recorded of each, what is kept, what is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from faceorch.comparison import resume
from faceorch.record.folder import RunFolder, json_schema
from faceorch.record.kinds import JobStatus
from faceorch.telemetry import timeline
from tests.conftest import FOR_EVER_S, MakeNetwork, compare_here, ignore, reason_of
from tests.unit.conftest import FAILS_ONCE, RequestFor
from tests.unit.runs.conftest import Counting


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
