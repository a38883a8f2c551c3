"""The venv runtime: the network's own locked environment, built once by uv under the user's cache."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import queue
import shutil
import signal
import subprocess
import threading
import uuid
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import IO, Any

import psutil

from faceorch import proc
from faceorch.errors import VenvError
from faceorch.files import write_atomically
from faceorch.networks import Network, docker_folder
from faceorch.owner import Owner
from faceorch.paths import home
from faceorch.record import OutcomeKind
from faceorch.runtimes import Exit, Launch, NotReady, Preparing, Process, Ready, Running, Stream
from faceorch.telemetry.processes import ProcLookUp, TreeProbe
from faceorch.telemetry.samples import Target

_MARKER = "faceorch.json"
# What a shell may say to Python and to the libraries that do sums: another Python, other kernels, other rounding.
_NOT_PASSED_ON = ("PYTHON", "VIRTUAL_ENV", "OPENBLAS_", "MKL_", "OMP_", "NPY_", "ATEN_", "ONEDNN_", "DNNL_", "OPENCV_")
_STOP_STEPS = ((None, 2.0), (signal.SIGTERM, 3.0), (signal.SIGKILL, 10.0))


class VenvRuntime:
    """Starts runners as processes of this host. `given` maps networks to Python interpreters brought by the user."""

    name = "venv"
    elsewhere = ""

    def __init__(self, given: Mapping[str, Path] | None = None) -> None:
        self._given = dict(given or {})

    def ready(self, network: Network, base: str, *, gpu: bool = False) -> Ready | NotReady:
        """Say whether `network` can run on this host, in an environment that may still have to be built."""
        if network.name in self._given:
            return _given(self._given[network.name])
        if "venv" not in network.manifest.needs.runtimes:
            return NotReady(
                kind=OutcomeKind.NO_ENGINE,
                reason=f"{network.manifest.title} runs only in a container",
                remedy="install Docker, then: faceorch build " + network.name,
            )
        identity, folder = _identity(network, base), environment_folder(network, base)
        marker = _read_json(folder / _MARKER)
        return Ready(
            identity=identity,
            name=str(folder),
            base=base,
            python=None if marker is None else marker["python"],
            prepared=marker is not None,
        )

    def prepare(self, network: Network, ready: Ready, preparing: Preparing) -> Ready:
        """Build the environment that `ready` describes; other processes that want it wait for this one."""
        if ready.prepared or ready.base is None:
            return ready
        import filelock

        folder = Path(ready.name)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(folder.with_suffix(".lock")):
            if not (folder / _MARKER).is_file():
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
        write_atomically(launch.job_file, json.dumps(_job_file(launch), indent=1).encode())
        process = proc.start(
            [str(python), "-m", "faceorch_runner", str(launch.job_file)], env=_runner_env(launch), cwd=launch.out
        )
        record = _note_process(process.pid, launch)
        running = _Running(process)
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
            process = Owner.parse(note["process"]) if note else None
            if note is None or process is None or not process.alive():
                continue
            found.append(
                Running(
                    key=str(process.pid),
                    network=note["network"],
                    run=note["run"],
                    started=datetime.fromtimestamp(process.started_s, timezone.utc),
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
            owner = Owner.parse(note["owner"]) if note else None
            process = Owner.parse(note["process"]) if note else None
            if owner is not None and owner.alive():
                continue
            if process is not None and process.alive() and process.pid != os.getpid():
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)
                    removed.append(f"ended runner process {process.pid} of a faceorch that died")
            path.unlink(missing_ok=True)
        return removed


def _given(python: Path) -> Ready | NotReady:
    if not (python.is_file() and os.access(python, os.X_OK)):
        return NotReady(
            kind=OutcomeKind.NO_PYTHON,
            reason=f"{python} is not a Python interpreter",
            remedy="give the path of the interpreter itself, such as env/bin/python",
        )
    found = proc.run([str(python), "-c", "import platform; print(platform.python_version())"])
    if found.code != 0 or not found.tail:
        last = found.tail[-1] if found.tail else "no output"
        return NotReady(kind=OutcomeKind.NO_PYTHON, reason=f"{python} does not start: {last}", remedy="mend it")
    # Not resolved: the interpreter of a virtual environment is a link, and resolving it leaves the environment.
    path = str(python.absolute())
    return Ready(identity=path, name=path, given=True, python=found.tail[-1], note="environment given by the user")


def _identity(network: Network, base: str) -> str:
    """Return a hash over all that makes an environment."""
    digest = hashlib.sha256(network.manifest.needs.python.encode())
    digest.update(network.lock(base).read_bytes())
    return digest.hexdigest()


def environment_folder(network: Network, base: str) -> Path:
    """Return the folder of the environment of `network` on `base`."""
    return home() / "venvs" / f"{network.name}-{_identity(network, base)[:12]}"


def _build(network: Network, ready: Ready, folder: Path, preparing: Preparing) -> None:
    """Build the environment. The marker comes last: a folder without it is half made and built again."""
    assert ready.base is not None
    uv, wanted = _find_uv(), network.manifest.needs.python
    python = folder / "bin" / "python"
    env = {k: v for k, v in os.environ.items() if k not in {"VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME"}}
    shutil.rmtree(folder, ignore_errors=True)
    try:
        preparing.line(f"looking for Python {wanted}")
        made = proc.run([uv, "venv", "--no-project", "--python", wanted, str(folder)], log=preparing.log, env=env)
        if made.code != 0:
            raise VenvError(
                f"no Python {wanted} for {network.name}: none is installed and uv cannot fetch one ({_last(made)})",
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
        )
        if done.code != 0:
            raise VenvError(
                f"cannot install the packages of {network.name}: {_last(done)}", _install_remedy(done, preparing.log)
            )
        version = proc.run([str(python), "-c", "import platform; print(platform.python_version())"]).tail[-1]
        marker = {"python": version, "identity": ready.identity}
        write_atomically(folder / _MARKER, json.dumps(marker).encode())
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _find_uv() -> str:
    import uv

    try:
        return str(uv.find_uv_bin())
    except FileNotFoundError:
        found = shutil.which("uv")
    if found is None:
        raise VenvError("uv is not installed", "pip install uv")
    return found


def _last(done: proc.Completed) -> str:
    """Return the line that says most: uv explains in a tree whose last lines are hints."""
    lines = [line.strip(" \u00d7\u2570\u2500\u25b6\u2502\u251c") for line in done.tail if line.strip()]
    causes = [line for line in lines if not line.startswith("hint")]
    return (causes or lines or ["no output"])[-1][:300]


def _install_remedy(done: proc.Completed, log: Path) -> str:
    text = "\n".join(done.tail)
    if "No space left" in text:
        return f"free some space in {home()}, or point FACEORCH_HOME at a larger disk"
    if any(word in text for word in ("dns error", "Failed to fetch", "error sending request", "Could not connect")):
        return "check the network, the proxy (HTTPS_PROXY) and the package index (UV_DEFAULT_INDEX), then run again"
    return f"see {log}"


def _job_file(launch: Launch) -> dict[str, Any]:
    """Return the job file with this host's own paths."""
    return {
        "schema": 1,
        "network": launch.network.name,
        "code": str(launch.network.code),
        "weights": None if launch.weights is None else str(launch.weights),
        "out": str(launch.out),
        "device": "cuda" if launch.gpus else "cpu",
        "feed": "stdin",
        **(
            {"jobs": [{**launch.job, "portrait": str(launch.portrait), "audio": str(launch.audio)}]}
            if launch.task is None
            else {"sandboxed": False, **launch.task}
        ),
    }


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


