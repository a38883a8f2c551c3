"""An engine that fails, talks nonsense, hangs up or says nothing is an `EngineError`, whatever it was asked."""

from __future__ import annotations

import contextlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner

from faceorch.cli.main import cli
from faceorch.engine import client
from faceorch.engine.client import Missing, asked, connect, remove_container
from faceorch.errors import EngineError
from faceorch.images.built import ours
from faceorch.owner import Owner
from faceorch.record.kinds import OutcomeKind
from faceorch.record.reason import Reason
from faceorch.runtimes import Launch, Ready
from faceorch.runtimes import docker as docker_runtime
from faceorch.runtimes.choose import sweep
from faceorch.runtimes.docker import DockerRuntime
from faceorch_runner import Job
from tests.conftest import MakeNetwork

VERSION = {"Version": "27.0.0", "ApiVersion": "1.44", "MinAPIVersion": "1.24", "Components": [{"Name": "Engine"}]}
GOOD = {
    "version": VERSION,
    "info": {"OSType": "linux", "Architecture": "x86_64"},
    "images/json": [],
    "images/x/json": {"Id": "x"},
    "containers/json": [],
    "containers/x/json": {"State": {"Status": "exited", "ExitCode": 0, "Pid": 0}},
    "containers/x": {},
    "containers/create": {"Id": "x"},
    "containers/x/attach": {},
    "containers/x/start": {},
    "containers/x/kill": {},
    "system/df": {"Images": []},
}
TROUBLE = ("500", "list", "object", "null", "html", "half", "closed", "stalled")


