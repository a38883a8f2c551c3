"""The rate of `faceorch weights pull` against curl's, for the same file from the same server on loopback.

usage: python benchmarks/download.py [--bytes N] [--rounds N] [--dir DIR]     (needs curl)

Alternating rounds; prints the median rates and their ratio. The pull hashes what it receives, curl does not: a third
row gives curl followed by sync and sha256sum. Needs two idle cores beside the server's, or it measures who gets them.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from faceorch.weights.manifest import File, Source
from faceorch.weights.pull import PullObserver, PullOptions, Task, Wanted, pull
from faceorch.weights.store import Store


class Silent(PullObserver):
    """Hears nothing."""

    def started(self, tasks: object) -> None:
        """Say nothing."""

    def moved(self, task: Task, count: int) -> None:
        """Say nothing."""

    def note(self, task: Task, text: str) -> None:
        """Anything out of the ordinary spoils the measurement."""
        sys.exit(text)

    def ended(self, task: Task) -> None:
        """Say nothing."""


def serve(path: Path, port_file: Path) -> None:
    """Serve one file with sendfile, as quickly as Python can."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            """Say nothing."""

        def do_GET(self) -> None:
            """Send the file, from the byte that is asked for."""
            size, found = path.stat().st_size, re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))
            start = int(found[1]) if found else 0
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
            self.send_header("Content-Length", str(size - start))
            self.end_headers()
            self.wfile.flush()
            with path.open("rb") as file:
                self.connection.sendfile(file, start, size - start)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    port_file.write_text(str(server.server_address[1]), "ascii")
    server.serve_forever()


def timed(work: Callable[[], object]) -> float:
    os.sync()
    begun_s = time.monotonic()
    work()
    return time.monotonic() - begun_s


def run(*arguments: str) -> None:
    subprocess.run(arguments, check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bytes", type=int, default=1_000_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--dir", help="where to write; default: a temporary folder")
    parser.add_argument("--serve", nargs=2, type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        serve(*given.serve)
    with tempfile.TemporaryDirectory(dir=given.dir) as name:
        folder = Path(name)
        source, port_file, out = folder / "source", folder / "port", folder / "out"
        digest = hashlib.sha256()
        with source.open("wb") as file:
            for _ in range(given.bytes // 1_000_000):
                piece = os.urandom(1_000_000)
                file.write(piece)
                digest.update(piece)
        with subprocess.Popen([sys.executable, __file__, "--serve", str(source), str(port_file)]) as server:
            try:
                while not port_file.exists() or not port_file.read_text("ascii"):
                    time.sleep(0.05)
                measure(
                    f"http://127.0.0.1:{port_file.read_text('ascii')}/file",
                    source,
                    digest.hexdigest(),
                    out,
                    given.rounds,
                )
            finally:
                server.terminate()


def measure(url: str, source: Path, sha256: str, out: Path, rounds: int) -> None:
    size = source.stat().st_size
    file = File(
        path="f", source=Source(url=url), size=size, sha256=sha256, licence="none", commercial=True, why="measured"
    )
    wanted = Wanted(network="measured", files=(file,), known=frozenset({"f"}))

    def ours() -> None:
        pull([wanted], Store(out / "store"), PullOptions(), Silent())

    def curl() -> None:
        run("curl", "--silent", "--fail", "--output", str(out / "curl"), url)

    def curl_and_check() -> None:
        curl()
        run("sync", str(out / "curl"))
        run("sha256sum", str(out / "curl"))

    ways: dict[str, Callable[[], None]] = {"curl": curl, "faceorch": ours, "curl, sync, sha256sum": curl_and_check}
    times: dict[str, list[float]] = {label: [] for label in ways}
    for _ in range(rounds):
        for label, way in ways.items():
            out.mkdir()
            times[label].append(timed(way))
            run("rm", "-r", str(out))
    medians = {label: statistics.median(values) for label, values in times.items()}
    for label, values in times.items():
        spread = f"{size / max(values) / 1e6:.0f} to {size / min(values) / 1e6:.0f}"
        print(f"{label:22} median {size / medians[label] / 1e6:5.0f} MB/s  ({spread}, {rounds} rounds)")
    print(f"faceorch / curl        {medians['curl'] / medians['faceorch']:.2f}")
    print(f"faceorch / all three   {medians['curl, sync, sha256sum'] / medians['faceorch']:.2f}")


if __name__ == "__main__":
    main()
