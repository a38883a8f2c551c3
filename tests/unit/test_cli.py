"""The command line as people and machines meet it: a process of its own, its exit codes and every word it prints."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from faceorch.cli.main import COMMANDS
from tests.conftest import MakeNetwork

SLEEPING = """
from faceorch_runner import Network
import time
class Sleeping(Network):
    def animate(self, job, progress):
        progress.stage("sleeping")
        progress.update(1, 10)
        time.sleep(300)
"""


def faceorch(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "faceorch", *arguments],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **env},
        timeout=60,
        check=False,
    )


def run_arguments(portrait: Path, clip: Path, out: Path, *names: str) -> list[str]:
    arguments = ["run", "--image", str(portrait), "--audio", str(clip), "--out", str(out), "--runtime", "venv"]
    for name in names:
        arguments += ["--network", name, "--python", f"{name}={sys.executable}"]
    return arguments


class TestHelp:
    def test_every_command_has_help_that_ends_with_an_example(self) -> None:
        for name in COMMANDS:
            done = faceorch(name, "--help")
            assert done.returncode == 0
            assert "Example" in done.stdout
            assert f"faceorch {name}" in done.stdout

    def test_nothing_heavy_is_imported_for_it(self) -> None:
        done = subprocess.run(
            [
                *(sys.executable, "-X", "importtime", "-c"),
                "import sys; sys.argv = ['faceorch', '--help']; from faceorch.cli.main import main; main()",
            ],
            capture_output=True,
            text=True,
            check=True,
        )
        imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
        assert "click" in imported
        assert not imported & {
            "docker",
            "requests",
            "rich",
            "PIL",
            "av",
            "jinja2",
            "pynvml",
            "yaml",
            "msgspec",
            "numpy",
        }

    def test_a_mistyped_command_brings_the_nearest(self) -> None:
        done = faceorch("netwroks")
        assert done.returncode == 2
        assert "no command is called 'netwroks' (did you mean 'networks'?)" in done.stderr

    def test_the_version(self) -> None:
        assert faceorch("--version").stdout.startswith("faceorch 0.")


class TestNetworks:
    def test_each_is_a_row_with_its_reason_and_remedy(self) -> None:
        rows = json.loads(faceorch("networks", "--json", DOCKER_HOST="unix:///nowhere.sock").stdout)
        assert [row["name"] for row in rows] == sorted(row["name"] for row in rows)
        for row in rows:
            assert row["ready"] or (row["kind"] and row["reason"] and row["remedy"])
            assert row["needs"]["bases"]
            assert row["approach"]

    def test_one_in_detail_names_its_settings_with_their_ranges(self, make_network: MakeNetwork) -> None:
        make_network("grey")
        text = faceorch("networks", "grey").stdout
        assert "    size = 64  (a whole number from 16 to 128)" in text
        assert "        side in pixels" in text

    def test_no_colour_code_reaches_a_pipe(self) -> None:
        assert "\x1b" not in faceorch("networks").stdout


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

    def test_json_lines_are_json_and_nothing_else(
        self, make_network: MakeNetwork, portrait: Path, clip: Path, tmp_path: Path
    ) -> None:
        make_network("grey")
        done = faceorch(*run_arguments(portrait, clip, tmp_path / "out", "grey"), "--json")
        events = [json.loads(line) for line in done.stdout.splitlines()]
        assert [events[0]["event"], events[-1]["event"]] == ["run_started", "run_ended"]
        assert events[-1]["run"]["jobs"][0]["status"] == "done"
        assert {"stage", "progress", "job_started", "job_ended"} <= {event["event"] for event in events}

    @pytest.mark.parametrize(
        ("change", "code", "message", "remedy"),
        [
            ({"image": "/nowhere.png"}, 3, "cannot read /nowhere.png: No such file or directory", "name the image"),
            ({"image": "clip"}, 3, "is no image: it looks like audio (WAV)", "are --image and --audio swapped?"),
            ({"audio": "portrait"}, 3, "holds no audio: it is an image", "are --image and --audio swapped?"),
            ({"network": "gray"}, 6, "no network is called 'gray' (did you mean 'grey'?)", "choose from: baseline"),
            ({"set": "grey.size=8"}, 3, "grey.size is '8', a whole number from 16 to 128 needed", "see `faceorch net"),
            (
                {"set": "grey.siz=8"},
                3,
                "grey has no setting 'siz' (did you mean 'size'?)",
                "its settings: gain, loud, mode, size",
            ),
            ({"timeout": "soon"}, 2, "'soon' is no duration; write 90s, 5m or 1h30m", ""),
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
        files = {"portrait": str(portrait), "clip": str(clip)}
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

    @pytest.mark.skipif(os.geteuid() != 0 or shutil.which("mount") is None, reason="needs root to mount a small disk")
    def test_a_full_disk_is_told_before_anything_starts(
        self, make_network: MakeNetwork, portrait: Path, clip: Path, tmp_path: Path
    ) -> None:
        make_network("grey")
        disk = tmp_path / "disk"
        disk.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], check=False)
        if mounted.returncode != 0:
            pytest.skip("this system does not allow mounts")
        try:
            done = faceorch(*run_arguments(portrait, clip, disk, "grey"))
            assert done.returncode == 4
            assert f"{disk} has 1 MiB free, 256 MiB needed" in done.stderr
            assert list(disk.iterdir()) == []
        finally:
            subprocess.run(["umount", str(disk)], check=True)

    def test_a_bug_is_one_line_and_a_log(
        self, make_network: MakeNetwork, portrait: Path, clip: Path, tmp_path: Path, own_home: Path
    ) -> None:
        code = (
            "import sys; sys.argv = ['faceorch', 'networks']; import faceorch.networks as n\n"
            "def broken(*a): raise KeyError('oops')\n"
            "n.load_networks = broken\nfrom faceorch.cli.main import main; main()"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert done.returncode == 70
        first, second = done.stderr.splitlines()
        assert first == "faceorch has a bug: KeyError: 'oops'"
        log = Path(second.partition("details: ")[2])
        assert log.parent == own_home / "bugs"
        assert "Traceback" in log.read_text("utf-8")


@pytest.fixture
def sleeping(make_network: MakeNetwork, portrait: Path, clip: Path, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A `faceorch run` in the middle of a job that takes for ever."""
    network = make_network("sleeping", SLEEPING)
    arguments = run_arguments(portrait, clip, tmp_path / "out", "sleeping")
    with subprocess.Popen(
        [sys.executable, "-m", "faceorch", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert any("sleeping: sleeping" in line for line in process.stdout)
        yield process
        process.kill()
    assert network.name == "sleeping"


def runners_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def wait_until_gone(processes: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(processes, timeout=10)
    assert alive == []


class TestPrices:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (
                ["--price-per-kwh", "nan"],
                "'nan' is no price; write a number such as 0.30, and the currency with --currency",
            ),
            (
                ["--price-per-gpu-hour", "-1"],
                "'-1' is no price; write a number such as 0.30, and the currency with --currency",
            ),
            (["--currency", "EUR"], "--currency is of --price-per-kwh or --price-per-gpu-hour: give one of them"),
            (["--repeat", "0"], "0 is not in the range x>=1."),
        ],
    )
    def test_what_is_no_price_is_refused(self, portrait: Path, clip: Path, arguments: list[str], message: str) -> None:
        done = faceorch("run", "--image", str(portrait), "--audio", str(clip), *arguments)
        assert done.returncode == 2
        assert message in done.stderr

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
        output, errors = sleeping.communicate(timeout=20)
        assert sleeping.returncode == 130
        (folder,) = (tmp_path / "out").iterdir()
        assert (
            output.splitlines()[-1] == f"interrupted; finish it with: faceorch run --resume {os.path.relpath(folder)}"
        )
        assert errors.strip() == ""
        run = json.loads((folder / "run.json").read_text("utf-8"))
        assert (run["status"], run["jobs"][0]["kind"]) == ("interrupted", "interrupted")
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
        source.write_text(source.read_text("utf-8").replace("time.sleep(300)", "raise ValueError('awake')"), "utf-8")
        done = faceorch("run", "--resume", str(folder))
        assert done.returncode == 1
        assert "sleeping: FAILED: ValueError: awake" in done.stdout
        assert list((own_home / "processes").iterdir()) == []


def test_kill_9_at_any_moment_leaves_only_runs_that_load(
    make_network: MakeNetwork, portrait: Path, clip: Path, tmp_path: Path
) -> None:
    make_network("grey")
    out = tmp_path / "out"
    arguments = [sys.executable, "-m", "faceorch", *run_arguments(portrait, clip, out, "grey")]
    begun_s = time.monotonic()
    subprocess.run(arguments, stdout=subprocess.DEVNULL, check=True)
    whole_s = time.monotonic() - begun_s
    for step in range(12):
        with subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            time.sleep(whole_s * (step + 1) / 12)
            process.kill()
    for folder in (path for path in out.iterdir() if not path.name.startswith(".")):
        done = faceorch("run", "--resume", str(folder))
        assert done.returncode == 0, done.stdout + done.stderr
        assert (folder / "grey.mp4").is_file()


def test_the_completion_script_completes_networks(make_network: MakeNetwork) -> None:
    make_network("grey")
    assert "_FACEORCH_COMPLETE" in faceorch("completion", "bash").stdout
    done = faceorch(_FACEORCH_COMPLETE="bash_complete", COMP_WORDS="faceorch run --network gr", COMP_CWORD="3")
    assert done.stdout.split() == ["plain,grey"]
