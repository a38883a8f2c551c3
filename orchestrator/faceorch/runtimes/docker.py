"""The docker runtime: each runner in a container of its own, in the sandbox of docs/guide/images.md."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import stat
import threading
import time
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from faceorch.engine.client import Missing, asked, connect, endpoint, remove_container
from faceorch.engine.facts import EngineFacts, read_facts
from faceorch.engine.gpu_access import Access, decide
from faceorch.engine.sandbox import ENV_USER, container_user, gpu_requests, sandbox
from faceorch.errors import EngineError
from faceorch.files import write_atomically
from faceorch.images.built import Image, ours
from faceorch.images.recipe import LABEL, make_recipe
from faceorch.needs import architecture_problem, engine_problem
from faceorch.networks.discover import Network
from faceorch.owner import Owner
from faceorch.record.kinds import OutcomeKind
from faceorch.record.reason import Reason
from faceorch.record.run import Engine
from faceorch.runtimes import Exit, Launch, Output, Places, Preparing, Process, Ready, Running, Stream, job_file
from faceorch.telemetry.container import CgroupProbe, ContainerProbe
from faceorch.telemetry.processes import EngineLookUp, LookUp, ProcLookUp
from faceorch.telemetry.samples import Target

if TYPE_CHECKING:
    from docker import APIClient

_CODE = Path("/opt/faceorch/network")
_PORTRAIT, _CLIP = Path("/job/portrait.png"), Path("/job/clip.wav")
_VIDEOS = Path("/job/videos")
_ENDED = ("exited", "dead", "removing")
_PAUSES_S = (0.01, 0.5)
_READER_S = 5.0
_STOP_STEPS = ((None, 2.0), ("SIGTERM", 3.0), ("SIGKILL", 10.0))


class DockerRuntime:
    """Starts runners as containers. `given` maps networks to images brought by the user."""

    name = "docker"

    def __init__(self, given: Mapping[str, str] | None = None) -> None:
        self._given = dict(given or {})
        self._asking: threading.Thread | None = None
        self._asked: APIClient | Reason | None = None

    def ask(self) -> None:
        """Ask the engine from now on, in a thread: whoever needs an answer waits for it."""
        import docker  # noqa: F401 - here: in the thread it would take turns with what is imported meanwhile

        self._asking = threading.Thread(target=self._ask, name="docker-engine", daemon=True)
        self._asking.start()

    def _ask(self) -> APIClient | Reason:
        try:
            api = connect()
            self._facts, self._images = read_facts(api, endpoint()), ours(api)
            self._asked = api
        except EngineError as error:
            self._asked = Reason(kind=OutcomeKind.NO_ENGINE, found=error.message, remedy=error.remedy)
        return self._asked

    @cached_property
    def _engine(self) -> APIClient | Reason:
        """The client of an engine that says what it is and what it has."""
        if self._asking is not None:
            self._asking.join()
        return self._asked or self._ask()

    @cached_property
    def _api(self) -> APIClient:
        engine = self._engine
        if isinstance(engine, Reason):
            raise EngineError(engine.text, engine.remedy)
        return engine

    @cached_property
    def _images(self) -> list[Image]:
        return ours(self._api)

    @cached_property
    def _facts(self) -> EngineFacts:
        return read_facts(self._api, endpoint())

    @cached_property
    def _access(self) -> Access:
        return decide(self._facts)

    @property
    def elsewhere(self) -> str:
        """Why this machine's GPUs say nothing about the runners; empty when they run on this machine."""
        where = self._facts.elsewhere
        return f"the engine runs {where}: its GPUs are not seen from here" if where else ""

    @property
    def facts(self) -> Engine | None:
        """What the record says about the engine; None when there is none."""
        if isinstance(self._engine, Reason):
            return None
        return Engine(name=self._facts.name, version=self._facts.version, api=self._facts.api)

    def ready(self, network: Network, base: str, *, gpu: bool = False) -> Ready | Reason:
        """Return whether the engine is there, can give GPUs where wanted, and has a current image on `base`."""
        if isinstance(self._engine, Reason):
            return self._engine
        problem = engine_problem(self._facts)
        if gpu:
            problem = problem or architecture_problem(self._facts.architecture)
        if problem is not None:
            return problem
        if gpu and self._access.route is None:
            return Reason(kind=OutcomeKind.NO_GPU_ACCESS, found=self._access.reason, remedy=self._access.remedy)
        if network.name in self._given:
            return self._ready_given(network.name)
        own = [image for image in self._images if image.network == network.name and image.base == base]
        for image in own:
            if make_recipe(network, image.base, image.base_image).inputs == image.inputs and image.own_tag:
                return Ready(
                    identity=image.id,
                    name=image.own_tag,
                    base=image.base,
                    builder=image.builder or None,
                    note=f"its image was pulled from {image.registry}" if image.registry else "",
                )
        reason = "its image is older than what it is made of" if own else "its image is not built"
        if strange := [image.tag for image in own if image.tags and not image.own_tag]:
            reason = f"an image with its labels is called {strange[0]}, which is not its name"
        remedy = f"faceorch build {network.name}"
        if len(network.manifest.needs.bases) > 1:
            reason, remedy = f"{reason} (base {base})", f"{remedy} --base {base}"
        return Reason(kind=OutcomeKind.NOT_BUILT, found=reason, remedy=remedy)

    def _ready_given(self, name: str) -> Ready | Reason:
        import docker.errors

        reference = self._given[name]
        try:
            with asked():
                identity = str(self._api.inspect_image(reference)["Id"])  # type: ignore[no-untyped-call]
        except EngineError as error:
            if isinstance(error.__cause__, docker.errors.APIError):  # also for what is no reference at all
                return Reason(
                    kind=OutcomeKind.NOT_BUILT,
                    found=f"the engine has no image {reference}",
                    remedy=f"docker pull {reference}, or fix --use-image",
                )
            return Reason(kind=OutcomeKind.NO_ENGINE, found=error.message, remedy=error.remedy)
        return Ready(identity=identity, name=reference, given=True, note="image given by the user")

    def prepare(self, network: Network, ready: Ready, preparing: Preparing) -> Ready:
        """Return `ready`: images are built by `faceorch build` alone, never in the middle of a run."""
        return ready

    @contextlib.contextmanager
    def start(self, launch: Launch) -> Iterator[Process]:
        """Start the container; on leaving, it is removed."""
        write_atomically(launch.job_file, job_file(launch, _places(launch)))
        launch.job_file.chmod(0o644)
        user = container_user(self._facts)
        if not self._facts.rootless:
            _hand_over(launch, *user)
        name = f"faceorch-{launch.network.name}-{os.urandom(6).hex()}"
        running: _Running | None = None
        try:
            with asked():
                container = self._create(name, launch, user)
                running = _Running(self._api, name, container)
                self._api.start(name)
            yield running
        finally:
            if running is not None:
                running.close()
            remove_container(self._api, name)

    def _create(self, name: str, launch: Launch, user: tuple[int, int]) -> str:
        """Create the container and return its id."""
        from docker.types import Mount

        memory_bytes = int(launch.network.manifest.needs.ram_gb * 2**30)
        mounts = [
            Mount("/job/job.json", str(launch.job_file), type="bind", read_only=True),
            Mount("/out", str(launch.out), type="bind"),
        ]
        for target, source in zip(_places(launch).inputs, launch.inputs, strict=True):
            mounts.append(Mount(str(target), str(source), type="bind", read_only=True))
        if launch.weights is not None:
            read_only = not launch.weights_writable
            mounts.append(Mount("/weights", str(launch.weights), type="bind", read_only=read_only))
        made = self._api.create_container(
            launch.environment.identity,
            name=name,
            command=["/job/job.json"],
            user=f"{user[0]}:{user[1]}",
            stdin_open=True,
            use_config_proxy=False,  # those of the Docker CLI's config may hold a password
            labels={
                f"{LABEL}.run": launch.run,
                f"{LABEL}.owner": str(launch.owner),
                f"{LABEL}.network": launch.network.name,
            },
            host_config=sandbox(
                self._api,
                self._facts,
                mounts=mounts,
                memory_bytes=memory_bytes,
                gpus=gpu_requests(self._access, launch.gpus),
            ),
        )
        return str(made["Id"])

    def running(self) -> list[Running]:
        """Return the containers of ours that run now, the oldest first."""
        if isinstance(self._engine, Reason):
            return []
        with asked():
            return self._running()

    def _running(self) -> list[Running]:
        found = []
        for entry in self._api.containers(filters={"label": f"{LABEL}.run"}):
            labels = entry.get("Labels") or {}
            here = _Here(self._api, str(entry["Id"]))
            found.append(
                Running(
                    key=here.container,
                    network=labels.get(f"{LABEL}.network", ""),
                    run=labels[f"{LABEL}.run"],
                    started=datetime.fromtimestamp(int(entry["Created"]), timezone.utc),
                    target=Target(container=here.container),
                    probe=here.probe,
                    look_up=here.look_up,
                )
            )
        return sorted(found, key=lambda running: running.started)

    def sweep(self) -> list[str]:
        """Remove the containers of dead owners, and only those that carry our labels."""
        if isinstance(self._engine, Reason):
            return []
        with asked():
            return self._sweep()

    def _sweep(self) -> list[str]:
        removed = []
        for entry in self._api.containers(all=True, filters={"label": f"{LABEL}.owner"}):
            owner = Owner.parse((entry.get("Labels") or {}).get(f"{LABEL}.owner", ""))
            if owner is None or owner.alive():
                continue
            remove_container(self._api, entry["Id"])
            removed.append(f"removed container {entry['Names'][0].lstrip('/')} of a faceorch that died")
        return removed


