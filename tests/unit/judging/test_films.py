"""Videos of anybody judged: any common codec, a table or JSON, and the judge's long check of itself."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from faceorch.cli.main import cli
from faceorch.errors import CannotRun
from tests.conftest import STUB_JUDGE, MakeNetwork
from tests.films import write_film

Judge = Callable[..., Result]


@pytest.fixture
def judge(make_judge: MakeNetwork, portrait: Path, clip: Path) -> Judge:
    """Return a function that judges videos through the command line, by the given judge in this test's own Python."""

    def run(*arguments: str, source: str = STUB_JUDGE, inputs: bool = True) -> Result:
        make_judge(source)
        given = ["--portrait", str(portrait), "--audio", str(clip)] if inputs else []
        words = ["judge", *given, "--python", f"standin={sys.executable}", "--runtime", "venv", *arguments]
        return CliRunner().invoke(cli, words)

    return run


def test_a_table_says_what_moves_and_how_surely(judge: Judge, tmp_path: Path) -> None:
    done = judge(str(write_film(tmp_path / "theirs.webm", "libvpx-vp9", "libopus")))
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines() == [
        str(tmp_path / "theirs.webm"),
        "  note: encoded once more: it was vp9 yuv420p in matroska",
        "  head motion  moves         4.5° (4.0 to 5.0)             it is made up",
        "  hair motion  stands still  0.001 IOD/s (0.000 to 0.002)  it is made up",
        "  blinks       blinks        12 /min (3 to 30)             it is made up",
        "  lip-sync     too short                                   it is made up",
        "  The face moves inside a still picture: the head turns, and the hair around it does not.",
        "  note: a stand-in judged it",
    ]


def test_json_and_series_of_videos_with_one_name_are_kept_apart(judge: Judge, tmp_path: Path) -> None:
    paths = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        paths.append(str(write_film(tmp_path / name / "a film (1).mp4", "libx264", "aac")))
    done = judge(*paths, "--json", "-o", str(tmp_path / "kept"))
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert [film["video"] for film in found] == paths
    assert [film["judgement"]["series"] for film in found] == ["a-film--1-.parquet", "a-film--1--2.parquet"]
    names = {path.name for path in (tmp_path / "kept").iterdir()}
    assert names == {f"a-film--1-{n}.{kind}" for n in ("", "-2") for kind in ("json", "parquet")}


def test_a_video_that_the_judge_cannot_decode_is_one_line_and_exit_code_1(judge: Judge, tmp_path: Path) -> None:
    broken = STUB_JUDGE.replace(
        "        for step",
        "        from faceorch_runner import RunnerError; raise RunnerError('no frames')\n        for step",
    )
    done = judge(str(write_film(tmp_path / "theirs.mp4", "libx264", "aac")), source=broken)
    assert done.exit_code == 1
    assert done.stdout.splitlines()[-1] == "  not judged: no frames"


def test_a_judge_that_fails_its_check_reports_nothing_else(judge: Judge, tmp_path: Path) -> None:
    failing = STUB_JUDGE.replace('SELF_CHECK = ""', 'SELF_CHECK = "2 blinks drawn, 1 found"')
    done = judge(str(write_film(tmp_path / "theirs.mp4", "libx264", "aac")), source=failing)
    assert done.exit_code == CannotRun.exit_code
    assert done.stdout == ""
    assert "the judge failed its check of itself: 2 blinks drawn, 1 found" in done.stderr


def test_the_long_check_in_words_and_as_json(judge: Judge) -> None:
    done = judge("--self-check", inputs=False)
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines() == [
        "ok  a made-up head turns by 4.5 of 4.5 degrees",
        "the judge measures right",
    ]


def test_a_long_check_that_fails_is_exit_code_1(judge: Judge) -> None:
    wrong = STUB_JUDGE.replace("        progress(1.0)", "        raise RuntimeError('the head turned by 3 degrees')")
    done = judge("--self-check", "--json", source=wrong, inputs=False)
    assert done.exit_code == 1
    told = json.loads(done.stdout)
    assert not told["passed"]
    assert told["reason"].endswith("the head turned by 3 degrees")
