"""The command itself: its help, what it imports for it, and an interrupt at any moment."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from faceorch.cli.main import COMMANDS
from tests.conftest import FOR_EVER_S, LIMIT_S, MakeNetwork
from tests.unit.conftest import faceorch, run_arguments


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


def test_an_interrupt_that_somebody_drops_comes_again() -> None:
    """As C code does where it hashes; or an error of a clean-up takes its place, and becomes a job's outcome."""
    script = (
        "import os, signal, time\n"
        "from faceorch.cli import main as module\n"
        "def run(**_):\n"
        "    for _ in range(3):\n"
        "        try:\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        f"            time.sleep({FOR_EVER_S})\n"
        "        except BaseException:\n"
        "            pass\n"
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
