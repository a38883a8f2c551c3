"""The clock decides at every turn: whatever a runner does, its time ends, and what it has finished is kept."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import psutil
import pytest

import faceorch_runner as contract
from faceorch.media.video import BrokenVideo
from faceorch.owner import Owner
from faceorch.record.kinds import JobStatus, OutcomeKind
from faceorch.runs import attempt as attempts
from faceorch.runs.attempt import Attempt, Collected, attempt
from faceorch.runs.events import Event, StageStarted
from faceorch.runs.joblog import JobLog
from faceorch.runtimes import Launch, Ready, Runtime
from faceorch.runtimes.venv import VenvRuntime
from tests.conftest import FOR_EVER_S, GREY_RUNNER, LIMIT_S, MakeNetwork, compare_here, reason_of
from tests.unit.conftest import Listener, RequestFor
from tests.unit.runs.conftest import failing


def test_a_hang_is_ended_at_the_timeout(
    make_network: MakeNetwork, request_for: RequestFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its time is over once it hangs: however long it took to get there, and how long the other one takes."""
    source = (
        f"import subprocess; subprocess.Popen(['sleep', '{FOR_EVER_S}']); progress.stage('frames'); "
        f"import time; time.sleep({FOR_EVER_S})"
    )
    make_network("slow", failing(source))
    make_network("zgood")
    ahead_s = 0.0

    def hasten(event: Event) -> None:
        nonlocal ahead_s
        if isinstance(event, StageStarted) and (event.network, event.name) == ("slow", "frames"):
            ahead_s = 2 * LIMIT_S

    class Clock(ModuleType):
        def __getattr__(self, name: str) -> Any:
            return getattr(time, name)

        def monotonic(self) -> float:
            return time.monotonic() + ahead_s

    monkeypatch.setattr(attempts, "time", Clock("time"))
    folder = compare_here(request_for("slow", "zgood", timeout_s=LIMIT_S), hasten)
    slow = folder.run.job("slow")
    assert (reason_of(slow).kind, reason_of(slow).text) == (
        OutcomeKind.TIMEOUT,
        f"not finished after {LIMIT_S:g} s (in stage 'frames')",
    )
    assert folder.run.job("zgood").status is JobStatus.DONE


def test_a_child_that_outlives_its_runner_does_not_hold_the_run(
    make_network: MakeNetwork, request_for: RequestFor, listener: Listener
) -> None:
    make_network("grey", GREY_RUNNER + f"\nimport subprocess\nsubprocess.Popen(['sleep', '{FOR_EVER_S}'])\n")
    job = compare_here(request_for("grey"), listener).run.job("grey")
    assert job.status is JobStatus.DONE


# `body` runs in animate after a stage called "ready"; `after` when the contract has been fulfilled.
RUNNER = """
import atexit, os, signal, subprocess, sys, threading, time
from pathlib import Path
from faceorch_runner import EventKind, Network

def wait_for(file):
    while not os.path.exists(file):
        time.sleep(0.01)

def close_pipes():
    for number in range(256):
        try:
            os.close(number)
        except OSError:
            pass

class Hostile(Network):
    def animate(self, job, progress):
        progress.stage("ready")
        {body}
        with job.video(64, 48, 25) as video:
            for _ in range(25):
                video.write(bytes(64 * 48 * 3))
        {after}
        return video.path
"""


# Its last argument is the test's folder, so that it is known among the children of tests that run beside this one.
CHILD = "import time; open('child', 'w').close(); time.sleep(86400)"
HANGS = {
    "prints without end": "while True: os.write(2, b'x' * 65536)",
    "is silent": "time.sleep(86400)",
    "closes its pipes and stays": "close_pipes(); time.sleep(86400)",
    "ignores polite signals": "signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(86400)",
}
LEAVES_A_CHILD = (
    f"subprocess.Popen([sys.executable, '-c', {CHILD!r}, {{folder!r}}], start_new_session=True)\n"
    "        while not os.path.exists('child'): time.sleep(0.01)\n"
    "        os._exit(3)"
)


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def launch_of(make_network: MakeNetwork, folder: Path, portrait: Path, clip: Path, **parts: str) -> Launch:
    network = make_network("hostile", RUNNER.format(**{"body": "pass", "after": "pass", **parts}))
    out = folder / "out"
    out.mkdir()
    return Launch(
        network=network,
        environment=Ready(identity="x", name=sys.executable, given=True),
        owner=Owner.me(),
        run="test-run",
        order=contract.Job(
            id="hostile",
            portrait=portrait,
            audio=clip,
            seed=0,
            settings={"size": 64, "loud": False, "mode": "a", "gain": 1.0},
            work=out / "work",
        ),
        out=out,
        job_file=folder / "job.json",
    )


