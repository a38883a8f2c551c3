"""kill -9 at random moments, and a disk that fills up: nothing wrong is ever in place, nothing verified comes again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from faceorch.errors import WeightsError
from faceorch.weights import pull as pull_module
from faceorch.weights.store import Store
from tests.conftest import MakeNetwork
from tests.unit.weights.conftest import DATA, Heard, entry, write_manifest
from tests.unit.weights.server import Handler, Server

ROOT = Path(__file__).parents[3]
ROUNDS = 60


def slowly(handler: Handler, data: bytes) -> None:
    """Send a few kilobytes at a time, so that a kill falls into the middle."""
    start, end = handler.start, len(data)
    if start >= end:
        handler.head(416, Content_Range=f"bytes */{end}", Content_Length=0)
        return
    ranged = {"Content_Range": f"bytes {start}-{end - 1}/{end}"} if start else {}
    handler.head(206 if start else 200, Content_Length=end - start, **ranged)
    for at in range(start, end, 10_000):
        handler.wfile.write(data[at : at + 10_000])
        time.sleep(0.004)


def test_kill_9_at_random_moments_leaves_no_wrong_file_and_nothing_verified_comes_again(
    server: Server, make_network: MakeNetwork, tmp_path: Path
) -> None:
    network = make_network("grey")
    pieces = {f"/{i}": DATA[i * 1000 : i * 1000 + 60_000 * (i + 1)] for i in range(4)}
    files = [entry(server.host(path, data, always=slowly), data, path=path[1:]) for path, data in pieces.items()]
    write_manifest(network, *files)
    by_hash = {file["sha256"]: f"/{file['path']}" for file in files}
    arguments = [str(tmp_path / "store"), str(network.folder), str(ROUNDS), "7"]
    completed = resumed = 0
    verified: dict[str, int] = {}  # path -> requests for it when its file was first seen in place
    heard = dict.fromkeys(pieces, 0)  # path -> requests for it before this round
    arrived: dict[str, int] = {}  # path -> bytes that the rounds before this one left
    with subprocess.Popen(
        [sys.executable, "-m", "tests.unit.weights.killed", *arguments],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as driver:
        assert driver.stdin is not None
        assert driver.stdout is not None
        for line in driver.stdout:
            report = json.loads(line)
            assert report["wrong"] == []
            assert report["strangers"] == []
            server.settle()
            requests = {path: len(server.heard[path]) for path in pieces}
            for path in pieces:
                for asked in server.ranges(path)[heard[path] :]:
                    left = arrived.get(path, 0)
                    assert asked == (f"bytes={left}-" if left else None), "what had arrived is not asked for again"
                    resumed += left > 0
            for path, count in verified.items():
                assert requests[path] == count, f"{path} was whole and verified, and was asked for again"
            for blob in report["blobs"]:
                verified.setdefault(by_hash[blob], requests[by_hash[blob]])
            heard, arrived = requests, {by_hash[name]: size for name, size in report["partial"].items()}
            if report["completed"]:
                completed += 1
                verified, arrived = {}, {}
            driver.stdin.write("\n")
            driver.stdin.flush()
    assert driver.returncode == 0
    assert completed >= 2, "kills do not keep it from getting done"
    assert resumed >= 1, "what had arrived was used"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    if os.geteuid() != 0:
        pytest.skip("mounting a tmpfs needs root")
    place = tmp_path / "store"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip(f"a tmpfs cannot be mounted here: {mounted.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_loses_nothing(
    small_disk: Path, server: Server, bring: Callable[..., Heard], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pull_module, "_SPARE_BYTES", 0)
    data = DATA * 5
    file = entry(server.host("/f", data), data, size=1000, size_exact=False)  # larger than the manifest thinks
    with pytest.raises(WeightsError) as caught:
        bring(file)
    assert caught.value.message == f"grey/a/b.bin: no space left in {small_disk}"
    assert caught.value.remedy == (
        "free some space (faceorch weights rm --unused), or choose another --dir; partial downloads are kept"
    )
    left = Store(small_disk).root / "partial" / file["sha256"]
    arrived = left.stat().st_size
    assert 500_000 < arrived < len(data)
    subprocess.run(["mount", "-o", "remount,size=8m", str(small_disk)], check=True)
    bring(file)
    assert server.ranges("/f") == [None, f"bytes={arrived}-"]
    assert (small_disk / "networks/grey/a/b.bin").read_bytes() == data


def test_a_disk_that_is_too_small_is_refused_before_anything_is_asked_for(
    small_disk: Path, server: Server, bring: Callable[..., Heard]
) -> None:
    with pytest.raises(WeightsError, match=r"has 1\.0 MB free, 67\.4 MB needed for 1 file$"):
        bring(entry(server.host("/f", DATA)))
    assert server.heard["/f"] == []
