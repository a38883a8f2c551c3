"""One run from its request to its record, with real runners in this test's own Python."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import jsonschema
import msgspec
import pytest
from click.testing import CliRunner
from msgspec import structs

from faceorch import report
from faceorch.cli.main import cli
from faceorch.comparison import resume
from faceorch.errors import CannotRun, InputError, RunFolderError
from faceorch.record.folder import RunFolder, json_schema
from faceorch.record.kinds import JobStatus, OutcomeKind, RunStatus
from faceorch.record.reason import Reason
from faceorch.record.request import Request
from faceorch.report import grid
from faceorch.runs import attempt
from faceorch.runs.events import Event, JobEnded, RunEnded, RunStarted, StageStarted
from tests.conftest import FOR_EVER_S, GREY_RUNNER, LIMIT_S, MakeNetwork, compare_here, reason_of, write_tone
from tests.unit.conftest import RequestFor


class Listener:
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.heard: list[tuple[Any, ...]] = []

    def __call__(self, event: Event) -> None:
        told = msgspec.to_builtins(event)
        match event:
            case RunStarted() | RunEnded():
                self.heard.append((told["event"], event.run.status))
            case JobEnded():
                self.heard.append((told["event"], event.job.network, event.job.status))
            case _:
                self.heard.append(tuple(told.values()))


def failing(line: str) -> str:
    return f"""
        from faceorch_runner import Network, NoFace
        class Bad(Network):
            def animate(self, job, progress):
                {line}
    """


@pytest.fixture
def listener() -> Listener:
    return Listener()


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


def test_what_is_said_is_kept_when_its_text_lies_beside_the_clip(
    make_network: MakeNetwork, request_for: RequestFor, clip: Path, listener: Listener
) -> None:
    make_network("grey")
    clip.with_suffix(".txt").write_text("Good evening.", "utf-8")
    folder = compare_here(request_for("grey"), listener)
    assert (folder.inputs / "clip.txt").read_text("utf-8") == "Good evening."
    assert ">evening.</button>" in (folder.path / "report.html").read_text("utf-8")


PATCHES = """
from faceorch_patch import Patch, Substitute
PATCHES = (Patch(name="no-display", file="animator/a.py", reason="no <screen> here", edits=(Substitute("a", "b"),)),)
"""


def test_the_patches_of_a_network_are_in_the_record_and_the_report(
    make_network: MakeNetwork, request_for: RequestFor, listener: Listener
) -> None:
    (make_network("grey").folder / "patches.py").write_text(PATCHES, "utf-8")
    folder = compare_here(request_for("grey"), listener)
    (job,) = RunFolder.load(folder.path).run.jobs
    assert [(p.name, p.file, p.reason) for p in job.patches] == [("no-display", "animator/a.py", "no <screen> here")]
    page = (folder.path / "report.html").read_text("utf-8")
    assert "<dt>patch</dt><dd><code>animator/a.py</code> no-display: no &lt;screen&gt; here</dd>" in page


def test_what_happens_is_told_in_order(make_network: MakeNetwork, request_for: RequestFor, listener: Listener) -> None:
    make_network("grey")
    compare_here(request_for("grey"), listener)
    stages = [entry[2] for entry in listener.heard if entry[0] == "stage"]
    assert stages == ["start", "import", "check", "setup", "animate", "frames"]
    assert ("progress", "grey", 25, 25, "frames") in listener.heard
    assert [e[0] for e in listener.heard if e[0] not in ("stage", "progress")] == [
        "run_started",
        "job_started",
        "job_ended",
        "run_ended",
    ]


@pytest.mark.parametrize(
    ("source", "kind", "reason"),
    [
        (failing("raise ValueError('wrong')"), "crash", "ValueError: wrong"),
        (failing("import os; os._exit(3)"), "crash", "it ended with exit code 3 and without saying why"),
        (failing("import os; os._exit(0)"), "crash", "it ended before it was done and without saying why"),
        (failing("import os; os.kill(os.getpid(), 11)"), "crash", "it crashed in native code (SIGSEGV)"),
        (
            failing("import os; os.kill(os.getpid(), 9)"),
            "killed",
            "it was killed (signal 9), by someone or by the system for want of memory",
        ),
        (failing("raise NoFace('no face in it')"), "no_face", "no face in it"),
        ("import no_such_module\n", "crash", "ModuleNotFoundError: No module named 'no_such_module'"),
    ],
)
def test_a_failing_network_is_a_result_and_the_others_go_on(
    make_network: MakeNetwork, request_for: RequestFor, listener: Listener, source: str, kind: str, reason: str
) -> None:
    make_network("bad", source)
    make_network("good")
    folder = compare_here(request_for("bad", "good"), listener)
    bad, good = folder.run.job("bad"), folder.run.job("good")
    why = reason_of(bad)
    assert (bad.status, why.kind.value, why.text) == (JobStatus.FAILED, kind, reason)
    assert why.remedy
    assert good.status is JobStatus.DONE
    assert folder.run.status is RunStatus.DONE
    assert "bad" in (folder.path / "report.html").read_text("utf-8")


def test_a_failed_job_keeps_the_last_lines_of_its_log(
    make_network: MakeNetwork, request_for: RequestFor, listener: Listener
) -> None:
    make_network("bad", failing("print('about to fail'); raise ValueError('wrong')"))
    job = compare_here(request_for("bad"), listener).run.job("bad")
    assert job.log_tail[0] == "about to fail"
    assert job.log_tail[-1] == "ValueError: wrong"


def test_a_hang_is_ended_at_the_timeout(
    make_network: MakeNetwork, request_for: RequestFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its time is over once it hangs: however long it took to get there, and how long the other one takes."""
    source = (
        f"import subprocess; subprocess.Popen(['sleep', '{FOR_EVER_S}']); progress.stage('frames'); "
        f"import time; time.sleep({FOR_EVER_S})"
    )
    make_network("slow", failing(source))
    make_network("zgood")
    ahead_s = 0.0

    def hasten(event: Event) -> None:
        nonlocal ahead_s
        if isinstance(event, StageStarted) and (event.network, event.name) == ("slow", "frames"):
            ahead_s = 2 * LIMIT_S

    class Clock(ModuleType):
        def __getattr__(self, name: str) -> Any:
            return getattr(time, name)

        def monotonic(self) -> float:
            return time.monotonic() + ahead_s

    monkeypatch.setattr(attempt, "time", Clock("time"))
    folder = compare_here(request_for("slow", "zgood", timeout_s=LIMIT_S), hasten)
    slow = folder.run.job("slow")
    assert (reason_of(slow).kind, reason_of(slow).text) == (
        OutcomeKind.TIMEOUT,
        f"not finished after {LIMIT_S:g} s (in stage 'frames')",
    )
    assert folder.run.job("zgood").status is JobStatus.DONE


