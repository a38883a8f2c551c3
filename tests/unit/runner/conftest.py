"""Runners in processes of their own: of a network, and of a judge."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from faceorch.paths import docker_folder
from faceorch_runner import Event, EventParser
from tests.conftest import FOR_EVER_S, GREY_RUNNER, LIMIT_S, STUB_JUDGE, write_code

Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def start(tmp_path: Path, portrait: Path, clip: Path) -> Start:
    """Return a function that starts a runner on a job file, with pipes."""

    def start(
        source: str = GREY_RUNNER, feed: str = "none", jobs: int = 1, device: str = "cpu", **job: Any
    ) -> subprocess.Popen[bytes]:
        code = tmp_path / "code"
        write_code(code, runner=source)
        out = tmp_path / "out"
        out.mkdir(exist_ok=True)
        entry = {"portrait": str(portrait), "audio": str(clip), "seed": 3, "settings": {}, **job}
        content = {
            "schema": 1,
            "network": "test",
            "code": str(code),
            "weights": None,
            "out": str(out),
            "device": device,
            "feed": feed,
            "jobs": [{**entry, "id": f"job{n}"} for n in range(jobs)],
        }
        file = tmp_path / "job.json"
        file.write_text(json.dumps(content), "utf-8")
        env = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(docker_folder() / "runner"), str(tmp_path / "packages")]),
        }
        pipe = subprocess.PIPE
        return subprocess.Popen(
            [sys.executable, "-m", "faceorch_runner", str(file)], stdin=pipe, stdout=pipe, stderr=pipe, env=env
        )

    return start


def finish(process: subprocess.Popen[bytes]) -> tuple[int, list[Event], str]:
    stdout, stderr = process.communicate(timeout=LIMIT_S)
    parser = EventParser()
    items = [*parser.feed(stdout), *parser.close()]
    assert all(isinstance(item, Event) for item in items), "stdout carries events alone"
    return process.returncode, [item for item in items if isinstance(item, Event)], stderr.decode()


def close(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout, process.stderr):
        assert pipe is not None
        pipe.close()


HANG = f"import time; time.sleep({FOR_EVER_S})"


def failing(line: str, before: str = "") -> str:
    return f"""
        from faceorch_runner import Network, NoFace, BadInput, MissingWeight
        class Bad(Network):
            {before or "pass"}
            def animate(self, job, progress):
                {line}
    """


Run = Callable[..., tuple[int, list[Event], str]]


@pytest.fixture
def run(tmp_path: Path, portrait: Path, clip: Path) -> Run:
    """Return a function that lets a judge's runner judge videos; it returns the exit code, events and the log."""

    def run(source: str = STUB_JUDGE, ids: tuple[str, ...] = ("one",), **fields: Any) -> tuple[int, list[Event], str]:
        write_code(tmp_path / "code", judge=source)
        out = tmp_path / "out"
        out.mkdir(exist_ok=True)
        for name in ids:
            (tmp_path / f"{name}.mp4").write_bytes(b"not looked at")
        content = {
            "schema": 1,
            "network": "standin",
            "code": str(tmp_path / "code"),
            "weights": None,
            "out": str(out),
            "device": "cpu",
            "feed": "none",
            "sandboxed": False,
            "op": "judge",
            "portrait": str(portrait),
            "audio": str(clip),
            "videos": [{"id": name, "video": str(tmp_path / f"{name}.mp4")} for name in ids],
            **fields,
        }
        file = tmp_path / "job.json"
        file.write_text(json.dumps(content), "utf-8")
        env = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(docker_folder() / "runner"), str(tmp_path / "packages")]),
        }
        command = [sys.executable, "-m", "faceorch_runner", str(file)]
        done = subprocess.run(command, capture_output=True, env=env, timeout=LIMIT_S, check=False)
        parser = EventParser()
        items = [*parser.feed(done.stdout), *parser.close()]
        return done.returncode, [item for item in items if isinstance(item, Event)], done.stderr.decode()

    return run
