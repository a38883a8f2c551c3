"""A real HTTP server on loopback that misbehaves on request, and looks like the hub where it is asked to."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import re
import select
import socket
import threading
from collections import defaultdict
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.conftest import LIMIT_S

COMMIT = "0123456789abcdef" * 2 + "01234567"
POINTER = (
    b"version https://git-lfs.github.com/spec/v1\n"
    b"oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n"
)

Answer = Callable[["Handler", bytes], None]


class Handler(BaseHTTPRequestHandler):
    """Answers with the next thing that the test has scripted for the path, and after that as a good server does."""

    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, *_: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        self.server.heard[self.path].append({k.lower(): v for k, v in self.headers.items()})
        script = self.server.script[self.path]
        answer = script.pop(0) if script else self.server.always.get(self.path, good)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            answer(self, self.server.files.get(self.path, b""))

    @property
    def start(self) -> int:
        """First byte that is asked for."""
        found = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        return int(found[1]) if found else 0

    def head(self, status: int, **headers: object) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def body(self, data: bytes) -> None:
        if self.command != "HEAD":
            self.wfile.write(data)

    def wait_for_the_end(self, limit_s: float | None = None) -> bool:
        """Wait until the other side has hung up; return whether it has."""
        readable, _, _ = select.select([self.connection], [], [], limit_s)
        if readable:  # nobody sends a second request before the first is answered
            self.close_connection = True
        return bool(readable)

    def hang_up(self) -> None:
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True


def good(handler: Handler, data: bytes) -> None:
    """Answer as HTTP says, ranges included."""
    start = handler.start
    if not data:
        handler.head(404, Content_Length=0)
    elif start == 0:
        handler.head(200, Content_Length=len(data), ETag='"e"')
        handler.body(data)
    elif start >= len(data):
        handler.head(416, Content_Range=f"bytes */{len(data)}", Content_Length=0)
    else:
        handler.head(206, Content_Length=len(data) - start, Content_Range=f"bytes {start}-{len(data) - 1}/{len(data)}")
        handler.body(data[start:])


def cut(after: int) -> Answer:
    """Promise everything, send `after` bytes, hang up."""

    def answer(handler: Handler, data: bytes) -> None:
        start, end = handler.start, len(data)
        status = 206 if start else 200
        ranged = {"Content_Range": f"bytes {start}-{end - 1}/{end}"} if start else {}
        handler.head(status, Content_Length=end - start, **ranged)
        handler.wfile.write(data[start : start + after])
        handler.hang_up()

    return answer


def stall(after: int) -> Answer:
    """Send `after` bytes, then nothing until the other side hangs up."""

    def answer(handler: Handler, data: bytes) -> None:
        start = handler.start
        status = 206 if start else 200
        ranged = {"Content_Range": f"bytes {start}-{len(data) - 1}/{len(data)}"} if start else {}
        handler.head(status, Content_Length=len(data) - start, **ranged)
        handler.wfile.write(data[start : start + after])
        handler.wait_for_the_end()

    return answer


def trickle(piece: int, pause_s: float) -> Answer:
    """Send a few bytes now and then: never silent, never done."""

    def answer(handler: Handler, data: bytes) -> None:
        handler.head(200, Content_Length=len(data))
        for at in range(0, len(data), piece):
            handler.wfile.write(data[at : at + piece])
            if handler.wait_for_the_end(pause_s):
                return

    return answer


def status(code: int, **headers: object) -> Answer:
    """Answer with a status and no body."""
    return lambda handler, _: handler.head(code, Content_Length=0, **headers)


def redirect(to: str) -> Answer:
    return status(302, Location=to)


def send(data: bytes, *, length: int | None = None, **headers: object) -> Answer:
    """Send other bytes than those of the file, with a length that may be a lie."""

    def answer(handler: Handler, _: bytes) -> None:
        handler.head(200, Content_Length=len(data) if length is None else length, **headers)
        handler.body(data)
        handler.hang_up()

    return answer


def ignoring_ranges(handler: Handler, data: bytes) -> None:
    handler.head(200, Content_Length=len(data))
    handler.body(data)


def wrong_range(handler: Handler, data: bytes) -> None:
    """Answer a range request with another range."""
    handler.head(206, Content_Length=len(data), Content_Range=f"bytes 0-{len(data) - 1}/{len(data)}")
    handler.body(data)


def chunked(handler: Handler, data: bytes) -> None:
    """Send without stating a length."""
    handler.head(200, Transfer_Encoding="chunked")
    for at in range(0, len(data), 1000):
        piece = data[at : at + 1000]
        handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
    handler.wfile.write(b"0\r\n\r\n")


def chunked_cut(after: int) -> Answer:
    def answer(handler: Handler, data: bytes) -> None:
        handler.head(200, Transfer_Encoding="chunked")
        handler.wfile.write(b"%x\r\n%s\r\n" % (after, data[:after]))
        handler.hang_up()

    return answer


def compressed(handler: Handler, data: bytes) -> None:
    """Compress although asked not to."""
    packed = gzip.compress(data)
    handler.head(200, Content_Length=len(packed), Content_Encoding="gzip")
    handler.body(packed)


class Server(ThreadingHTTPServer):
    """`files` by path; `script`: what the next requests get; `always`: what all others get; `heard`: headers."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.script: dict[str, list[Answer]] = defaultdict(list)
        self.always: dict[str, Answer] = {}
        self.heard: dict[str, list[dict[str, str]]] = defaultdict(list)
        self._connections, self._changed = 0, threading.Condition()
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._changed:
            self._connections += 1
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._changed:
                self._connections -= 1
                self._changed.notify_all()

    def settle(self) -> None:
        """Wait until everything is heard that clients sent which are gone now: `heard` is complete then."""
        with socket.create_connection(
            (str(self.server_address[0]), self.server_address[1])
        ) as last:  # connections are taken in their order
            last.sendall(b"GET /last HTTP/1.0\r\n\r\n")
            while last.recv(65536):
                pass
        with self._changed:
            assert self._changed.wait_for(lambda: self._connections == 0, LIMIT_S)

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # hanging up in the middle is what this server is for

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def host(self, path: str, data: bytes, *script: Answer, always: Answer = good) -> str:
        """Serve `data` at `path`; return the address."""
        self.files[path], self.script[path], self.always[path] = data, list(script), always
        return self.url + path

    def host_on_hub(self, repo: str, file: str, data: bytes, *, small: bool = False, at: str = COMMIT) -> None:
        """Serve `data` as the hub does: metadata at the resolve address, bytes elsewhere for large files."""
        sha256 = hashlib.sha256(data).hexdigest()
        git = hashlib.sha1(b"blob %d\0%s" % (len(data), data)).hexdigest()
        plain = {"X_Repo_Commit": at}
        cdn = self.url.replace("127.0.0.1", "localhost")  # another host, as the real one is

        def answer(handler: Handler, _: bytes) -> None:
            if small:
                handler.head(200, Content_Length=len(data), ETag=f'"{git}"', **plain)
                handler.body(data)
            else:
                linked = {"X_Linked_Etag": f'"{sha256}"', "X_Linked_Size": len(data)}
                handler.head(302, Location=f"{cdn}/cdn/{sha256}", Content_Length=0, **plain, **linked)

        self.host(f"/cdn/{sha256}", data)
        for revision in {at, "main"}:
            self.host(f"/{repo}/resolve/{revision}/{file}", data, always=answer)

    def ranges(self, path: str) -> list[str | None]:
        """The Range header of every request for `path`."""
        return [headers.get("range") for headers in self.heard[path]]