def test_a_child_that_outlives_its_runner_does_not_hold_the_run(
    make_network: MakeNetwork, request_for: RequestFor, listener: Listener
) -> None:
    make_network("grey", GREY_RUNNER + f"\nimport subprocess\nsubprocess.Popen(['sleep', '{FOR_EVER_S}'])\n")
    job = compare_here(request_for("grey"), listener).run.job("grey")
    assert job.status is JobStatus.DONE


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


def test_a_runner_on_the_host_does_not_see_what_chooses_other_kernels(
    make_network: MakeNetwork, request_for: RequestFor, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With another kernel for its sums, the baseline made other frames in its venv than in its container."""
    source = """
        import os
        from faceorch_runner import BadInput, Network
        class Telling(Network):
            def animate(self, job, progress):
                names = ("OPENBLAS_CORETYPE", "OMP_NUM_THREADS", "PYTHONSTARTUP", "VIRTUAL_ENV", "KEPT")
                raise BadInput("sees " + ", ".join(name for name in names if name in os.environ))
    """
    for name in ("OPENBLAS_CORETYPE", "OMP_NUM_THREADS", "PYTHONSTARTUP", "VIRTUAL_ENV", "KEPT"):
        monkeypatch.setenv(name, "1")
    make_network("telling", source)
    assert compare_here(request_for("telling"), listener).run.job("telling").reason == Reason(
        kind=OutcomeKind.BAD_INPUT, found="sees KEPT", remedy="see what it takes: faceorch networks telling"
    )


REFUSING = """
from faceorch_runner import Network, NoFace
class Refusing(Network):
    def check(self, job):
        raise NoFace("no face found in face.png")
"""


def test_a_portrait_that_the_first_network_refuses_ends_the_run_and_leaves_nothing(
    make_network: MakeNetwork, request_for: RequestFor, listener: Listener, tmp_path: Path
) -> None:
    make_network("a_first", REFUSING)
    make_network("grey")
    with pytest.raises(InputError) as caught:
        compare_here(request_for("a_first", "grey"), listener)
    assert caught.value.message == "no face found in face.png"
    assert list((tmp_path / "results").iterdir()) == []


def test_without_the_face_check_it_is_that_networks_result(
    make_network: MakeNetwork, request_for: RequestFor, listener: Listener
) -> None:
    make_network("a_first", REFUSING)
    make_network("grey")
    run = compare_here(request_for("a_first", "grey", check_face=False), listener).run
    assert reason_of(run.job("a_first")).kind is OutcomeKind.NO_FACE
    assert run.job("grey").status is JobStatus.DONE


def test_networks_that_cannot_run_are_rows_with_reason_and_remedy(
    make_network: MakeNetwork, request_for: RequestFor, listener: Listener
) -> None:
    make_network("grey")
    request = request_for("grey")
    pythons = {"grey": sys.executable, "baseline": sys.executable}
    folder = compare_here(structs.replace(request, networks=(), pythons=pythons, check_face=False), listener)
    skipped = [job for job in folder.run.jobs if job.status is JobStatus.SKIPPED]
    assert len(skipped) == 4
    # Those that are not finished, and those that need a GPU or another runtime than this one.
    expected = {OutcomeKind.NOT_AVAILABLE, OutcomeKind.NO_GPU, OutcomeKind.NO_ENGINE}
    assert all(why.text and why.remedy and why.kind in expected for why in map(reason_of, skipped))


def test_naming_a_network_that_cannot_run_starts_nothing(
    make_network: MakeNetwork, request_for: RequestFor, listener: Listener, tmp_path: Path
) -> None:
    make_network("heavy", gpu=True)
    with pytest.raises(CannotRun, match="heavy cannot run here: needs an NVIDIA GPU"):
        compare_here(request_for("heavy", gpus="none"), listener)
    assert not (tmp_path / "results").exists()


def test_a_clip_that_is_too_short_for_a_named_network_is_refused(
    make_network: MakeNetwork, request_for: RequestFor, listener: Listener, tmp_path: Path
) -> None:
    make_network("grey")
    make_network("patient", shortest_clip_s=2.0)
    with pytest.raises(InputError) as caught:
        compare_here(request_for("grey", "patient"), listener)
    assert caught.value.message == "the clip lasts 1.00 s, patient needs 2 s"
    assert not (tmp_path / "results").exists()


def test_options_for_a_network_that_takes_no_part_are_refused(
    make_network: MakeNetwork, request_for: RequestFor, listener: Listener
) -> None:
    make_network("grey")
    with pytest.raises(InputError, match="--set names 'other', which is not in this run"):
        compare_here(request_for("grey", settings={"other": {"x": 1}}), listener)


def test_a_python_that_is_none_is_refused_before_anything_starts(
    make_network: MakeNetwork, request_for: RequestFor, listener: Listener, tmp_path: Path
) -> None:
    make_network("grey")
    with pytest.raises(CannotRun, match="is not a Python interpreter"):
        compare_here(request_for("grey", pythons={"grey": str(tmp_path)}), listener)


class TestResume:
    def test_it_does_only_what_is_missing(
        self, make_network: MakeNetwork, request_for: RequestFor, listener: Listener
    ) -> None:
        make_network("good")
        bad = make_network("zbad", failing("raise ValueError('wrong')"))
        first = compare_here(request_for("good", "zbad"), listener)
        made = (first.path / "good.mp4").stat().st_mtime_ns
        (bad.code / "runner.py").write_text(GREY_RUNNER, "utf-8")
        again = resume(first.path, listener)
        assert [job.status for job in again.run.jobs] == [JobStatus.DONE, JobStatus.DONE]
        assert (first.path / "good.mp4").stat().st_mtime_ns == made
        job = again.run.job("zbad")
        assert (job.resumed, job.reason) == (1, None)
        log = (first.path / "zbad" / "log.txt").read_text("utf-8")
        assert "ValueError: wrong" in log
        assert "--- attempt 2 ---" in log

    def test_a_run_that_was_killed_loads_and_is_finished(
        self, make_network: MakeNetwork, request_for: RequestFor, listener: Listener
    ) -> None:
        make_network("grey")
        folder = compare_here(request_for("grey"), listener)
        # What a kill -9 in the middle leaves: a job that is running, a half-made video.
        folder.run.put(structs.replace(folder.run.job("grey"), status=JobStatus.RUNNING, video=None))
        folder.run.status = RunStatus.RUNNING
        folder.save()
        (folder.path / "grey.mp4").unlink()
        (folder.path / "grey" / "out" / ".grey.part").mkdir(parents=True)
        again = resume(folder.path, listener)
        assert again.run.job("grey").status is JobStatus.DONE
        assert again.run.status is RunStatus.DONE
        assert not (folder.path / "grey" / "out").exists()

    def test_a_video_that_was_deleted_or_changed_is_made_again(
        self, make_network: MakeNetwork, request_for: RequestFor, listener: Listener
    ) -> None:
        make_network("grey")
        folder = compare_here(request_for("grey"), listener)
        original = (folder.path / "grey.mp4").read_bytes()
        (folder.path / "grey.mp4").write_bytes(b"cut")
        resume(folder.path, listener)
        assert (folder.path / "grey.mp4").read_bytes() == original

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

    def test_what_cannot_run_any_more_is_an_error_and_changes_nothing(
        self, make_network: MakeNetwork, request_for: RequestFor, listener: Listener, tmp_path: Path
    ) -> None:
        """As when the engine is gone."""
        make_network("grey")
        folder = compare_here(request_for("grey"), listener)
        (folder.path / "grey.mp4").unlink()
        before = (folder.path / "run.json").read_bytes()
        gone = tmp_path / "gone"
        with pytest.raises(CannotRun) as caught:
            resume(folder.path, listener, pythons={"grey": str(gone)})
        assert caught.value.message == f"grey cannot run here now: {gone} is not a Python interpreter"
        assert (folder.path / "run.json").read_bytes() == before

    def test_of_two_the_one_that_cannot_run_any_more_fails(
        self, make_network: MakeNetwork, request_for: RequestFor, listener: Listener, tmp_path: Path
    ) -> None:
        make_network("grey")
        make_network("other")
        folder = compare_here(request_for("grey", "other"), listener)
        (folder.path / "grey.mp4").unlink()
        (folder.path / "other.mp4").unlink()
        run = resume(folder.path, listener, pythons={"other": str(tmp_path / "gone")}).run
        assert (run.job("grey").status, run.job("other").status) == (JobStatus.DONE, JobStatus.FAILED)
        assert reason_of(run.job("other")).kind is OutcomeKind.NO_PYTHON

    def test_what_could_not_run_before_still_is_no_failure(
        self, make_network: MakeNetwork, request_for: RequestFor, listener: Listener, tmp_path: Path
    ) -> None:
        make_network("grey")
        make_network("other")
        folder = compare_here(request_for("grey", "other"), listener)
        reason = Reason(kind=OutcomeKind.NO_GPU, found="needs an NVIDIA GPU")
        job = structs.replace(folder.run.job("other"), status=JobStatus.SKIPPED, reason=reason, video=None)
        folder.run.put(job)
        folder.save()
        listener.heard.clear()
        run = resume(folder.path, listener, pythons={"other": str(tmp_path / "gone")}).run
        assert run.job("other").status is JobStatus.SKIPPED
        assert [entry[0] for entry in listener.heard] == ["run_started", "run_ended"]

    def test_inputs_that_changed_are_refused(
        self, make_network: MakeNetwork, request_for: RequestFor, listener: Listener
    ) -> None:
        make_network("grey")
        folder = compare_here(request_for("grey"), listener)
        write_tone(folder.path / "inputs" / "clip.wav", seconds=2.0)
        with pytest.raises(RunFolderError, match=r"clip\.wav has changed since the run began"):
            resume(folder.path, listener)

    def test_a_run_in_use_is_refused(
        self, make_network: MakeNetwork, request_for: RequestFor, listener: Listener
    ) -> None:
        make_network("grey")
        folder = compare_here(request_for("grey"), listener)
        (folder.path / "grey.mp4").unlink()
        with folder.locked(), pytest.raises(RunFolderError, match="is in use by another faceorch"):
            resume(folder.path, listener)

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (None, "is not a run folder: run.json does not exist"),
            ("{", "run.json is not JSON: "),
            ('{"schema": 99}', "run.json has schema 99, this faceorch reads 1 to 2"),
            ('{"schema": 1}', "run.json is damaged: "),
            ('{"schema": 2}', "run.json is damaged: Object missing required field `faceorch`"),
        ],
    )
    def test_a_folder_that_is_no_run_is_named(
        self, tmp_path: Path, listener: Listener, content: str | None, message: str
    ) -> None:
        if content is not None:
            (tmp_path / "run.json").write_text(content, "utf-8")
        with pytest.raises(RunFolderError) as caught:
            resume(tmp_path, listener)
        assert message in caught.value.message


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


def test_what_the_settings_mean_for_the_video_is_in_the_record_and_the_report(
    make_network: MakeNetwork, request_for: RequestFor, listener: Listener
) -> None:
    path = make_network("grey").folder / "network.yaml"
    said = "caveats:\n- {setting: mode, equals: a, text: a is grey}\n- {setting: mode, equals: b, text: b is not}\n"
    path.write_text(path.read_text("utf-8") + said, "utf-8")
    folder = compare_here(request_for("grey"), listener)
    (job,) = folder.run.jobs
    assert job.caveats == ["a is grey"]
    for name in ("report.html", "report.md"):
        text = (folder.path / name).read_text("utf-8")
        assert "Grey: a is grey" in text, name
        assert "b is not" not in text
