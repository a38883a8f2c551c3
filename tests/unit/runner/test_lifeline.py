"""When the host has gone, the runner goes, whatever it is at, and all that it has started."""

from __future__ import annotations

import signal
import subprocess
import sys

import psutil
import pytest

from tests.conftest import FOR_EVER_S, LIMIT_S, wait_until
from tests.unit.runner.conftest import Start, close, finish

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the watcher is for Linux")

BUSY = """
    import ctypes
    ctypes.PyDLL(None).sleep({for_ever})  # native code that holds Python's lock
"""
# In a session of its own, with its output closed: nothing ties it to the runner any more.
DAEMON = """
    import subprocess, sys
    code = "import os, time; os.setsid(); os.fork() and os._exit(0); time.sleep({for_ever})"
    subprocess.Popen([sys.executable, "-c", code], stdin=-3, stdout=-3, stderr=-3).wait()
    import time; time.sleep({for_ever})
"""


def runner(body: str) -> str:
    lines = "\n".join("    " + line for line in body.format(for_ever=FOR_EVER_S).splitlines())
    return (
        "from faceorch_runner import Network\nclass Odd(Network):\n    def animate(self, job, progress):\n"
        f"        progress.stage('at it')\n{lines}\n"
    )


def at_it(process: subprocess.Popen[bytes], wanted: int) -> list[psutil.Process]:
    """Wait until the job is under way and `wanted` processes have come from it; return these."""
    assert process.stdout is not None
    assert any(b"at it" in line for line in process.stdout)
    wait_until(lambda: len(children(process)) == wanted, "processes of the runner")
    return children(process)


def drain(process: subprocess.Popen[bytes], before: bytes = b"") -> None:
    assert process.stdin is not None
    process.stdin.write(before + b'{"op":"drain"}\n')
    process.stdin.flush()


def children(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


@pytest.mark.parametrize(("body", "processes"), [(BUSY, 1), (DAEMON, 2)])
def test_nothing_outlives_the_host(start: Start, body: str, processes: int) -> None:
    process = start(runner(body), feed="stdin")
    found = at_it(process, processes)
    close(process)
    process.wait(LIMIT_S)
    assert psutil.wait_procs(found, timeout=LIMIT_S)[1] == []


def test_the_runner_goes_with_its_watcher(start: Start) -> None:
    process = start(runner(BUSY), feed="stdin")
    found = at_it(process, 1)
    process.kill()
    assert psutil.wait_procs(found, timeout=LIMIT_S)[1] == []
    process.wait(LIMIT_S)
    close(process)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("    import os; os._exit(7)", 7),
        ("    import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", -signal.SIGSEGV),
        ("    import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
    ],
)
def test_it_ends_as_the_runner_did(start: Start, body: str, code: int) -> None:
    process = start(runner(body), feed="stdin")
    drain(process)
    process.wait(LIMIT_S)
    assert finish(process)[0] == code


def test_a_polite_signal_reaches_the_runner(start: Start) -> None:
    body = """
    import signal, sys, time
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(9))
    progress.stage("listening")
    time.sleep({for_ever})
    """
    process = start(runner(body), feed="stdin")
    drain(process)
    assert process.stdout is not None
    assert any(b"listening" in line for line in process.stdout)
    process.send_signal(signal.SIGTERM)
    assert process.wait(LIMIT_S) == 1, "an exit in the middle of a job is its failure"
    close(process)


def test_a_long_job_passes_through(start: Start) -> None:
    process = start(feed="stdin")
    drain(process, b'{"no": "' + b"x" * 300_000 + b'"}\n')
    process.wait(LIMIT_S)
    code, events, _ = finish(process)
    assert code == 1
    assert [event.data["kind"] for event in events if event.kind.value == "error"] == ["bad_input"]
