"""The venv runtime: the network's own locked environment, built once by uv under the user's cache."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import IO

import psutil

from faceorch import proc
from faceorch.errors import VenvError
from faceorch.files import write_atomically
from faceorch.networks.discover import Network
from faceorch.owner import Owner
from faceorch.paths import docker_folder, home
from faceorch.record.kinds import OutcomeKind
from faceorch.record.reason import Reason
from faceorch.runtimes import Exit, Launch, Output, Places, Preparing, Process, Ready, Running, Stream, job_file
from faceorch.telemetry.processes import ProcLookUp, TreeProbe
from faceorch.telemetry.samples import Target
from faceorch.uv import cause, find_uv, remedy, uv_environment

_MARKER = "faceorch.json"
ENV_MARK = "FACEORCH_RUNNER"  # by which a runner's processes are found, whatever becomes of them
# What a shell may say to Python and to the libraries that do sums: another Python, other kernels, other rounding.
_NOT_PASSED_ON = ("PYTHON", "VIRTUAL_ENV", "OPENBLAS_", "MKL_", "OMP_", "NPY_", "ATEN_", "ONEDNN_", "DNNL_", "OPENCV_")
_TURN_MS = 500
_THREAD_S = 5.0
_STOP_STEPS = ((None, 2.0), (signal.SIGTERM, 3.0), (signal.SIGKILL, 10.0))


class VenvRuntime:
    """Starts runners as processes of this host. `given` maps networks to Python interpreters brought by the user."""

    name = "venv"
    elsewhere = ""

    def __init__(self, given: Mapping[str, Path] | None = None) -> None:
        self._given = dict(given or {})

    def ready(self, network: Network, base: str, *, gpu: bool = False) -> Ready | Reason:
        """Return whether `network` can run on this host, in an environment that may still have to be built."""
        if network.name in self._given:
            return _given(self._given[network.name])
        if "venv" not in network.manifest.needs.runtimes:
            return Reason(
                kind=OutcomeKind.NO_ENGINE,
                found=f"{network.manifest.title} runs only in a container",
                remedy="install Docker, then: faceorch build " + network.name,
            )
        identity, folder = _identity(network, base), environment_folder(network, base)
        python = _python_of(folder)
        return Ready(identity=identity, name=str(folder), base=base, python=python, prepared=python is not None)

    def prepare(self, network: Network, ready: Ready, preparing: Preparing) -> Ready:
        """Build the environment that `ready` describes; other processes that want it wait for this one."""
        if ready.prepared or ready.base is None:
            return ready
        import filelock

        folder = Path(ready.name)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(folder.with_suffix(".lock")):
            if _python_of(folder) is None:
                _build(network, ready, folder, preparing)
        again = self.ready(network, ready.base)
        assert isinstance(again, Ready)
        return again

    @contextlib.contextmanager
    def start(self, launch: Launch) -> Iterator[Process]:
        """Start the runner; on leaving, its whole process group is gone."""
        python = Path(launch.environment.name)
        if not launch.environment.given:
            python = python / "bin" / "python"
        places = Places(
            code=launch.network.code, weights=launch.weights, out=launch.out, inputs=launch.inputs, sandboxed=False
        )
        write_atomically(launch.job_file, job_file(launch, places))
        mark = uuid.uuid4().hex
        process = proc.start(
            [str(python), "-m", "faceorch_runner", str(launch.job_file)],
            env={**_runner_env(launch), ENV_MARK: mark},
            cwd=launch.out,
        )
        record = _note_process(process.pid, launch, mark)
        running = _Running(process, mark)
        try:
            yield running
        finally:
            running.stop()
            running.close()
            record.unlink(missing_ok=True)

    def running(self) -> list[Running]:
        """Return the runners of this user that live now, the oldest first."""
        found = []
        for path in (home() / "processes").glob("*.json"):
            note = _read_json(path)
            process = None if note is None else Owner.parse(note.get("process", ""))
            if note is None or process is None or process.judged() is not True:
                continue
            try:
                started_s = psutil.Process(process.pid).create_time()
            except psutil.NoSuchProcess:
                continue
            found.append(
                Running(
                    key=str(process.pid),
                    network=note.get("network", ""),
                    run=note.get("run", ""),
                    started=datetime.fromtimestamp(started_s, timezone.utc),
                    target=Target(session=process.pid),
                    probe=TreeProbe(process.pid),
                    look_up=ProcLookUp(),
                )
            )
        return sorted(found, key=lambda running: running.started)

    def sweep(self) -> list[str]:
        """End the processes that dead owners left behind (they normally leave by themselves)."""
        removed = []
        for path in sorted((home() / "processes").glob("*.json")):
            note = _read_json(path)
            owner = None if note is None else Owner.parse(note.get("owner", ""))
            process = None if note is None else Owner.parse(note.get("process", ""))
            if owner is not None and owner.alive():
                continue
            running = False if process is None else process.judged()
            if running is None:
                continue  # it may be somebody else's by now: the runner has its lifeline, and the note waits
            if process is not None and running and process.pid != os.getpid():
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)
                    removed.append(f"ended runner process {process.pid} of a faceorch that died")
            for pid in end_marked("" if note is None else note.get("mark", "")):
                removed.append(f"ended process {pid}, left by a runner of a faceorch that died")
            path.unlink(missing_ok=True)
        return removed


def _given(python: Path) -> Ready | Reason:
    if not (python.is_file() and os.access(python, os.X_OK)):
        return Reason(
            kind=OutcomeKind.NO_PYTHON,
            found=f"{python} is not a Python interpreter",
            remedy="give the path of the interpreter itself, such as env/bin/python",
        )
    found = proc.run([str(python), "-c", "import platform; print(platform.python_version())"])
    if found.code != 0 or not found.tail:
        last = found.tail[-1] if found.tail else "no output"
        return Reason(kind=OutcomeKind.NO_PYTHON, found=f"{python} does not start: {last}", remedy="fix it")
    # Not resolved: the interpreter of a virtual environment is a link, and resolving it leaves the environment.
    path = str(python.absolute())
    return Ready(identity=path, name=path, given=True, python=found.tail[-1], note="environment given by the user")


def _python_of(folder: Path) -> str | None:
    """Return the Python version of an environment; None when it is not there, half made or damaged.

    Its Python is a link into the system's: an upgrade of the system may have taken that away.
    """
    marker = _read_json(folder / _MARKER)
    return marker.get("python") if marker is not None and os.access(folder / "bin" / "python", os.X_OK) else None


def _identity(network: Network, base: str) -> str:
    """Return a hash over all that makes an environment."""
    digest = hashlib.sha256(network.manifest.needs.python.encode())
    digest.update(network.lock(base).read_bytes())
    return digest.hexdigest()


def environment_folder(network: Network, base: str) -> Path:
    """Return the folder of the environment of `network` on `base`; networks with equal locks share one."""
    return home() / "venvs" / _identity(network, base)[:16]


def _build(network: Network, ready: Ready, folder: Path, preparing: Preparing) -> None:
    """Build the environment. The marker comes last: a folder without it is half made and built again."""
    assert ready.base is not None
    uv, wanted = find_uv(), network.manifest.needs.python
    python = folder / "bin" / "python"
    env = uv_environment()
    shutil.rmtree(folder, ignore_errors=True)
    try:
        preparing.line(f"looking for Python {wanted}")
        made = proc.run(
            [uv, "venv", "--no-project", "--python", wanted, str(folder)], log=preparing.log, env=env, tied=True
        )
        if made.code != 0:
            raise VenvError(
                f"no Python {wanted} for {network.name}: none is installed and uv cannot fetch one ({cause(made)})",
                f"install a Python {wanted.replace(',', ' and ')} (apt, dnf, brew, pyenv), then run again",
            )
        done = proc.run(
            [
                *(uv, "pip", "sync", "--require-hashes", "--only-binary", ":all:", "--compile-bytecode"),
                *("--python", str(python), str(network.lock(ready.base))),
            ],
            log=preparing.log,
            env=env,
            on_line=lambda line: preparing.line(line.strip()),
            tied=True,
        )
        if done.code != 0:
            raise VenvError(
                f"cannot install the packages of {network.name}: {cause(done)}", remedy(done, f"see {preparing.log}")
            )
        version = proc.run([str(python), "-c", "import platform; print(platform.python_version())"]).tail[-1]
        marker = {"python": version, "identity": ready.identity}
        write_atomically(folder / _MARKER, json.dumps(marker).encode())
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _runner_env(launch: Launch) -> dict[str, str]:
    """Return this host's environment without what would change the frames; a container does not see that either."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_PASSED_ON)}
    return {
        **kept,
        "PYTHONPATH": os.pathsep.join(str(docker_folder() / name) for name in ("runner", "kit")),
        "PYTHONNOUSERSITE": "1",
        "PYTHONHASHSEED": "0",
        "PYTHONUNBUFFERED": "1",
        "CUDA_VISIBLE_DEVICES": ",".join(launch.gpus),
        "TMPDIR": str(launch.out),
    }


