"""One job and its repetitions: what is recorded of each, what is kept, what is refused."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner

from faceorch.cli.main import cli
from faceorch.comparison import resume
from faceorch.errors import CannotRun
from faceorch.record.folder import RunFolder, json_schema
from faceorch.record.kinds import JobStatus, OutcomeKind
from faceorch.record.request import Request
from faceorch.telemetry import timeline
from tests.conftest import FOR_EVER_S, GREY_RUNNER, MakeNetwork, compare_here, ignore, reason_of
from tests.unit.conftest import FAILS_ONCE, Listener, RequestFor
from tests.unit.runs.conftest import REFUSING, Counting, failing, loaded


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
import os, signal, sys, threading, time
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
mark, marks = watch.Watch.mark, []
def marked(self, name, at_s):
    # The second runner has been seen at work by now; it has counted itself a moment after it has told its stage.
    mark(self, name, at_s)
    marks.append(name)
    if name == "animate" and marks.count("animate") == 2:
        while Path({path!r}).read_text() != "2":
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)
watch.Watch.mark = marked
main()
"""


def test_a_run_that_is_interrupted_in_a_repetition_keeps_its_timeline_and_is_finished_later(
    make_network: MakeNetwork, portrait: Path, clip: Path, tmp_path: Path
) -> None:
    how = f"import time; time.sleep({FOR_EVER_S})"
    count = str(tmp_path / "count")
    make_network("grey", FAILS_ONCE.format(path=count, fail_at=1, how=how))
    out = tmp_path / "results"
    done = subprocess.run(
        [
            *(
                sys.executable,
                "-c",
                INTERRUPTED.format(path=count),
                "run",
                "--image",
                str(portrait),
                "--audio",
                str(clip),
            ),
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


def test_a_failed_job_keeps_the_last_lines_of_its_log(
    make_network: MakeNetwork, request_for: RequestFor, listener: Listener
) -> None:
    make_network("bad", failing("print('about to fail'); raise ValueError('wrong')"))
    job = compare_here(request_for("bad"), listener).run.job("bad")
    assert job.log_tail[0] == "about to fail"
    assert job.log_tail[-1] == "ValueError: wrong"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "its video cannot be used: grey.mp4 is empty"),
        (b"this is not a video at all" * 100, "its video cannot be used: grey.mp4"),
    ],
)
def test_a_broken_video_is_a_failure(
    make_network: MakeNetwork, request_for: RequestFor, listener: Listener, body: bytes, reason: str
) -> None:
    source = f"""
        import os
        from faceorch_runner import Network
        class Broken(Network):
            def animate(self, job, progress):
                # Behind the contract's back: the file appears under its final name, and the runner is gone.
                (job.work.parent / "grey.mp4").write_bytes({body!r})
                import faceorch_runner.main as m
                with job.video(16, 16, 25) as video:
                    video.write(bytes(16 * 16 * 3))
                def keep(path, target): path.unlink()
                os.replace = keep
                return video.path
    """
    make_network("grey", source)
    job = compare_here(request_for("grey"), listener).run.job("grey")
    assert (job.status, reason_of(job).kind) == (JobStatus.FAILED, OutcomeKind.BROKEN_VIDEO)
    assert reason_of(job).text.startswith(reason)


def test_without_the_face_check_it_is_that_networks_result(
    make_network: MakeNetwork, request_for: RequestFor, listener: Listener
) -> None:
    make_network("a_first", REFUSING)
    make_network("grey")
    run = compare_here(request_for("a_first", "grey", check_face=False), listener).run
    assert reason_of(run.job("a_first")).kind is OutcomeKind.NO_FACE
    assert run.job("grey").status is JobStatus.DONE


WEIGHED_RUNNER = """
from faceorch_runner import Network
class Weighed(Network):
    def setup(self, weights, device):
        self.level = (weights / "a/b.bin").read_bytes()[0]
    def animate(self, job, progress):
        with job.video(64, 64, 25) as video:
            for _ in range(25):
                video.write(bytes([self.level]) * (64 * 64 * 3))
        return video.path
"""


def test_a_run_needs_verified_weights_and_records_their_hashes(
    make_network: MakeNetwork, request_for: Callable[..., Request], listener: Listener, tmp_path: Path
) -> None:
    network = make_network("weighed", WEIGHED_RUNNER)
    data = b"\x80" * 1000
    file = {"path": "a/b.bin", "source": {"url": "https://example.org/b"}, "size": len(data), "licence": "CC0"}
    file = {**file, "sha256": hashlib.sha256(data).hexdigest(), "commercial": False, "why": "the level"}
    (network.folder / "weights.yaml").write_text(json.dumps({"schema": 1, "files": [file]}), "utf-8")
    request = request_for("weighed", weights=str(tmp_path / "store"))
    with pytest.raises(CannotRun) as caught:
        compare_here(request, listener)
    assert caught.value.message == ("weighed cannot run here: its weight file is missing (1.0 kB): a/b.bin")
    assert caught.value.remedy == "faceorch weights pull weighed"

    (tmp_path / "have").mkdir()
    (tmp_path / "have" / "b.bin").write_bytes(data)
    store = ["--dir", str(tmp_path / "store")]
    assert (
        CliRunner().invoke(cli, ["weights", "pull", "weighed", "--from", str(tmp_path / "have"), *store]).exit_code == 0
    )
    folder = compare_here(request, listener)
    job = folder.run.job("weighed")
    assert job.status is JobStatus.DONE
    recorded = json.loads((folder.path / "run.json").read_text("utf-8"))["jobs"][0]["weights"]
    wanted = {"path": "a/b.bin", "bytes": 1000, "sha256": file["sha256"], "licence": "CC0", "commercial": False}
    assert recorded == [wanted]
    assert str(file["sha256"]) in (folder.path / "report.html").read_text("utf-8")
    assert f"--weights {tmp_path / 'store'}" in (folder.path / "report.md").read_text("utf-8")


FICKLE_CHECK = """
    def check(self, job):
        from pathlib import Path
        from faceorch_runner import NoFace
        mark = Path({mark!r})
        if mark.exists():
            raise NoFace("no face any more")
        mark.touch()
"""


def test_inputs_that_were_accepted_once_are_not_refused_later(
    make_network: MakeNetwork, request_for: RequestFor, tmp_path: Path
) -> None:
    """A refusal removes the run folder: it must not take the results of earlier repetitions with it."""
    source = GREY_RUNNER + FICKLE_CHECK.format(mark=str(tmp_path / "mark"))
    make_network("grey", source)
    folder = compare_here(request_for("grey", repeat=2), ignore)
    (grey,) = loaded(folder).run.jobs
    assert (reason_of(grey).kind, len(grey.repetitions)) == (OutcomeKind.NO_FACE, 1)