def _note_process(pid: int, launch: Launch) -> Path:
    """Write down who started process `pid`, so that a later faceorch can end it when the owner died."""
    folder = home() / "processes"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{uuid.uuid4().hex}.json"
    with contextlib.suppress(psutil.NoSuchProcess):  # it has already ended: nothing to remember
        note = {"owner": str(launch.owner), "process": str(Owner.of(pid))}
        note |= {"run": launch.run, "network": launch.network.name}
        write_atomically(path, json.dumps(note).encode())
    return path


def _read_json(path: Path) -> dict[str, str] | None:
    try:
        raw = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return raw if isinstance(raw, dict) else None


class _Running:
    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.output: queue.SimpleQueue[tuple[Stream, bytes] | None] = queue.SimpleQueue()
        self._process = process
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
        self._process.wait()
        self._signal(signal.SIGKILL)

    def _read(self, stream: Stream, pipe: IO[bytes]) -> None:
        while piece := os.read(pipe.fileno(), 65536):
            self.output.put((stream, piece))
        with self._lock:
            self._open -= 1
            if self._open == 0:
                self.output.put(None)

    def send(self, line: bytes) -> None:
        """Write one line to the runner's stdin; a runner that is gone is no error here, `wait` tells."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(line)

    def stop(self) -> None:
        """End the whole process group, politely first; returns when it is gone."""
        assert self._process.stdin is not None
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
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    def wait(self) -> Exit:
        """Return how the runner ended."""
        code = self._process.wait()
        return Exit(code=code, signal=-code) if code < 0 else Exit(code=code)