def follow(runtime: Runtime, launch: Launch, folder: Path, clock: Clock, late_at: str = "ready") -> Attempt:
    """Follow a runner; its time is over once it has told the stage `late_at`."""

    def tell(event: Event) -> None:
        if isinstance(event, StageStarted) and event.name == late_at:
            clock.now_s += 1e6

    with JobLog(folder, 1) as log:
        return attempt(runtime, launch, log=log, tell=tell, timeout_s=1000.0, clock=clock)


@pytest.fixture(autouse=True)
def nothing_stays(tmp_path: Path) -> Iterator[None]:
    """End what a test's runner has left in a session of its own."""
    yield
    for process in children_of(tmp_path):
        process.kill()


def children_of(folder: Path) -> list[psutil.Process]:
    """Return the children that a runner has left for the test in `folder`."""
    wanted = [sys.executable, "-c", CHILD, str(folder)]
    return [process for process in psutil.process_iter(["cmdline"]) if process.info["cmdline"] == wanted]


@pytest.mark.parametrize("name", list(HANGS))
def test_time_ends_whatever_a_runner_does(
    make_network: MakeNetwork, tmp_path: Path, portrait: Path, clip: Path, name: str
) -> None:
    launch = launch_of(make_network, tmp_path, portrait, clip, body=HANGS[name])
    made = follow(VenvRuntime(), launch, tmp_path, Clock())
    assert made.failure is not None
    assert (made.failure.kind, made.failure.found) == (
        OutcomeKind.TIMEOUT,
        "not finished after 1000 s (in stage 'ready')",
    )
    assert made.exit is not None
    assert not VenvRuntime().running()


def test_a_child_that_a_runner_leaves_with_its_output_goes_with_it(
    make_network: MakeNetwork, tmp_path: Path, portrait: Path, clip: Path
) -> None:
    body = LEAVES_A_CHILD.format(folder=str(tmp_path))
    launch = launch_of(make_network, tmp_path, portrait, clip, body=body)
    made = follow(VenvRuntime(), launch, tmp_path, Clock(), late_at="never")
    assert made.failure is not None
    assert made.failure.found == "it ended with exit code 3 and without saying why"
    assert not children_of(tmp_path)


FILLS = {
    "bytes": ("Path('a').write_bytes(bytes(2**20))", "more than 0.000976562 GiB"),
    "files": ("[Path(f'f{n}').touch() for n in range(200)]", "more than 100 files and folders"),
    "depth": ("[(os.mkdir('d'), os.chdir('d')) for n in range(300)]", "more than 100 folders within folders"),
}


