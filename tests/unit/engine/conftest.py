"""An engine on loopback that answers well, or does whatever trouble it is told to."""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from faceorch.engine import client

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
        self.asked: Counter[str] = Counter()

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
        self.server.asked[path] += 1
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
        client._connect.cache_clear()  # the system may have given this engine the port of an earlier one
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
