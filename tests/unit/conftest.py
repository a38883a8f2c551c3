"""What several unit tests arrange in one way."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from faceorch import proc
from faceorch.networks.discover import Network
from faceorch.networks.new import make_network
from faceorch.owner import Owner
from faceorch.record.folder import now
from faceorch.record.request import Request
from faceorch.record.run import Measured, Repetition, Times
from faceorch.runs.events import Event, JobEnded, RunEnded, RunStarted
from tests.conftest import FOR_EVER_S, LIMIT_S, MakeNetwork

RequestFor = Callable[..., Request]


@pytest.fixture
def request_for(tmp_path: Path, portrait: Path, clip: Path) -> RequestFor:
    """Return a function that makes a request for the named networks, all run with this Python."""

    def make(*names: str, **changes: Any) -> Request:
        defaults: dict[str, Any] = {
            "portrait": str(portrait),
            "clip": str(clip),
            "networks": names,
            "runtime": "venv",
            "timeout_s": LIMIT_S,
            "pythons": dict.fromkeys(names, sys.executable),
        }
        return Request(**{**defaults, **changes})

    return make


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


SPOKEN = "Good evening. Here is the news."


@pytest.fixture
def puppet(tmp_path: Path) -> Path:
    """The folder of a new network, whole as `faceorch new` makes it."""
    return make_network("puppet", tmp_path).folder


TWO_PATCHES = """
from faceorch_patch import Patch, ReplaceExpression

PATCHES = (
    Patch(name="plain-float", file="one/a.py", reason="numpy has no np.float",
          edits=(ReplaceExpression("np.float", "float"),)),
    Patch(name="plain-int", file="two/b.py", reason="numpy has no np.int", edits=(ReplaceExpression("np.int", "int"),)),
)
"""


@pytest.fixture
def patched(make_network: MakeNetwork) -> Network:
    """A network with two patches."""
    network = make_network("grey")
    (network.folder / "patches.py").write_text(TWO_PATCHES, "utf-8")
    return network


def repetition(
    number: int, animate_s: float, *, sha: str = "0", warmup: bool = False, **metrics: Measured
) -> Repetition:
    return Repetition(
        number=number,
        warmup=warmup,
        started=now(),
        times=Times(animate_s=animate_s, total_s=animate_s + 2),
        video_sha256=sha * 64,
        metrics=dict(metrics),
    )


FAILS_ONCE = """
import pathlib
from faceorch_runner import Network

class Fails(Network):
    def animate(self, job, progress):
        count = pathlib.Path({path!r})
        number = int(count.read_text()) if count.is_file() else 0
        count.write_text(str(number + 1))
        if number == {fail_at}:
            {how}
        with job.video(64, 48, 25) as video:
            for index in range(25):
                video.write(bytes(64 * 48 * 3))
        return video.path
"""


class Listener:
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.heard: list[tuple[Any, ...]] = []

    def __call__(self, event: Event) -> None:
        told = msgspec.to_builtins(event)
        match event:
            case RunStarted() | RunEnded():
                self.heard.append((told["event"], event.run.status))
            case JobEnded():
                self.heard.append((told["event"], event.job.network, event.job.status))
            case _:
                self.heard.append(tuple(told.values()))


@pytest.fixture
def listener() -> Listener:
    """Return a listener that keeps what it hears."""
    return Listener()


WAITING = [sys.executable, "-c", "print(flush=True); input()"]


@pytest.fixture
def waiting() -> Iterator[subprocess.Popen[bytes]]:
    """A process that lives until its stdin ends."""
    process = proc.start(WAITING, env=dict(os.environ), cwd=Path.cwd())
    yield process
    for pipe in (process.stdin, process.stdout, process.stderr):
        assert pipe is not None
        pipe.close()
    process.kill()
    process.wait()


def old_form(pid: int, started_s: float, machine: str | None = None) -> str:
    """Return what earlier faceorchs wrote."""
    return f"{machine or Owner.me().machine}:{pid}:{started_s}"


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of this test alone, with a build log in it."""
    monkeypatch.setenv("FACEORCH_HOME", str(tmp_path))
    for folder in ("venvs", "build"):
        (tmp_path / folder).mkdir()
    (tmp_path / "build" / "grey-0123456789ab.log").touch()
    return tmp_path


@pytest.fixture
def two(make_network: MakeNetwork) -> None:
    """Two networks: `afirst` and `second`."""
    make_network("afirst")
    make_network("second")