@pytest.mark.parametrize("name", list(FILLS))
def test_a_runner_that_fills_its_folder_is_ended(
    make_network: MakeNetwork,
    tmp_path: Path,
    portrait: Path,
    clip: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    body, found = FILLS[name]
    monkeypatch.setattr(attempts, "OUT_BYTES", 2**20 - 2**12)
    monkeypatch.setattr(attempts, "OUT_ENTRIES", 100 if name == "files" else 100_000)
    monkeypatch.setattr(attempts, "LOOK_S", 0.0)
    launch = launch_of(make_network, tmp_path, portrait, clip, body=f"{body}; time.sleep(86400)")
    made = follow(VenvRuntime(), launch, tmp_path, Clock(), late_at="never")
    assert made.failure is not None
    assert made.failure.kind is OutcomeKind.KILLED
    assert made.failure.found.startswith("it was ended: it has left more than ")
    assert name == "bytes" or made.failure.found == f"it was ended: it has left {found} in its folder"


@pytest.mark.parametrize(
    "stays",
    ["os._exit = lambda code: time.sleep(86400)", "os._exit = lambda code: (close_pipes(), time.sleep(86400))"],
)
def test_a_runner_that_hangs_after_its_work_is_ended_and_its_video_kept(
    make_network: MakeNetwork, tmp_path: Path, portrait: Path, clip: Path, stays: str
) -> None:
    launch = launch_of(make_network, tmp_path, portrait, clip, after=stays)

    def made_video() -> bool:
        return (launch.out / "hostile.mp4").is_file()

    class Ticking(Clock):
        def __call__(self) -> float:
            if made_video():
                self.now_s += attempts.LEAVING_S / 4
            return self.now_s

    with JobLog(tmp_path, 1) as log:
        made = attempt(VenvRuntime(), launch, log=log, tell=lambda _: None, timeout_s=1e9, clock=Ticking())
    assert made.failure is None
    assert made.transcript.done
    assert made.notes == ("the runner had not left 10 s after its work was done, and was ended",)
    assert made_video()


def test_what_a_runner_made_is_collected_while_it_leaves(
    make_network: MakeNetwork, tmp_path: Path, portrait: Path, clip: Path
) -> None:
    there = tmp_path / "collected"
    stay = f"leave = os._exit; os._exit = lambda code: (wait_for({str(there)!r}), leave(code))"
    launch = launch_of(make_network, tmp_path, portrait, clip, after=stay)

    seen = []

    def collect() -> Collected:
        running = [process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"])]
        seen.append(any(str(launch.job_file) in words for words in running))
        there.touch()
        raise BrokenVideo("it is as it should be, but this is not")

    with JobLog(tmp_path, 1) as log:
        made = attempt(
            VenvRuntime(), launch, log=log, tell=lambda _: None, timeout_s=1000.0, clock=Clock(), collect=collect
        )
    assert made.exit_code == 0
    assert made.failure is not None
    assert made.failure.kind is OutcomeKind.BROKEN_VIDEO
    assert seen == [True, False], "while it leaves, and what it has left once it has gone"


def test_an_interrupt_waits_for_what_is_being_collected_and_takes_nothing(
    make_network: MakeNetwork, tmp_path: Path, portrait: Path, clip: Path
) -> None:
    stay = f"leave = os._exit; os._exit = lambda code: (wait_for({str(tmp_path / 'never')!r}), leave(code))"
    launch = launch_of(make_network, tmp_path, portrait, clip, after=stay)
    interrupted, collected = threading.Event(), threading.Event()

    class Interrupted(Clock):
        def __call__(self) -> float:
            if interrupted.is_set() and not collected.is_set():
                collected.set()
                raise KeyboardInterrupt
            return self.now_s

    def collect() -> Collected:
        interrupted.set()
        assert collected.wait(LIMIT_S)
        (tmp_path / "collected").touch()
        raise BrokenVideo("nobody hears of this")

    with JobLog(tmp_path, 1) as log:
        made = attempt(
            VenvRuntime(), launch, log=log, tell=lambda _: None, timeout_s=1e9, clock=Interrupted(), collect=collect
        )
    assert made.interrupted
    assert (made.failure, made.video) == (None, None)
    assert (tmp_path / "collected").is_file(), "before anybody removes the folder that it works in"
    assert not VenvRuntime().running()


def test_a_video_of_a_runner_that_fails_in_the_end_is_not_kept(
    make_network: MakeNetwork, request_for: RequestFor
) -> None:
    late = "progress._events.emit(EventKind.ERROR, job.id, kind='crash', message='it was all wrong')"
    make_network("late", RUNNER.format(body="pass", after=f"leave = os._exit; os._exit = lambda _: ({late}, leave(1))"))
    folder = compare_here(request_for("late"))
    job = folder.run.job("late")
    assert (job.status, reason_of(job).kind, job.video) == (JobStatus.FAILED, OutcomeKind.CRASH, None)
    assert not list(folder.path.rglob("*.mp4"))
