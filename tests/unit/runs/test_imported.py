"""Videos made elsewhere become a run: the same page, nothing about their costs, and closeness to real footage."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from faceorch.cli.main import cli
from faceorch.comparison import resume
from faceorch.errors import InputError, RunFolderError
from faceorch.record.folder import RunFolder
from faceorch.record.kinds import JobStatus, RunStatus
from tests.conftest import STUB_JUDGE, MakeNetwork, ignore
from tests.films import write_film

Import = Callable[..., Result]
# What it measures depends on the video's name.
BY_NAME = STUB_JUDGE.replace("4.5, unit", "{'reference': 6.0, 'theirs': 4.5, 'ours': 0.5}[video.stem], unit")


@pytest.fixture
def bring(make_judge: MakeNetwork, portrait: Path, clip: Path, tmp_path: Path) -> Import:
    """Return a function that imports videos through the command line, judged in this test's own Python."""

    def run(*arguments: str, source: str = BY_NAME) -> Result:
        make_judge(source)
        given = ["--image", str(portrait), "--audio", str(clip), "--out", str(tmp_path / "results")]
        return CliRunner().invoke(
            cli, ["import", *given, "--python", f"standin={sys.executable}", "--runtime", "venv", *arguments]
        )

    return run


def only_run(tmp_path: Path) -> RunFolder:
    (folder,) = (tmp_path / "results").iterdir()
    return RunFolder.load(folder)


def test_each_video_is_a_job_that_says_where_it_is_from(bring: Import, clip: Path, tmp_path: Path) -> None:
    clip.with_suffix(".txt").write_text("What is said.", "utf-8")
    theirs = write_film(tmp_path / "result.mp4")
    ours = write_film(tmp_path / "ours.webm", "libvpx-vp9", "libopus")
    done = bring(f"theirs={theirs}", f"ours={ours}")
    assert done.exit_code == 0, done.output
    folder = only_run(tmp_path)
    run = folder.run
    assert run.status is RunStatus.DONE
    assert [(job.network, job.status, job.source) for job in run.jobs] == [
        ("theirs", JobStatus.DONE, str(theirs)),
        ("ours", JobStatus.DONE, str(ours)),
    ]
    for job in run.jobs:
        assert job.judgement is not None
        assert job.video is not None
        assert folder.holds(job.video)
        assert job.times.total_s is None
        assert job.notes[0] == "made elsewhere: its time and its memory were not measured here"
    assert run.jobs[1].notes[1] == "encoded once more: it was vp9 yuv420p in matroska"
    assert (folder.path / "theirs.mp4").read_bytes() == theirs.read_bytes()
    assert (folder.inputs / "clip.txt").read_text("utf-8") == "What is said."
    assert (folder.path / "report.md").read_text("utf-8").startswith("# 2 videos made elsewhere: ")
    assert "theirs: done: theirs.mp4 (64x48, 25 fps) from " in done.stdout
    assert f"{run.request.to_command()}" == (
        f"faceorch import --image {run.request.portrait} --audio {run.request.clip} theirs={theirs} ours={ours} "
        f"--runtime venv --python {shlex.quote(f'standin={sys.executable}')}"
    )


def test_real_footage_stands_on_top_and_closeness_beside_the_values(bring: Import, tmp_path: Path) -> None:
    real, theirs = write_film(tmp_path / "real.mp4"), write_film(tmp_path / "result.mp4")
    done = bring(f"theirs={theirs}", "--reference", str(real))
    assert done.exit_code == 0, done.output
    folder = only_run(tmp_path)
    assert folder.run.reference is folder.run.jobs[0]
    assert folder.run.jobs[0].title == "Real footage"
    rows = [line for line in (folder.path / "report.md").read_text("utf-8").splitlines() if "head motion" in line]
    assert rows == [
        "| Real footage | head motion |  | moves | 6.0° (4.0 to 5.0) |  | it is made up |",
        "| theirs | head motion |  | moves | 4.5° (4.0 to 5.0) | 0.75 | it is made up |",
    ]
    assert "--reference" in folder.run.request.to_words()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a/b={film}"], "'a/b' cannot be the name of a video"),
        (["..={film}"], "'..' cannot be the name of a video"),
        (["inputs={film}"], "the name inputs is taken in a run folder"),
        (["Reference={film}"], "the name Reference is taken in a run folder"),
        (["standin={film}"], "the name standin is taken in a run folder"),
        (["a={film}", "a={film}"], "two videos have the same name"),
        (["a={film}", "A={film}"], "two videos have the same name"),
        (["a={clip}"], "cannot be used: "),
        (["a={film}.not"], "cannot read "),
    ],
)
def test_what_cannot_be_imported_leaves_nothing_behind(
    bring: Import, tmp_path: Path, clip: Path, words: list[str], message: str
) -> None:
    film = write_film(tmp_path / "result.mp4")
    done = bring(*(word.format(film=film, clip=clip) for word in words))
    assert done.exit_code == InputError.exit_code, done.output
    assert message in done.stderr
    assert list((tmp_path / "results").glob("*")) == []


def test_a_word_without_a_name_is_a_wrong_command_line(bring: Import) -> None:
    done = bring("result.mp4")
    assert done.exit_code == 2
    assert "'result.mp4' is not of the form NAME=VIDEO, such as theirs=result.mp4" in done.stderr


def test_there_is_nothing_to_resume(bring: Import, tmp_path: Path) -> None:
    bring(f"theirs={write_film(tmp_path / 'result.mp4')}", "--no-judge")
    folder = only_run(tmp_path)
    assert folder.run.judging is None
    with pytest.raises(RunFolderError, match="holds videos made elsewhere: there is nothing to resume"):
        resume(folder.path, ignore)
