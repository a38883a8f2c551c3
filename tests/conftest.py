"""Real small things for every test: a portrait, a clip, networks made of the standard library alone."""

from __future__ import annotations

import math
import signal
import struct
import sys
import textwrap
import time
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from xdist.scheduler import LoadScopeScheduling

from faceorch.comparison import compare
from faceorch.networks.discover import Network
from faceorch.networks.manifest import read_manifest
from faceorch.record.folder import RunFolder
from faceorch.record.reason import Reason
from faceorch.record.request import Request
from faceorch.record.run import Job
from faceorch.runs.events import Event, Listener
from faceorch.runs.job import Check
from faceorch.telemetry.machine import RESOURCES
from faceorch.telemetry.samples import MachineSample

MakeNetwork = Callable[..., Network]

# No test measures time: this only keeps one that hangs from hanging for ever, however busy the machine is.
LIMIT_S = 600.0
FOR_EVER_S = 86_400  # how long what must be ended by another hand sleeps

# A runner that needs nothing but the contract: a grey picture that follows the loudness of the clip.
GREY_RUNNER = """
import wave
from faceorch_runner import Network

class Grey(Network):
    def animate(self, job, progress):
        with wave.open(str(job.audio)) as clip:
            frames = max(1, round(clip.getnframes() / clip.getframerate() * 25))
        progress.stage("frames")
        with job.video(64, 48, 25) as video:
            for index in range(frames):
                video.write(bytes([(index * 5 + job.seed) % 256]) * (64 * 48 * 3))
                progress.update(index + 1, frames)
        return video.path
"""


# A judge that needs nothing but the contract. Tests change it by replacing parts of it.
STUB_JUDGE = """
SELF_CHECK = ""

def finding(verdict, says, value=None, **more):
    return {"value": value, "verdict": verdict, "says": says, "reason": "it is made up", **more}

class Session:
    self_check = SELF_CHECK

    def judge(self, portrait, audio, video, series, progress):
        assert portrait.is_file() and audio.is_file() and video.stat().st_size > 0
        for step in range(11):
            progress(step / 10)
        series.write_bytes(b"PAR1 made up PAR1")
        return {
            "judge": {"version": "1", "models": {"made-up.task": "a" * 64}, "thresholds": "b" * 64},
            "frames": 25,
            "duration_s": 1.0,
            "coverage": 1.0,
            "findings": {
                "head_motion": finding("yes", "moves", 4.5, unit="deg", low=4.0, high=5.0),
                "hair_motion": finding("no", "stands still", 0.001, unit="IOD/s", low=0.0, high=0.002),
                "blinks": finding("yes", "blinks", 12.0, unit="/min", low=3.0, high=30.0, details={"count": 3}),
                "lip_sync": finding("not_measurable", "too short"),
            },
            "traces": {"yaw": {"unit": "deg", "step_s": 0.25, "values": [0.0, 2.0, None, 1.0]}},
            "boxes": {"face": {"left": 0.2, "top": 0.2, "width": 0.5, "height": 0.6}},
            "notes": ["a stand-in judged it"],
            "elapsed_s": 0.1,
        }

    def check(self, progress):
        progress(1.0)
        return ["a made-up head turns by 4.5 of 4.5 degrees"]

def begin(weights):
    return Session()
"""


