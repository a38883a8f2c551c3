"""What a manifest leaves open is filled in, and nothing else is touched."""

from __future__ import annotations

import hashlib

import pytest

from faceorch.errors import WeightsError
from faceorch.networks.discover import Network
from faceorch.weights.lock import lock
from faceorch.weights.store import Store
from tests.conftest import MakeNetwork
from tests.unit.weights.conftest import DATA, OTHER, Bring, hub, open_entry, pull_network, reloaded
from tests.unit.weights.server import COMMIT, Server

MANIFEST = """\
schema: 1   # a comment
files:
  - path: a/b.bin
    source: {repo: owner/name, revision: null, file: in/repo.bin}
    size: 299000
    size_exact: false   # measured on a stand-in
    sha256: null   # nobody states it
    licence: MIT
    commercial: true
    why: "ä test"
  - path: c.bin
    source:
      repo: owner/name
      file: c.bin
    size: 1
    sha256: null
    licence: MIT
    commercial: null
    why: no revision at all
  - {path: d.bin, source: {url: "URL"}, size: 300000, sha256: null, licence: MIT, commercial: true, why: an address}
"""


def test_lock_fills_in_what_is_open_and_touches_nothing_else(
    server: Server, store: Store, make_network: MakeNetwork
) -> None:
    server.host_on_hub("owner/name", "in/repo.bin", DATA)
    server.host_on_hub("owner/name", "c.bin", OTHER)
    network = make_network("grey")
    path = network.folder / "weights.yaml"
    url = server.host("/d", DATA)
    path.write_text(MANIFEST.replace("URL", url), "utf-8")
    locked = lock(network, store, hub(server))
    assert [(f.file.path, f.how, f.reason) for f in locked] == [
        ("a/b.bin", "the hub's metadata", ""),
        ("c.bin", "the hub's metadata", ""),
        ("d.bin", "", "pull it first"),
    ]
    data, other = hashlib.sha256(DATA).hexdigest(), hashlib.sha256(OTHER).hexdigest()
    wanted = MANIFEST.replace("URL", url).replace("revision: null", f"revision: {COMMIT}").replace("299000", "300000")
    wanted = wanted.replace("size_exact: false", "size_exact: true").replace("null   # nobody", f"{data}   # nobody")
    wanted = wanted.replace("      repo: owner/name\n", f"      repo: owner/name\n      revision: {COMMIT}\n")
    wanted = wanted.replace("    size: 1\n    sha256: null", f"    size: 300000\n    sha256: {other}")
    assert path.read_text("utf-8") == wanted

    pull_network(network, store, mirrors=hub(server))
    (last,) = lock(network, store, hub(server))
    assert (last.file.path, last.sha256, last.how) == ("d.bin", data, "first download")
    assert path.read_text("utf-8") == wanted.replace("sha256: null", f"sha256: {data}")
    assert lock(network, store, hub(server)) == [], "nothing is open any more"


def test_lock_refuses_two_truths(server: Server, store: Store, bring: Bring, make_network: MakeNetwork) -> None:
    server.host_on_hub("owner/name", "in/repo.bin", DATA)
    bring(open_entry(), mirrors=hub(server))
    server.host_on_hub("owner/name", "in/repo.bin", OTHER)
    network = Network(store.root.parent / "networks" / "grey", None)  # type: ignore[arg-type]
    with pytest.raises(WeightsError) as caught:
        lock(reloaded(network), store, hub(server))
    assert caught.value.message == (
        f"a/b.bin: the hub states sha256 {hashlib.sha256(OTHER).hexdigest()}, "
        f"an earlier download {hashlib.sha256(DATA).hexdigest()}"
    )