def end_marked(mark: str) -> list[int]:
    """Kill the processes that a runner has left, in whatever session they are; return their ids.

    They have its mark in the environment that they inherited. The runner's own watcher ends them too, but where the
    watcher itself was killed.
    """
    if not mark or not sys.platform.startswith("linux"):
        return []
    ended, sign = [], f"{ENV_MARK}={mark}".encode()
    for path in Path("/proc").iterdir():
        if not path.name.isdecimal() or path.name == str(os.getpid()):
            continue
        with contextlib.suppress(OSError):  # it has ended, or is another user's
            if sign in (path / "environ").read_bytes().split(b"\0"):
                os.kill(int(path.name), signal.SIGKILL)
                ended.append(int(path.name))
    return ended


def _note_process(pid: int, launch: Launch, mark: str) -> Path:
    """Write down who started process `pid`, so that a later faceorch can end it when the owner died."""
    folder = home() / "processes"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{uuid.uuid4().hex}.json"
    with contextlib.suppress(ProcessLookupError):  # it has already ended: nothing to remember
        note = {"owner": str(launch.owner), "process": str(Owner.of(pid))}
        note |= {"run": launch.run, "network": launch.network.name, "mark": mark}
        write_atomically(path, json.dumps(note).encode())
    return path


def _read_json(path: Path) -> dict[str, str] | None:
    try:
        raw = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    texts = isinstance(raw, dict) and all(isinstance(value, str) for value in raw.values())
    return raw if texts else None


