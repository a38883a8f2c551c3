"""`faceorch run` as people and machines meet it: a process of its own, its exit codes and every word it prints."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.conftest import FOR_EVER_S, LIMIT_S, MakeNetwork, wait_until
from tests.unit.conftest import SLEEPING, faceorch, run_arguments


class TestRun:
    def test_success_is_exit_code_0_and_says_where_everything_is(
        self, make_network: MakeNetwork, portrait: Path, clip: Path, tmp_path: Path
    ) -> None:
        make_network("grey")
        done = faceorch(*run_arguments(portrait, clip, tmp_path / "out", "grey"))
        assert done.returncode == 0, done.stderr
        (folder,) = (tmp_path / "out").iterdir()
        shown = os.path.relpath(folder)
        lines = done.stdout.splitlines()
        assert lines[-2:] == [f"videos: {shown}", f"report: {shown}/report.html"]
        assert any(line.startswith("grey: done: grey.mp4 (64x48, 25 fps) in ") for line in lines)
        assert "\x1b" not in done.stdout
        again = faceorch("report", str(folder))
        assert (again.returncode, again.stdout.strip()) == (0, str(folder / "report.html"))

    def test_a_failed_network_is_exit_code_1_and_the_others_go_on(
        self, make_network: MakeNetwork, portrait: Path, clip: Path, tmp_path: Path
    ) -> None:
        make_network("bad", "from faceorch_runner import Network\nclass Bad(Network):\n    pass\n")
        make_network("grey")
        done = faceorch(*run_arguments(portrait, clip, tmp_path / "out", "bad", "grey"))
        assert done.returncode == 1
        assert "bad: FAILED: NotImplementedError: NotImplementedError -> see its log" in done.stdout
        assert "grey: done: " in done.stdout

    @pytest.mark.parametrize(
        ("change", "code", "message", "remedy"),
        [
            ({"image": "/nowhere.png"}, 3, "cannot read /nowhere.png: No such file or directory", "name the image"),
            ({"image": "clip"}, 3, "is not an image: it looks like audio (WAV)", "are --image and --audio swapped?"),
            ({"audio": "portrait"}, 3, "holds no audio: it is an image", "are --image and --audio swapped?"),
            ({"network": "gray"}, 6, "no network is called 'gray' (did you mean 'grey'?)", "choose from: baseline"),
            ({"set": "grey.size=8"}, 3, "grey.size is '8', a whole number from 16 to 128 needed", "see `faceorch net"),
            (
                {"set": "grey.siz=8"},
                3,
                "grey has no setting 'siz' (did you mean 'size'?)",
                "its settings: gain, loud, mode, size",
            ),
            ({"timeout": "99999999999h"}, 2, "the duration must be above 0, and 720h at most", ""),
            ({"timeout": "9" * 400 + "h"}, 2, "the duration must be above 0, and 720h at most", ""),
            ({"repeat": "10000000000"}, 2, "10000000000 is not in the range 1<=x<=1000.", ""),
            ({"image": "a" * 5000}, 3, "File name too long", "name the image"),
            ({"out": "a" * 5000}, 4, "File name too long", "choose another --out"),
            ({"image": "large"}, 3, "large.png has 5120 MiB, at most 512 MiB are read", "use a smaller image file"),
            ({"image": "/dev/zero"}, 3, "/dev/zero is not a regular file", "name the image"),
            ({"timeout": "soon"}, 2, "'soon' is not a duration; write 90s, 5m or 1h30m", ""),
            ({"out": "portrait"}, 4, "cannot make the folder", "choose another --out"),
            ({"gpus": "7"}, 6, "--gpus names '7'; this host has none", "--gpus all"),
        ],
    )
    def test_bad_input_is_one_line_one_remedy_and_leaves_nothing(
        self,
        make_network: MakeNetwork,
        portrait: Path,
        clip: Path,
        tmp_path: Path,
        change: dict[str, str],
        code: int,
        message: str,
        remedy: str,
    ) -> None:
        make_network("grey")
        with (tmp_path / "large.png").open("wb") as large:
            large.truncate(5 * 2**30)
        files = {"portrait": str(portrait), "clip": str(clip), "large": str(tmp_path / "large.png")}
        options = {"image": str(portrait), "audio": str(clip), "network": "grey", "out": str(tmp_path / "out")}
        options |= {key: files.get(value, value) for key, value in change.items()}
        arguments = ["run", "--runtime", "venv", "--python", f"grey={sys.executable}"]
        for key, value in options.items():
            arguments += [f"--{key}", value]
        done = faceorch(*arguments)
        assert done.returncode == code
        assert message in done.stderr
        assert remedy in done.stderr
        assert "Traceback" not in done.stderr
        assert not (tmp_path / "out").exists()


@pytest.fixture
def sleeping(make_network: MakeNetwork, portrait: Path, clip: Path, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A `faceorch run` in the middle of a job that takes for ever."""
    make_network("sleeping", SLEEPING)
    arguments = run_arguments(portrait, clip, tmp_path / "out", "sleeping")
    process = subprocess.Popen(
        [sys.executable, "-m", "faceorch", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with process:
        try:
            assert process.stdout is not None
            assert any("sleeping: sleeping" in line for line in process.stdout)
            yield process
        finally:
            process.kill()


def runners_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def wait_until_gone(processes: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(processes, timeout=LIMIT_S)
    assert alive == []


class TestPrices:
    def test_a_resumed_run_keeps_its_own(self, tmp_path: Path) -> None:
        done = faceorch("run", "--resume", str(tmp_path), "--repeat", "3")
        assert (done.returncode, "--resume goes on with what the run recorded; leave out --repeat" in done.stderr) == (
            2,
            True,
        )


class TestInterrupt:
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
    def test_it_stops_records_cleans_up_and_says_how_to_resume(
        self, sleeping: subprocess.Popen[str], tmp_path: Path, number: signal.Signals
    ) -> None:
        runners = runners_of(sleeping)
        assert runners
        sleeping.send_signal(number)
        output, errors = sleeping.communicate(timeout=LIMIT_S)
        assert sleeping.returncode == 130
        (folder,) = (tmp_path / "out").iterdir()
        assert output.splitlines()[-1] == f"interrupted; finish it with: faceorch run --resume {folder}"
        assert errors.strip() == ""
        run = json.loads((folder / "run.json").read_text("utf-8"))
        assert (run["status"], run["jobs"][0]["reason"]["kind"]) == ("interrupted", "interrupted")
        assert (folder / "report.html").is_file()
        wait_until_gone(runners)

    def test_after_kill_9_the_runner_leaves_and_the_run_can_be_finished(
        self, sleeping: subprocess.Popen[str], tmp_path: Path, own_home: Path
    ) -> None:
        runners = runners_of(sleeping)
        sleeping.kill()
        sleeping.wait()
        wait_until_gone(runners)
        (folder,) = (tmp_path / "out").iterdir()
        assert json.loads((folder / "run.json").read_text("utf-8"))["jobs"][0]["status"] == "running"
        assert faceorch("report", str(folder)).returncode == 0, "an unfinished run has a report too"
        source = tmp_path / "networks" / "sleeping" / "code" / "runner.py"
        source.write_text(
            source.read_text("utf-8").replace(f"time.sleep({FOR_EVER_S})", "raise ValueError('awake')"), "utf-8"
        )
        done = faceorch("run", "--resume", str(folder))
        assert done.returncode == 1
        assert "sleeping: FAILED: ValueError: awake" in done.stdout
        assert list((own_home / "processes").iterdir()) == []


@pytest.mark.parametrize("form", [[], ["--json"]])
@pytest.mark.parametrize("command", ["{} | head -1", "{} > /dev/full", "{} >&-", "{} <&- >&- 2>&-"])
def test_a_run_goes_on_without_its_reader(
    make_network: MakeNetwork, portrait: Path, clip: Path, tmp_path: Path, command: str, form: list[str]
) -> None:
    make_network("grey")
    make_network("other")
    arguments = [sys.executable, "-m", "faceorch", *run_arguments(portrait, clip, tmp_path / "out", "grey", "other")]
    done = subprocess.run(
        ["/bin/sh", "-c", command.format(shlex.join([*arguments, *form]))],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    (folder,) = (tmp_path / "out").iterdir()
    run = json.loads((folder / "run.json").read_text("utf-8"))
    assert [run["status"], *(job["status"] for job in run["jobs"])] == ["done"] * 3
    assert (folder / "report.html").is_file()


def test_a_portrait_whose_name_is_not_utf8_is_animated(
    make_network: MakeNetwork, portrait: Path, clip: Path, tmp_path: Path
) -> None:
    make_network("grey")
    named = os.fsencode(tmp_path) + b"/Jos\xe9.png"
    Path(os.fsdecode(named)).write_bytes(portrait.read_bytes())
    words = [os.fsencode(word) for word in run_arguments(portrait, clip, tmp_path / "out", "grey")]
    words[words.index(b"--image") + 1] = named
    done = subprocess.run([sys.executable, "-m", "faceorch", *words], capture_output=True, timeout=LIMIT_S, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    (folder,) = (tmp_path / "out").iterdir()
    run = json.loads((folder / "run.json").read_text("utf-8"))
    assert run["inputs"]["portrait"]["source"].startswith(str(tmp_path) + "/Jos")
    assert (folder / "grey.mp4").is_file()
    assert (folder / "report.html").is_file()


def test_kill_9_at_any_moment_leaves_only_runs_that_load(
    make_network: MakeNetwork, portrait: Path, clip: Path, tmp_path: Path
) -> None:
    """The moments are those at which it says something, from the first event to the last but one, and some before."""
    make_network("grey")
    whole, out = tmp_path / "whole", tmp_path / "out"

    def command(folder: Path) -> list[str]:
        return [sys.executable, "-m", "faceorch", *run_arguments(portrait, clip, folder, "grey"), "--json"]

    events = len(subprocess.run(command(whole), stdout=subprocess.PIPE, check=True).stdout.splitlines())
    moments = sorted({1 + (events - 2) * step // 9 for step in range(10)})
    for moment in moments:
        with subprocess.Popen(command(out), stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            for _ in range(moment):
                process.stdout.readline()
            process.kill()
    # The folder appears before the first event, and its record before or after a kill that follows at once.
    early = tmp_path / "early"
    with subprocess.Popen(command(early), stdout=subprocess.DEVNULL) as process:
        wait_until(lambda: early.is_dir() and any(early.iterdir()), "something in the folder of results")
        process.kill()
    folders = [path for path in out.iterdir() if not path.name.startswith(".")]
    assert len(folders) == len(moments)
    for folder in folders + [path for path in early.iterdir() if not path.name.startswith(".")]:
        done = faceorch("run", "--resume", str(folder))
        assert done.returncode == 0, done.stdout + done.stderr
        assert (folder / "grey.mp4").is_file()
