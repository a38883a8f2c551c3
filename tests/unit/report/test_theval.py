"""The folder for THEval: lists of paths, sounds by the videos' names, and our own figures."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from faceorch.cli.main import cli
from faceorch.comparison import bring
from faceorch.errors import InputError, OutputError, RunFolderError
from faceorch.record.folder import RunFolder
from faceorch.record.request import Request
from faceorch.report.theval import export
from tests.conftest import ignore
from tests.films import write_film

Bring = Callable[..., RunFolder]


@pytest.fixture
def run(portrait: Path, clip: Path, tmp_path: Path) -> Bring:
    """Return a function that makes a run folder of two videos and real footage, without a judge."""
    film = str(write_film(tmp_path / "film.mp4"))

    def make(**changes: object) -> RunFolder:
        request = Request(
            portrait=str(portrait), clip=str(clip), videos={"ours": film, "theirs": film}, reference=film, judge=False
        )
        return bring(request, tmp_path / "results", ignore)

    return make


def test_each_method_has_a_list_and_each_video_the_sound_of_its_name(run: Bring, tmp_path: Path) -> None:
    first, second = run(), run()
    words = ["export", "--theval", str(first.path), str(second.path), "-o", str(tmp_path / "out")]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, done.output
    out = tmp_path / "out"
    assert sorted(path.name for path in out.glob("*.txt")) == ["GT.txt", "ours.txt", "theirs.txt"]
    videos = [Path(line) for line in (out / "theirs.txt").read_text("utf-8").splitlines()]
    assert [video.stem for video in videos] == [first.path.name, second.path.name]
    for video in videos:
        assert video.is_absolute()
        assert video.read_bytes() == first.video("theirs").read_bytes()
        assert (out / "audio" / f"{video.stem}.wav").read_bytes() == (first.inputs / "clip.wav").read_bytes()
    assert f"theirs: 2 videos: {out / 'theirs.txt'}" in done.stdout


def test_what_the_judge_found_is_a_row_each(run: Bring, tmp_path: Path) -> None:
    from msgspec import structs

    from tests.unit.report.test_judgement import finding, judgement

    folder = run()
    for name, value in (("reference", 6.0), ("theirs", 4.5)):
        judged = judgement(head_motion=finding("yes", value=value, low=4.0, high=5.0, unit="deg"))
        folder.run.put(structs.replace(folder.run.job(name), judgement=judged))
    folder.save()
    made = export([folder.path], tmp_path / "out")
    with made.ours.open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["Model"], row["metric"], row["value"], row["closeness"]) for row in rows] == [
        ("GT", "head_motion", "6", ""),
        ("theirs", "head_motion", "4.5", "0.75"),
    ]


def test_a_video_that_leads_elsewhere_is_left_out(run: Bring, tmp_path: Path) -> None:
    folder = run()
    video = folder.video("theirs")
    video.unlink()
    video.symlink_to("/etc/passwd")
    made = export([folder.path], tmp_path / "out")
    assert sorted(made.lists) == ["GT", "ours"]
    assert made.left_out == (f"{folder.path.name}: theirs: theirs.mp4 is a link",)


def test_what_cannot_be_exported_is_said(run: Bring, tmp_path: Path) -> None:
    folder = run()
    (tmp_path / "there").mkdir()
    with pytest.raises(OutputError, match="exists already"):
        export([folder.path], tmp_path / "there")
    with pytest.raises(InputError, match="two runs have the same name"):
        export([folder.path, folder.path], tmp_path / "out")
    for name in ("ours", "theirs", "reference"):
        folder.video(name).unlink()
    with pytest.raises(RunFolderError, match="none of these runs holds a finished video"):
        export([folder.path], tmp_path / "out")
