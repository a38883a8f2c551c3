"""kill -9 at random moments, each followed by the command that finishes the run: nothing is lost, nothing is left."""

from __future__ import annotations

import json
import os
import random
import shlex
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil

from faceorch import report
from faceorch.report import grid
from tests.conftest import LIMIT_S
from tests.resuming import reported_command, shell

ROUNDS, FEW = "FACEORCH_TEST_KILLS", 8
VICTIMS = ("faceorch", "group", "runner")
WHOLE_S = 1.5  # about what a run of the tests takes, from the folder's first moment on
_MARK = "FACEORCH_TEST_CAMPAIGN"


def rounds() -> int:
    """Return how many kills there are: a few, or as many as the environment says."""
    return int(os.environ.get(ROUNDS) or FEW)


def campaign(
    words: Sequence[str], out: Path, home: Path, count: int, check: Callable[[], object] = lambda: None
) -> Counter[str]:
    """Kill `count` runs of `faceorch WORDS`, whose results go below `out`; return what happened, counted.

    After each kill the run is finished by the command that its report shows. `check` is asked when all should be gone.
    """
    mark, chance, seen = uuid.uuid4().hex, random.Random(count), Counter[str]()
    env = {**os.environ, _MARK: mark}
    wanted = videos(finish(words, env, out))
    known = set(out.iterdir())
    for number in range(count):
        victim = VICTIMS[number % len(VICTIMS)]
        process = subprocess.Popen(
            [sys.executable, "-m", "faceorch", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=env,
            start_new_session=True,
        )
        if number % 4:  # the others are killed before, or while, the folder is made
            until(lambda: process.poll() is not None or bool(shown(out) - known))  # noqa: B023 - used at once
        time.sleep(chance.uniform(0, WHOLE_S))
        kill(process, victim, chance)
        process.wait(LIMIT_S)
        fresh = shown(out) - known
        assert len(fresh) <= 1
        known |= fresh
        if not fresh:
            seen["nothing had begun"] += 1
            continue
        (folder,) = fresh
        record = json.loads((folder / "run.json").read_text("utf-8"))
        done = {job["network"]: job["video"]["sha256"] for job in record["jobs"] if job["status"] == "done"}
        seen[f"{victim}: {len(done)} of {len(record['jobs'])} done"] += 1
        if len(done) < len(record["jobs"]):
            assert shell(f"faceorch report {shlex.quote(str(folder))}", out).returncode == 0
            command = reported_command(folder / "report.md") if record["status"] != "done" else None
            resumed = shell(command or f"faceorch run --resume {shlex.quote(str(folder))}", out)
        else:
            resumed = shell(f"faceorch run --resume {shlex.quote(str(folder))}", out)
        assert resumed.returncode == 0, resumed.stdout + resumed.stderr
        assert videos(folder) == wanted, "a result is lost, or another one"
        again = json.loads((folder / "run.json").read_text("utf-8"))
        assert again["status"] == "done"
        for job in again["jobs"]:
            assert job["network"] not in done or job["resumed"] == 0, "what was done is not done again"
        left = leftovers(folder, wanted)
        assert left == [], left
        assert alive(mark) == []
        check()
    finish(words, env, out)
    assert [path.name for path in out.iterdir() if path.name.startswith(".")] == []
    assert list((home / "processes").iterdir() if (home / "processes").exists() else []) == []
    return seen


def finish(words: Sequence[str], env: dict[str, str], out: Path) -> Path:
    """Run to the end; return the newest folder below `out`."""
    before = set(out.iterdir()) if out.exists() else set()
    done = subprocess.run(
        [sys.executable, "-m", "faceorch", *words],
        env=env,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (folder,) = shown(out) - before
    return folder


def shown(out: Path) -> set[Path]:
    """Return the run folders below `out`: those that are half made have hidden names."""
    return {path for path in out.iterdir() if not path.name.startswith(".")}


def until(condition: Callable[[], bool]) -> None:
    """Wait for something that nobody announces."""
    limit_s = time.monotonic() + LIMIT_S
    while not condition() and time.monotonic() < limit_s:
        time.sleep(0.002)


def kill(process: subprocess.Popen[Any], victim: str, chance: random.Random) -> None:
    if victim == "group":
        os.killpg(process.pid, signal.SIGKILL)
    elif victim == "faceorch":
        process.kill()
    else:
        try:
            faceorch = psutil.Process(process.pid)
            until(lambda: process.poll() is not None or bool(faceorch.children()))
            found = faceorch.children(recursive=True)
            if found:
                chance.choice(found).kill()
        except psutil.NoSuchProcess:
            pass  # it has ended


def videos(folder: Path) -> dict[str, bytes]:
    """Return the networks' videos by name; the grid has costs burnt in, which differ from run to run."""
    return {path.name: path.read_bytes() for path in folder.glob("*.mp4") if path.name != grid.NAME}


def leftovers(folder: Path, wanted: dict[str, bytes]) -> list[str]:
    """Return what is in a finished run folder that no finished run leaves."""
    networks = {name.removesuffix(".mp4") for name in wanted}
    stills = {f"{name}.jpg" for name in networks}
    top = {"run.json", "inputs", *report.FILES, grid.NAME, *networks, *wanted, *stills}
    left = [path.name for path in folder.iterdir() if path.name not in top]
    kept = {"log.txt", "events.jsonl", "job.json", "telemetry.parquet", "timeline.json", "prepare.log"}
    return left + [
        f"{name}/{path.name}" for name in networks for path in (folder / name).iterdir() if path.name not in kept
    ]


def alive(mark: str) -> list[list[str]]:
    """Return the processes of the campaign that still live: what they have inherited says so."""
    found: list[list[str]] = []
    until_s = time.monotonic() + LIMIT_S
    while time.monotonic() < until_s:
        found = []
        for process in psutil.process_iter():
            try:
                if process.status() != psutil.STATUS_ZOMBIE and process.environ().get(_MARK) == mark:
                    found.append(process.cmdline())
            except psutil.Error:
                continue
        if not found:
            break
        time.sleep(0.05)
    return found
