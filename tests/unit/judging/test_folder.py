"""A run's videos judged: what is found is in the record, and what goes wrong never harms the run."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import msgspec
import pytest
from msgspec import structs

from faceorch import comparison
from faceorch.errors import CannotRun, RunFolderError
from faceorch.record.folder import RunFolder, judge_command
from faceorch.record.judgement import Verdict
from faceorch.runs.events import Event, JudgingEnded, JudgingStarted, Progressed, StageStarted
from tests.conftest import FOR_EVER_S, STUB_JUDGE, MakeNetwork, compare_here, ignore
from tests.unit.conftest import RequestFor
from tests.unit.judging.conftest import FAILED_CHECK, JUDGES_PYTHON, Compare, instead, reason


def test_what_is_found_is_in_the_record_and_the_series_beside_it(compare: Compare) -> None:
    heard: list[Event] = []
    folder = compare(tell=heard.append)
    assert reason(folder) == ""
    run = RunFolder.load(folder.path).run
    (job,) = run.jobs
    assert job.judgement is not None
    assert job.judgement.findings["head_motion"].verdict is Verdict.YES
    assert job.judgement.series == "grey/judgement.parquet"
    assert (folder.path / job.judgement.series).read_bytes() == b"PAR1 made up PAR1"
    assert run.judging is not None
    assert run.judging.self_check == "passed"
    assert run.judging.environment is not None
    assert run.judging.environment.identity == sys.executable
    assert [event.videos for event in heard if isinstance(event, JudgingStarted)] == [1]
    assert [event.judging for event in heard if isinstance(event, JudgingEnded)] == [run.judging]
    stages = [event.name for event in heard if isinstance(event, StageStarted) and event.network == "standin"]
    assert stages == ["start", "import", "setup", "self-check", "judge grey"]
    assert Progressed(network="standin", done=100, total=100, unit="%") in heard
    assert sorted(path.name for path in (folder.path / "standin").iterdir()) == ["events.jsonl", "job.json", "log.txt"]


@pytest.mark.parametrize("off", ["request", "host"])
def test_nobody_judges_who_is_not_asked(
    make_network: MakeNetwork,
    make_judge: MakeNetwork,
    request_for: RequestFor,
    monkeypatch: pytest.MonkeyPatch,
    off: str,
) -> None:
    make_network("grey")
    make_judge()
    if off == "host":
        monkeypatch.setenv("FACEORCH_JUDGE", "off")
    pythons = {"grey": sys.executable}
    folder = compare_here(request_for("grey", judge=off != "request", pythons=pythons))
    assert folder.run.judging is None
    assert folder.run.jobs[0].judgement is None
    assert ("--no-judge" in folder.run.request.to_words()) == (off == "request")
    assert not (folder.path / "standin").exists()


def test_interrupted_while_judging_the_run_is_done_and_the_command_is_printed(compare: Compare, tmp_path: Path) -> None:
    heard: list[Event] = []

    def tell(event: Event) -> None:
        heard.append(event)
        if isinstance(event, StageStarted) and event.name == "judge grey":
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        compare(instead(f"import time; time.sleep({FOR_EVER_S})"), tell)
    (path,) = (tmp_path / "results").iterdir()
    folder = RunFolder.load(path)
    assert reason(folder) == "interrupted: judging was interrupted"
    assert folder.run.judging is not None
    assert folder.run.judging.reason is not None
    assert folder.run.judging.reason.remedy == judge_command(path) == f"faceorch judge {path}"
    assert "judging was interrupted" in (path / "report.md").read_text("utf-8")


class TestAgain:
    def test_a_finished_run_is_judged_anew_and_its_report_written(self, compare: Compare) -> None:
        folder = compare()
        code = folder.path.parents[1] / "networks/standin/code/judge.py"
        code.write_text(code.read_text("utf-8").replace("4.5, unit", "5.125, unit"), "utf-8")
        (folder.path / "report.html").unlink()
        again = comparison.judge(folder.path, ignore)
        (job,) = RunFolder.load(again.path).run.jobs
        assert job.judgement is not None
        assert job.judgement.findings["head_motion"].value == 5.125
        assert (folder.path / "report.html").is_file()

    def test_what_was_found_stays_when_nothing_is_found_now(self, compare: Compare) -> None:
        folder = compare()
        before = RunFolder.load(folder.path).run
        code = folder.path.parents[1] / "networks/standin/code/judge.py"
        code.write_text(FAILED_CHECK, "utf-8")
        with pytest.raises(CannotRun) as caught:
            comparison.judge(folder.path, ignore)
        assert caught.value.message == "the judge failed its check of itself: 2 blinks drawn, 1 found"
        after = RunFolder.load(folder.path).run
        assert (after.jobs, after.judging) == (before.jobs, before.judging)

    @pytest.mark.parametrize("file", ["inputs/portrait.png", "inputs/clip.wav"])
    def test_inputs_that_have_changed_are_refused(self, compare: Compare, file: str) -> None:
        folder = compare()
        data = bytearray((folder.path / file).read_bytes())
        data[-1] ^= 1
        (folder.path / file).write_bytes(data)
        with pytest.raises(RunFolderError, match="has changed since the run began"):
            comparison.judge(folder.path, ignore)

    def test_a_video_that_has_changed_or_leads_elsewhere_is_not_judged(self, compare: Compare) -> None:
        folder = compare()
        other = folder.path / "grey.mp4"
        key = folder.path.parent / "key"
        other.rename(key)
        other.symlink_to(key)
        comparison.judge(folder.path, ignore)
        run = RunFolder.load(folder.path).run
        assert run.judging is not None
        assert run.judging.notes == ["Grey: not judged: grey.mp4 is a link"]

    def test_names_that_lead_out_of_the_folder_are_left_alone(self, compare: Compare) -> None:
        folder = compare()
        (job,) = folder.run.jobs
        folder.run.jobs = [structs.replace(job, network="../evil")]
        (folder.path / "run.json").write_bytes(msgspec.json.encode(folder.run))
        with pytest.raises(RunFolderError, match="is not the name of a network"):
            comparison.judge(folder.path, ignore)
        assert not (folder.path.parent / "evil").exists()


def test_a_resumed_run_judges_what_has_no_judgement(compare: Compare) -> None:
    folder = compare(judge=FAILED_CHECK)
    assert "failed its check" in reason(folder)
    (folder.path / "grey.mp4").unlink()
    code = folder.path.parents[1] / "networks/standin/code/judge.py"
    code.write_text(STUB_JUDGE, "utf-8")
    again = comparison.resume(folder.path, ignore, pythons=JUDGES_PYTHON)
    assert reason(again) == ""
    assert again.run.jobs[0].judgement is not None
    assert again.run.judging is not None
    assert again.run.judging.reason is None
