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
from faceorch.record.kinds import JobStatus, RunStatus
from faceorch.runs.events import Event, JudgingEnded, JudgingStarted, Progressed, StageStarted
from tests.conftest import FOR_EVER_S, STUB_JUDGE, MakeNetwork, compare_here, ignore
from tests.unit.conftest import RequestFor
from tests.unit.judging.conftest import JUDGES_PYTHON, Compare, instead, leaving


def reason(folder: RunFolder) -> str:
    """Return why a run has no judgement, after seeing that the run itself is as it should be."""
    run = RunFolder.load(folder.path).run
    assert run.status is RunStatus.DONE
    assert [job.status for job in run.jobs] == [JobStatus.DONE]
    assert run.judging is not None
    assert (folder.path / "report.html").is_file()
    return "" if run.judging.reason is None else f"{run.judging.reason.kind.value}: {run.judging.reason.found}"


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


FAILED_CHECK = STUB_JUDGE.replace('SELF_CHECK = ""', 'SELF_CHECK = "2 blinks drawn, 1 found"')


@pytest.mark.parametrize(
    ("judge", "found"),
    [
        (FAILED_CHECK, "crash: the judge failed its check of itself: 2 blinks drawn, 1 found"),
        ("import no_such_package", "crash: ModuleNotFoundError: No module named 'no_such_package'"),
        ("", "crash: .* has no function begin"),
        (instead("import os; os._exit(3)"), "crash: it ended with exit code 3 and without saying why"),
        (instead("import os; os.kill(os.getpid(), 9)"), "killed: it was killed"),
        (instead("import os; os.kill(os.getpid(), 11)"), "crash: it crashed in native code"),
    ],
)
def test_a_judge_that_fails_is_a_reason_and_the_run_is_as_it_was(compare: Compare, judge: str, found: str) -> None:
    import re

    folder = compare(judge)
    assert re.match(found, reason(folder))
    judging = folder.run.judging
    assert judging is not None
    assert judging.reason is not None
    assert judging.reason.remedy
    if judge is FAILED_CHECK:
        assert judging.self_check == "2 blinks drawn, 1 found"


def test_a_judge_that_hangs_is_ended(compare: Compare) -> None:
    folder = compare(instead(f"import time; time.sleep({FOR_EVER_S})"), timeout_s=5.0)
    assert reason(folder) == "timeout: not finished after 5 s (in stage 'judge grey')"


def test_a_judge_without_its_environment_is_a_reason(compare: Compare, tmp_path: Path) -> None:
    folder = compare(pythons={"grey": sys.executable, "standin": str(tmp_path / "nowhere")})
    assert reason(folder) == f"no_python: {tmp_path / 'nowhere'} is not a Python interpreter"


@pytest.mark.parametrize(
    ("deed", "note"),
    [
        ("made.unlink()", "grey.json does not exist"),
        ("made.unlink(); made.symlink_to('/etc/passwd')", "grey.json is a link"),
        ("made.write_bytes(b' ' * (5 << 20))", "grey.json has 5242880 bytes, 4194304 at most are taken"),
        ("made.write_text('{}')", "grey.json is not a judgement: Object missing required field `judge`"),
        ("made.write_text('[' * 100000)", "grey.json is not a judgement: "),
        ("made.write_text(made.read_text().replace('4.5', 'NaN'))", "grey.json is not a judgement: "),
        ("made.write_text(made.read_text().replace('4.5', '1e999'))", "grey.json is not a judgement: "),
        ("made.write_text(made.read_text().replace('4.5', '1e30'))", "grey.json is not a judgement: it holds a number"),
        ("made.write_text(made.read_text().replace('0.25', '0'))", "grey.json is not a judgement: Expected `float` >"),
        ("made.write_text(made.read_text().replace('frames', 'frame'))", "grey.json is not a judgement: "),
        ("made.write_text(json.dumps({'error': 'it is not a \\x1b[31mvideo'}))", "it is not a video"),
    ],
)
def test_what_is_not_a_judgement_is_not_taken(compare: Compare, deed: str, note: str) -> None:
    folder = compare(leaving(deed))
    assert reason(folder) == ""
    assert folder.run.jobs[0].judgement is None
    assert folder.run.judging is not None
    (said,) = folder.run.judging.notes
    assert said.startswith(f"Grey: not judged: {note}")


@pytest.mark.parametrize(
    ("deed", "kept"),
    [
        ("series.unlink(); series.symlink_to('/etc/passwd')", False),
        ("os.truncate(series, 1 << 40)", False),
        ("(out.parent.parent / 'grey' / 'judgement.parquet').symlink_to('/etc/passwd')", True),
    ],
)
def test_series_are_taken_as_files_alone(compare: Compare, deed: str, kept: bool) -> None:
    folder = compare(leaving(deed))
    (job,) = folder.run.jobs
    assert job.judgement is not None
    assert job.judgement.series == ("grey/judgement.parquet" if kept else None)
    place = folder.path / "grey/judgement.parquet"
    assert not place.is_symlink()
    assert place.is_file() == kept
    assert folder.run.judging is not None
    assert len(folder.run.judging.notes) == (0 if kept else 1)


def test_terminal_sequences_in_words_are_gone(compare: Compare) -> None:
    folder = compare(STUB_JUDGE.replace("a stand-in judged it", "a \\x1b[31mred\\x07 note"))
    (job,) = folder.run.jobs
    assert job.judgement is not None
    assert job.judgement.notes == ["a red\\x07 note"]


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
