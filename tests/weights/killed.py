"""Pulls in children that are killed at random moments; says after each what it left. A process of its own: it forks.

usage: python -m tests.weights.killed STORE NETWORK_FOLDER ROUNDS SEED      prints one JSON object per round
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
from faceorch.weights.store import Store
from tests.weights.conftest import pull_network


def main() -> None:
    root, folder, rounds, chance = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), random.Random(sys.argv[4])
    network = Network(folder, read_manifest(folder / "network.yaml"))
    for _ in range(rounds):
        child = os.fork()
        if child == 0:
            os.setpgid(0, 0)
            pull_network(network, Store(root))
            os._exit(0)
        time.sleep(chance.uniform(0.0, 0.4))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        blobs = sorted((root / "blobs").glob("*")) if root.exists() else []
        linked = [p for p in (root / "networks").rglob("*") if p.is_file()] if root.exists() else []
        known = {blob.stat().st_ino for blob in blobs}
        report = {
            "completed": status == 0,
            "blobs": [blob.name for blob in blobs],
            "wrong": [blob.name for blob in blobs if sha256_of(blob) != blob.name],
            "strangers": [p.name for p in linked if p.stat().st_ino not in known],
        }
        print(json.dumps(report), flush=True)
        sys.stdin.readline()  # the test notes what the server has sent so far
        if status == 0:
            shutil.rmtree(root)


if __name__ == "__main__":
    main()
