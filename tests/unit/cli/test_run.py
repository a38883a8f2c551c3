"""The command line as people and machines meet it: a process of its own, its exit codes and every word it prints."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from faceorch.cli.main import COMMANDS
from tests.conftest import FOR_EVER_S, LIMIT_S, MakeNetwork, wait_until

SLEEPING = f"""
from faceorch_runner import Network
import time
class Sleeping(Network):
    def animate(self, job, progress):
        progress.stage("sleeping")
        progress.update(1, 10)
        time.sleep({FOR_EVER_S})
"""


def faceorch(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "faceorch", *arguments],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **env},
        timeout=LIMIT_S,
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
            assert row["ready"] or (row["reason"]["kind"] and row["reason"]["found"] and row["reason"]["remedy"])
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
            "import sys; sys.argv = ['faceorch', 'networks']; import faceorch.networks.discover as n\n"
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
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (
                ["--price-per-kwh", "nan"],
                "'nan' is not a price; write a number such as 0.30, and the currency with --currency",
            ),
            (
                ["--price-per-gpu-hour", "-1"],
                "'-1' is not a price; write a number such as 0.30, and the currency with --currency",
            ),
            (["--currency", "EUR"], "--currency is of --price-per-kwh or --price-per-gpu-hour: give one of them"),
            (["--repeat", "0"], "0 is not in the range 1<=x<=1000."),
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


def test_an_interrupt_that_is_ignored_stays_ignored(tmp_path: Path) -> None:
    """`nohup faceorch run` outlives its terminal."""
    script = (
        "import os, signal, sys; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "from faceorch.cli import main as module\n"
        "def hang_up(*, prog_name, standalone_mode):\n"
        "    os.kill(os.getpid(), getattr(signal, sys.argv[1]))\n"
        "    return 7\n"
        "module.cli.main = hang_up\n"
        "module.main()\n"
    )
    codes = {
        name: subprocess.run([sys.executable, "-c", script, name], check=False).returncode
        for name in ("SIGHUP", "SIGTERM")
    }
    assert codes == {"SIGHUP": 7, "SIGTERM": 130}


def test_an_interrupt_in_a_destructor_is_an_interrupt() -> None:
    """Python drops exceptions that are raised there."""
    script = (
        "import os, signal, sys, time\n"
        "from faceorch.cli import main as module\n"
        "class Dying:\n"
        "    def __del__(self):\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "def run(**_):\n"
        "    Dying()\n"
        f"    time.sleep({FOR_EVER_S})\n"
        "module.cli.main = run\n"
        "module.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert (done.returncode, done.stderr) == (130, "")


def test_an_interrupt_is_quiet_at_every_moment(
    make_network: MakeNetwork, portrait: Path, clip: Path, tmp_path: Path
) -> None:
    """The moments are those at which a module is imported, from the first of faceorch's own on."""
    make_network("grey")
    script = (
        "import os, signal, sys\n"
        "at, seen = int(sys.argv.pop(1)), 0\n"
        "class Interrupting:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        global seen\n"
        "        seen += 1\n"
        "        if seen == at:\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "from faceorch.__main__ import main\n"
        "sys.meta_path.insert(0, Interrupting())\n"
        "main()\n"
    )
    for moment in (1, 2, 40, 120, 250):
        done = subprocess.run(
            [sys.executable, "-c", script, str(moment), *run_arguments(portrait, clip, tmp_path / "out", "grey")],
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        assert (moment, done.returncode, done.stderr.strip()) == (moment, 130, "")  # click ends the line of the ^C
    for folder in (tmp_path / "out").iterdir() if (tmp_path / "out").exists() else []:
        assert json.loads((folder / "run.json").read_text("utf-8"))["status"] == "interrupted"


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


def test_the_completion_script_completes_networks(make_network: MakeNetwork) -> None:
    make_network("grey")
    assert "_FACEORCH_COMPLETE" in faceorch("completion", "bash").stdout
    done = faceorch(_FACEORCH_COMPLETE="bash_complete", COMP_WORDS="faceorch run --network gr", COMP_CWORD="3")
    assert done.stdout.split() == ["plain,grey"]