def _hand_over(launch: Launch, uid: int, gid: int) -> None:
    """Let a container of another user than this one read what it is given, and write where it may.

    Only root starts such containers. What root has made may be readable to root alone.
    """
    if uid == os.geteuid() != 0:
        return
    try:
        for path in (launch.out, *([launch.weights] if launch.weights is not None and launch.weights_writable else [])):
            os.chown(path, uid, gid, follow_symlinks=False)
        for path in launch.inputs:
            _let_read(path)
        if launch.weights is not None and not launch.weights_writable:
            for folder, _, names in os.walk(launch.weights):
                _let_read(Path(folder))
                for name in names:
                    _let_read(Path(folder, name))
    except PermissionError as error:
        message = f"{error.filename} cannot be given to user {uid}: only root may do that"
        raise EngineError(message, f"unset {ENV_USER}") from error


def _let_read(path: Path) -> None:
    """Let everybody read a file, or look into a folder, of ours."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return  # the engine says so
    needed = 0o555 if stat.S_ISDIR(mode) else 0o444
    if not stat.S_ISLNK(mode) and mode & needed != needed:
        path.chmod(stat.S_IMODE(mode) | needed)


def _places(launch: Launch) -> Places:
    """Return where a container finds things."""
    weights = None if launch.weights is None else Path("/weights")
    videos = (_VIDEOS / path.name for path in launch.inputs[2:])
    inputs = (_PORTRAIT, _CLIP, *videos) if launch.inputs else ()
    return Places(code=_CODE, weights=weights, out=Path("/out"), inputs=inputs, sandboxed=True)


class _Here:
    """A started container as this process sees it: through /proc when its processes are there, else by the engine."""

    def __init__(self, api: APIClient, container: str) -> None:
        self._api, self.container = api, container
        try:
            with asked():
                pid = int(api.inspect_container(container)["State"]["Pid"])
        except Missing:
            pid = 0  # it has just ended
        facts = ProcLookUp()(pid) if pid else None
        self._pid = pid if facts is not None and facts.container == container else 0

    @property
    def probe(self) -> CgroupProbe | ContainerProbe:
        own = CgroupProbe(self._pid) if self._pid else None
        return own if own is not None and own.readable else ContainerProbe(self._api, self.container)

    @property
    def look_up(self) -> LookUp:
        return ProcLookUp() if self._pid else EngineLookUp(self._api, self.container)


class _Running:
    """A container whose stdin we hold: when we die, the engine closes it and the runner leaves by itself."""

    def __init__(self, api: APIClient, name: str, container: str) -> None:
        self.output = Output()
        self._api, self._name = api, name
        self.target = Target(container=container)
        # Attached before the start, so that neither the first word nor the lifeline is missed.
        self._stream = api.attach_socket(name, params={"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
        self._socket: socket.socket = self._stream._sock
        self._socket.settimeout(None)
        self._reader = threading.Thread(target=self._read, name="docker-output", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        """Demultiplex the engine's stream: it carries stdout (1) and stderr (2)."""
        from docker.utils.socket import STDERR, SocketError, frames_iter

        try:
            for kind, payload in frames_iter(self._socket, tty=False):  # type: ignore[no-untyped-call]
                self.output.put((Stream.STDERR if kind == STDERR else Stream.STDOUT, payload))
        except (OSError, SocketError, ValueError):
            pass  # the socket was closed under us: `close` or a dead engine; `wait` tells which
        finally:
            self.output.put(None)

    @cached_property
    def _here(self) -> _Here:
        return _Here(self._api, self.target.container)

    @property
    def probe(self) -> CgroupProbe | ContainerProbe:
        """A reader of what the container uses."""
        return self._here.probe

    @property
    def look_up(self) -> LookUp:
        """What tells whose a process of the host is."""
        return self._here.look_up

    def send(self, line: bytes) -> None:
        """Write one line to the runner's stdin; a runner that is gone is not an error here, `wait` tells."""
        with contextlib.suppress(BrokenPipeError, ConnectionError):
            self._socket.sendall(line)

    def stop(self) -> None:
        """End the runner, politely first; returns when it is gone. An engine that says nothing is left alone."""
        self.output.leave()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)
        for step, patience_s in _STOP_STEPS:
            with contextlib.suppress(EngineError):  # it has just ended
                if step is not None:
                    with asked():
                        self._api.kill(self._name, step)
            with contextlib.suppress(EngineError):
                if self.wait(patience_s) is not None:
                    break
        self._reader.join(_READER_S)

    def close(self) -> None:
        """Let go of the connection."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self.output.leave()
        self._reader.join(_READER_S)
        self._stream._response.close()  # before what it reads from is closed, or Python complains of it later
        self._stream.close()
        self._socket.close()

    def wait(self, limit_s: float) -> Exit | None:
        """Return how the container ended, None when it is still there after `limit_s`."""
        until_s, pause_s = time.monotonic() + limit_s, _PAUSES_S[0]
        while True:
            try:
                with asked():
                    state = self._api.inspect_container(self._name)["State"]
                    if state["Status"] in _ENDED:
                        code = int(state["ExitCode"])
                        killed = bool(state.get("OOMKilled"))
                        return Exit(code=code, signal=code - 128 if code > 128 else None, oom_killed=killed)
            except Missing:  # somebody removed it, which kills it first
                return Exit(code=None, signal=signal.SIGKILL)
            left_s = until_s - time.monotonic()
            if left_s <= 0:
                return None
            # Asking, not waiting: an engine that hangs is found out within the client's own limit.
            time.sleep(min(pause_s, left_s))
            pause_s = min(2 * pause_s, _PAUSES_S[1])