class Engine(ThreadingHTTPServer):
    """An engine on loopback that answers well, but for `bad` paths, where it does what `trouble` says."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.bad, self.trouble = "", ""
        self.over = threading.Event()

    @property
    def where(self) -> str:
        return f"tcp://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Engine

    def log_message(self, *args: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0].lstrip("/")
        path = path.partition("/")[2] if path.startswith("v1") else path
        path = re.sub(r"^containers/faceorch-[^/]*", "containers/x", path)
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if path != self.server.bad:
            return self._answer(200, json.dumps(GOOD[path]).encode())
        match self.server.trouble:
            case "500":
                self._answer(500, b'{"message": "disk on fire"}')
            case "404":
                self._answer(404, b'{"message": "No such container: x"}')
            case "list":
                self._answer(200, b'[5, {"Names": null}]')
            case "object":
                self._answer(200, b'{"State": 5, "Components": "x", "Runtimes": 5}')
            case "null":
                self._answer(200, b"null")
            case "html":
                self._answer(200, b"<html>Log in to the hotel's network</html>")
            case "half":
                self._answer(200, b'{"Id": ', length=1000)
            case "closed":
                self.close_connection = True
            case "stalled":
                self.server.over.wait()
        return None

    do_DELETE = do_POST = do_GET  # noqa: N815 - the names that the server looks for

    def _answer(self, code: int, body: bytes, length: int | None = None) -> None:
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    with Engine() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setenv("DOCKER_HOST", server.where)
        monkeypatch.delenv("DOCKER_TLS_VERIFY", raising=False)
        yield server
        server.over.set()
        server.shutdown()
        thread.join()


def trouble(engine: Engine, monkeypatch: pytest.MonkeyPatch, bad: str, kind: str) -> None:
    engine.bad, engine.trouble = bad, kind
    if kind == "stalled":  # it never answers: how long that is waited for changes nothing
        monkeypatch.setattr(client, "_TIMEOUT_S", 0.2)


@pytest.mark.parametrize("kind", TROUBLE)
@pytest.mark.parametrize("bad", ["version", "info", "images/json"])
def test_an_engine_in_trouble_is_a_reason(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, make_network: MakeNetwork, bad: str, kind: str
) -> None:
    trouble(engine, monkeypatch, bad, kind)
    runtime = DockerRuntime()
    found = runtime.ready(make_network("one"), "cpu")
    assert isinstance(found, Reason)
    # An object without what was asked for may still be an engine: then it has no image.
    assert found.kind in (OutcomeKind.NO_ENGINE, OutcomeKind.NOT_BUILT)
    assert found.found
    assert found.remedy


ASKING: dict[str, tuple[str, Callable[[], object]]] = {
    "images": ("images/json", lambda: ours(connect())),
    "running": ("containers/json", lambda: DockerRuntime().running()),
    "sweep": ("containers/json", lambda: DockerRuntime().sweep()),
}


@pytest.mark.parametrize("kind", [kind for kind in TROUBLE if kind != "null"])
@pytest.mark.parametrize("name", list(ASKING))
def test_whatever_goes_wrong_is_an_engine_error(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, name: str, kind: str
) -> None:
    bad, ask = ASKING[name]
    connect()
    trouble(engine, monkeypatch, bad, kind)
    if kind == "stalled":
        client._connect.cache_clear()
    with pytest.raises(EngineError, match="the container engine"):
        ask()
    if name == "images":
        return
    (line,) = sweep({"docker": DockerRuntime()})
    assert line.startswith("leftovers in the container engine stay: the container engine")


@pytest.mark.parametrize("kind", TROUBLE)
@pytest.mark.parametrize("bad", ["create", "x/attach", "x/start", "x/json", "x"])
def test_trouble_around_a_container_is_an_engine_error_or_none(
    engine: Engine,
    monkeypatch: pytest.MonkeyPatch,
    make_network: MakeNetwork,
    tmp_path: Path,
    portrait: Path,
    clip: Path,
    bad: str,
    kind: str,
) -> None:
    trouble(engine, monkeypatch, f"containers/{bad}", kind)
    monkeypatch.setattr(docker_runtime, "_STOP_STEPS", ((None, 0.0),))
    order = Job(id="x", portrait=portrait, audio=clip, seed=0, settings={}, work=tmp_path)
    (tmp_path / "out").mkdir()
    launch = Launch(
        network=make_network("one"),
        environment=Ready(identity="x", name="x"),
        owner=Owner.me(),
        run="x",
        order=order,
        out=tmp_path / "out",
        job_file=tmp_path / "job.json",
    )
    with contextlib.suppress(EngineError), DockerRuntime().start(launch) as process:
        process.send(b"x")
        process.wait(0.0)
        process.stop()


@pytest.mark.parametrize("kind", TROUBLE)
@pytest.mark.parametrize("bad", ["system/df", "containers/json", "images/json"])
def test_cleaning_up_tells_trouble_in_one_line(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, bad: str, kind: str
) -> None:
    trouble(engine, monkeypatch, bad, kind)
    done = CliRunner().invoke(cli, ["clean", "--dry-run"])
    assert done.exit_code in (0, 10), done.output
    assert done.exit_code == 0 or "error: the container engine" in done.output


def test_what_is_not_there_is_told_apart(engine: Engine) -> None:
    engine.bad, engine.trouble = "containers/x/json", "404"
    with pytest.raises(Missing), asked():
        connect().inspect_container("x")


@pytest.mark.parametrize("kind", ["closed", "stalled", "404"])
def test_a_container_that_cannot_be_removed_now_is_no_error(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    trouble(engine, monkeypatch, "containers/x", kind)
    remove_container(connect(), "x")


def test_what_is_ours_passes_through() -> None:
    error = EngineError("a", "b")
    with pytest.raises(EngineError) as raised, asked():
        raise error
    assert raised.value is error
    with pytest.raises(KeyboardInterrupt), asked():
        raise KeyboardInterrupt


@pytest.mark.parametrize("text", ['{"currentContext": 5}', '{"currentContext": {"a": []}}'])
def test_a_damaged_configuration_of_docker(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    folder = tmp_path_factory.mktemp("docker")
    (folder / "config.json").write_text(text, "utf-8")
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    with pytest.raises(EngineError, match=r"config\.json cannot be read"):
        client.endpoint()