class Together(LoadScopeScheduling):  # type: ignore[misc]  # it has no types
    """What stays on one worker when tests run side by side: those of the engine, and of files that share much."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        part = Path(file).parts[1]
        return {"unit": nodeid, "engine": part}.get(part, file)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Together:
    return Together(config, log)


@pytest.fixture(autouse=True)
def quiet_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no remark depend on how busy this machine is."""
    monkeypatch.setattr(
        "faceorch.telemetry.watch.read_machine",
        lambda: MachineSample(t_s=time.monotonic(), cores=1, waited_s=dict.fromkeys(RESOURCES)),
    )


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep every test away from the user's cache, and from the true judge."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("FACEORCH_HOME", str(home))
    monkeypatch.delenv("FACEORCH_NETWORKS", raising=False)
    monkeypatch.setenv("FACEORCH_JUDGE", "off")
    monkeypatch.setenv("FACEORCH_C2PA", "0")  # signing takes half a second: where it is meant, it is asked for
    return home


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Wait for a state that nobody announces, such as that of a file."""
    until_s = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < until_s, f"it never happened: {what}"
        time.sleep(0.01)


@pytest.fixture(scope="session", autouse=True)
def usual_signals() -> Iterator[None]:
    """Let programs that tests start heed SIGINT and SIGHUP, also where the tests themselves ignore them.

    They do when they run in the background (`make test &`, nohup), and a program inherits what is ignored; what is
    handled, it does not.
    """
    ignored = [n for n in (signal.SIGINT, signal.SIGHUP) if signal.getsignal(n) is signal.SIG_IGN]
    for number in ignored:  # a test may interrupt itself
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else lambda *_: None)
    yield
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)


@pytest.fixture
def portrait(tmp_path: Path) -> Path:
    from PIL import Image

    path = tmp_path / "face.png"
    Image.linear_gradient("L").convert("RGB").save(path)
    return path


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_tone(tmp_path / "clip.wav", seconds=1.0)


def write_tone(path: Path, *, seconds: float, rate: int = 16000) -> Path:
    """Write a 220 Hz tone as 16-bit mono WAV."""
    count = round(seconds * rate)
    samples = (round(12000 * math.sin(2 * math.pi * 220 * i / rate)) for i in range(count))
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(struct.pack(f"<{count}h", *samples))
    return path


@pytest.fixture
def make_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeNetwork:
    """Return a function that makes a network folder which faceorch finds, to be run with this test's own Python."""
    parent = tmp_path / "networks"

    def make(name: str, runner: str = GREY_RUNNER, **needs: object) -> Network:
        folder = parent / name
        folder.mkdir(parents=True)
        manifest: dict[str, Any] = {
            "schema": 1,
            "title": name.title(),
            "summary": "A network of the tests.",
            "approach": "none",
            "licence": "Apache-2.0",
            "needs": {"gpu": False, "runtimes": ["venv"], "bases": ["cpu"], "ram_gb": 1, **needs},
            "settings": {
                "size": {"type": "int", "default": 64, "min": 16, "max": 128, "help": "side in pixels"},
                "loud": {"type": "bool", "default": False, "help": "loud or not"},
                "mode": {"type": "choice", "default": "a", "choices": ["a", "b"], "help": "which"},
                "gain": {"type": "float", "default": 1.0, "min": 0.0, "max": 2.0, "help": "how much"},
            },
        }
        (folder / "network.yaml").write_text(yaml.safe_dump(manifest), "utf-8")
        write_code(folder / "code", runner=runner)
        for base in manifest["needs"]["bases"]:
            (folder / f"requirements.{base}.lock").write_text("", "utf-8")
        monkeypatch.setenv("FACEORCH_NETWORKS", str(parent))
        return Network(folder, read_manifest(folder / "network.yaml"))

    return make


@pytest.fixture
def make_judge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeNetwork:
    """Return a function that makes a judge's folder which faceorch finds and uses, beside the networks of the test."""
    parent = tmp_path / "networks"

    def make(source: str = STUB_JUDGE, name: str = "standin", **needs: object) -> Network:
        folder = parent / name
        folder.mkdir(parents=True)
        manifest: dict[str, Any] = {
            "schema": 1,
            "role": "judge",
            "title": name.title(),
            "summary": "A judge of the tests.",
            "approach": "made-up values",
            "licence": "Apache-2.0",
            "needs": {"gpu": False, "runtimes": ["venv"], "bases": ["cpu"], "ram_gb": 1, **needs},
        }
        (folder / "network.yaml").write_text(yaml.safe_dump(manifest), "utf-8")
        write_code(folder / "code", judge=source)
        (folder / "requirements.cpu.lock").write_text("", "utf-8")
        monkeypatch.setenv("FACEORCH_NETWORKS", str(parent))
        monkeypatch.setenv("FACEORCH_JUDGE", name)
        return Network(folder, read_manifest(folder / "network.yaml"))

    return make


def write_code(folder: Path, **modules: str) -> None:
    """Write a network's package: its modules by name."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, source in {"__init__": "", **modules}.items():
        (folder / f"{name}.py").write_text(textwrap.dedent(source), "utf-8")


@pytest.fixture
def python() -> str:
    """The interpreter that runs the made-up networks."""
    return sys.executable


def ignore(event: Event) -> None:
    """Hear an event and do nothing."""


def compare_here(
    request: Request, tell: Listener = ignore, out: Path | None = None, check: Check | None = None
) -> RunFolder:
    """Do all that `request` asks for, by default in `results` beside its portrait."""
    return compare(request, out or Path(request.portrait).parent / "results", tell, check=check)


def reason_of(job: Job) -> Reason:
    """Return why a job failed or was skipped."""
    assert job.reason is not None
    return job.reason