class _Running:
    def __init__(self, process: subprocess.Popen[bytes], mark: str) -> None:
        self.output = Output()
        self._process, self._mark = process, mark
        self._closed = threading.Event()
        self.target = Target(session=process.pid)  # it was started in a session of its own
        self.probe, self.look_up = TreeProbe(process.pid), ProcLookUp()
        self._open = 2
        self._lock = threading.Lock()
        assert process.stdout is not None
        assert process.stderr is not None
        self._threads = [
            threading.Thread(target=self._read, args=(Stream.STDOUT, process.stdout), daemon=True),
            threading.Thread(target=self._read, args=(Stream.STDERR, process.stderr), daemon=True),
            threading.Thread(target=self._reap, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def _reap(self) -> None:
        """End the children that outlive the runner: they would hold its output open for ever."""
        code = self._process.wait()
        self._signal(signal.SIGKILL)
        if code < 0:  # a runner that leaves by itself has seen to it
            end_marked(self._mark)

    def _read(self, stream: Stream, pipe: IO[bytes]) -> None:
        """Read to the end, or until the pipe is let go: a child in a session of its own may hold it open."""
        poll = select.poll()
        poll.register(pipe, select.POLLIN)
        while not self._closed.is_set():
            if poll.poll(_TURN_MS):
                piece = os.read(pipe.fileno(), 65536)
                if not piece:
                    break
                self.output.put((stream, piece))
        with self._lock:
            self._open -= 1
            if self._open == 0:
                self.output.put(None)

    def send(self, line: bytes) -> None:
        """Write one line to the runner's stdin; a runner that is gone is not an error here, `wait` tells."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(line)

    def stop(self) -> None:
        """End the whole process group, politely first; returns when it is gone."""
        assert self._process.stdin is not None
        self.output.leave()
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        for step, patience_s in _STOP_STEPS:
            if step is not None:
                self._signal(step)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(patience_s)
                break
        for thread in self._threads:
            thread.join(2.0)

    def close(self) -> None:
        """Let go of the pipes, after `stop`."""
        self._closed.set()
        for thread in self._threads:
            thread.join(_THREAD_S)
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    def wait(self, limit_s: float) -> Exit | None:
        """Return how the runner ended, None when it is still there after `limit_s`."""
        try:
            code = self._process.wait(limit_s)
        except subprocess.TimeoutExpired:
            return None
        return Exit(code=code, signal=-code) if code < 0 else Exit(code=code)
