"""Judging as people meet it: a process of its own, its exit codes, and what it prints when it is interrupted."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from faceorch.cli.main import cli
from faceorch.errors import CannotRun
from faceorch.record.folder import RunFolder
from tests.conftest import FOR_EVER_S, LIMIT_S, STUB_JUDGE, MakeNetwork
from tests.resuming import shell
from tests.unit.conftest import faceorch, run_arguments

FAILING = STUB_JUDGE.replace('SELF_CHECK = ""', 'SELF_CHECK = "2 blinks drawn, 1 found"')


def arguments(portrait: Path, clip: Path, out: Path) -> list[str]:
    return [*run_arguments(portrait, clip, out, "grey"), "--python", f"standin={sys.executable}"]


@pytest.mark.parametrize(
    ("judge", "line"),
    [
        (STUB_JUDGE, "standin: done"),
        (FAILING, "standin: no judgement: the judge failed its check of itself: 2 blinks drawn, 1 found -> "),
    ],
)
def test_a_run_ends_as_its_networks_do_however_judging_went(
    make_network: MakeNetwork,
    make_judge: MakeNetwork,
    portrait: Path,
    clip: Path,
    tmp_path: Path,
    judge: str,
    line: str,
) -> None:
    make_network("grey")
    make_judge(judge)
    done = faceorch(*arguments(portrait, clip, tmp_path / "out"), "--quiet")
    assert done.returncode == 0, done.stderr
    (shown,) = [shown for shown in done.stdout.splitlines() if shown.startswith("standin: ")]
    assert shown.startswith(line)
    assert ("grey: measured: head motion: moves, 4.5° (4.0 to 5.0)" in done.stdout) == (judge is STUB_JUDGE)


def test_interrupted_it_prints_the_command_that_judges_the_run(
    make_network: MakeNetwork, make_judge: MakeNetwork, portrait: Path, clip: Path, tmp_path: Path
) -> None:
    make_network("grey")
    asleep = tmp_path / "asleep"
    asleep.touch()
    sleeping = f"import pathlib, time\n        if pathlib.Path({str(asleep)!r}).exists(): time.sleep({FOR_EVER_S})"
    make_judge(STUB_JUDGE.replace("        for step in", f"        {sleeping}\n        for step in"))
    command = [sys.executable, "-m", "faceorch", *arguments(portrait, clip, tmp_path / "out")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("standin: judge grey"):
                break
        process.send_signal(signal.SIGINT)
        output = process.communicate(timeout=LIMIT_S)[0]
    assert process.returncode == 130
    found = re.search(r"^standin: no judgement: judging was interrupted -> (faceorch judge .*)$", output, re.MULTILINE)
    assert found is not None, output
    asleep.unlink()
    again = shell(found[1], tmp_path)
    assert again.returncode == 0, again.stderr
    (folder,) = (tmp_path / "out").iterdir()
    assert f"report: {os.path.relpath(folder, tmp_path)}/report.html" in again.stdout
    (job,) = RunFolder.load(folder).run.jobs
    assert job.judgement is not None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "name one RUN, or --portrait FACE --audio CLIP VIDEO..."),
        (("a", "b"), "name one RUN, or --portrait FACE --audio CLIP VIDEO..."),
        (("a", "--portrait", "p"), "--portrait and --audio are needed together"),
        (("--portrait", "p", "--audio", "a"), "name the videos to judge"),
        (("a", "-o", "kept"), "-o is of VIDEOs: a run folder keeps its own series"),
        (("a", "--runtime", "venv"), "a RUN is judged with what it recorded; leave out --runtime"),
        (("a", "--self-check"), "--self-check judges no videos: leave them out"),
    ],
)
def test_what_does_not_go_together_is_said(arguments: tuple[str, ...], message: str) -> None:
    done = CliRunner().invoke(cli, ["judge", *arguments])
    assert done.exit_code == 2
    assert message in done.stderr


def test_without_a_judge_there_is_one_line(portrait: Path, clip: Path, tmp_path: Path) -> None:
    words = ["judge", "--portrait", str(portrait), "--audio", str(clip), str(tmp_path / "x.mp4")]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == CannotRun.exit_code
    assert done.stderr == "error: there is no judge (FACEORCH_JUDGE is off)\n  try: unset FACEORCH_JUDGE\n"
