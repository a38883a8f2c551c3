"""A misbehaving server, a store, and manifests that name both."""

from __future__ import annotations

import hashlib
import json
import random
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from faceorch.networks.discover import Network
from faceorch.networks.manifest import read_manifest
from faceorch.weights.download import Patience
from faceorch.weights.manifest import load_weights
from faceorch.weights.pull import PullObserver, PullOptions, Task, Wanted, pull
from faceorch.weights.store import State, Store
from tests.conftest import LIMIT_S, MakeNetwork
from tests.unit.weights.server import COMMIT, Server

# Who tries again does so soon; but a server of this process may be late, and that must not look like a dead one.
HASTY = Patience(connect_s=LIMIT_S, stall_s=LIMIT_S, tries=3, first_wait_s=0.01)
# For servers that fall silent. A good one may seem silent too when the machine is busy: so there is no end of tries.
STALL_S = 0.4
DATA = random.Random(5).randbytes(300_000)


class Heard(PullObserver):
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.bytes = 0
        self.tasks: list[Task] = []

    def started(self, tasks: Any) -> None:
        self.tasks = list(tasks)

    def moved(self, task: Task, count: int) -> None:
        self.bytes += count

    def note(self, task: Task, text: str) -> None:
        self.notes.append(text)

    def ended(self, task: Task) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in ("HF_ENDPOINT", "HF_TOKEN", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    with Server() as made:
        yield made
        made.shutdown()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "store")
    made.make_folders()
    return made


def entry(source: str | dict[str, Any], data: bytes = DATA, *, path: str = "a/b.bin", **changes: Any) -> dict[str, Any]:
    """One file of a manifest, as it should be."""
    return {
        "path": path,
        "source": {"url": source} if isinstance(source, str) else source,
        "size": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "licence": "MIT",
        "commercial": True,
        "why": "a test",
        **changes,
    }


def on_hub(file: str = "in/repo.bin", repo: str = "owner/name", revision: str | None = COMMIT) -> dict[str, Any]:
    return {"repo": repo, "revision": revision, "file": file}


def write_manifest(network: Network, *files: dict[str, Any]) -> None:
    (network.folder / "weights.yaml").write_text(json.dumps({"schema": 1, "files": list(files)}), "utf-8")


@pytest.fixture
def bring(store: Store, make_network: MakeNetwork) -> Callable[..., Heard]:
    """Return a function that pulls the given files for a made-up network."""

    def bring(*files: dict[str, Any], name: str = "grey", **options: Any) -> Heard:
        folder = Path(store.root).parent / "networks" / name
        network = Network(folder, None) if folder.is_dir() else make_network(name)  # type: ignore[arg-type]
        write_manifest(network, *files)
        return pull_network(network, store, **options)

    return bring


def pull_network(
    network: Network, store: Store, patience: Patience = HASTY, heard: Heard | None = None, **options: Any
) -> Heard:
    from faceorch.networks.manifest import read_manifest

    network = Network(network.folder, read_manifest(network.folder / "network.yaml"))
    weights = load_weights(network)
    assert weights is not None
    wanted = Wanted(network=network.name, files=weights.files, known=weights.paths)
    heard = heard or Heard()
    pull([wanted], store, PullOptions(patience=patience, **options), heard)
    return heard


def safetensors(*entries: tuple[str, str, list[int], int, int], data: bytes) -> bytes:
    """Return a file of the format, right or wrong."""
    header = {name: {"dtype": kind, "shape": shape, "data_offsets": [a, b]} for name, kind, shape, a, b in entries}
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


HALF = ("weight", "F16", [2], 0, 4)
Bring = Callable[..., Heard]
OTHER = DATA[::-1]


def hub(server: Server) -> dict[str, str]:
    return {"https://huggingface.co": server.url}


def view(store: Store, path: str = "a/b.bin") -> Path:
    return store.view("grey") / path


def reloaded(network: Network) -> Network:
    return Network(network.folder, read_manifest(network.folder / "network.yaml"))


def open_entry(**changes: Any) -> dict[str, Any]:
    return entry(on_hub(revision=None), sha256=None, size=299_000, **changes)


def files_of(store: Store) -> tuple[Any, ...]:
    from faceorch.weights.manifest import load_weights

    network = Network(store.root.parent / "networks" / "grey", None)  # type: ignore[arg-type]
    weights = load_weights(reloaded(network))
    assert weights is not None
    assert all(store.find("grey", f).state is State.READY for f in weights.files)
    return weights.files
