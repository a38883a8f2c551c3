"""Pulls in children that are killed; says after each what it left. A process of its own: it forks.

usage: python -m tests.unit.weights.killed STORE NETWORK_FOLDER ROUNDS SEED      prints one JSON object per round

When a child is killed is counted in what it has done, not in time: so each round that does not get done brings the
next one nearer to that, on a busy machine too. A child that runs ahead because this process was not given its turn
kills itself.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

from faceorch.files import sha256_of
from faceorch.networks.discover import Network
from faceorch.networks.manifest import read_manifest
from faceorch.weights.pull import Task
from faceorch.weights.store import Store
from tests.unit.weights.conftest import Heard, pull_network

_STEP = 20_000  # what a file's move into the store counts, and its link from there, in bytes that have arrived
_MOST = 150_000


def done_so_far(root: Path) -> int:
    """Return how far the pull is: bytes that have arrived, files in the store, links to them."""
    sizes = [_size(path) for folder in ("partial", "blobs") for path in (root / folder).glob("*")]
    moved = sum(1 for _ in (root / "blobs").glob("*"))
    linked = sum(1 for path in (root / "networks").rglob("*") if path.is_file())
    return sum(sizes) + _STEP * (moved + linked)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # it has just been moved
        return 0


def kill_at(child: int, root: Path, goal: int) -> int:
    """Kill `child` once it has done so much; return its exit status. It may have ended by itself before."""
    while done_so_far(root) < goal:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status
        time.sleep(0.001)
    os.kill(child, signal.SIGKILL)
    return os.waitpid(child, 0)[1]


class Bounded(Heard):
    """Ends this process once so much is done."""

    def __init__(self, root: Path, most: int) -> None:
        super().__init__()
        self._root, self._most = root, most

    def moved(self, task: Task, count: int) -> None:
        if done_so_far(self._root) >= self._most:
            os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    root, folder, rounds, chance = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), random.Random(sys.argv[4])
    network = Network(folder, read_manifest(folder / "network.yaml"))
    for _ in range(rounds):
        goal = done_so_far(root) + chance.randrange(_MOST)
        child = os.fork()
        if child == 0:
            os.setpgid(0, 0)
            pull_network(network, Store(root), heard=Bounded(root, goal + _MOST))
            os._exit(0)
        status = kill_at(child, root, goal)
        blobs = sorted((root / "blobs").glob("*")) if root.exists() else []
        linked = [p for p in (root / "networks").rglob("*") if p.is_file()] if root.exists() else []
        known = {blob.stat().st_ino for blob in blobs}
        report = {
            "completed": status == 0,
            "blobs": [blob.name for blob in blobs],
            "partial": {path.name: path.stat().st_size for path in (root / "partial").glob("*")},
            "wrong": [blob.name for blob in blobs if sha256_of(blob) != blob.name],
            "strangers": [p.name for p in linked if p.stat().st_ino not in known],
        }
        print(json.dumps(report), flush=True)
        sys.stdin.readline()  # the test notes what the server has sent so far
        if status == 0:
            shutil.rmtree(root)


if __name__ == "__main__":
    main()
