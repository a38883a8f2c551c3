"""A run's look at its weights is cheap, and says what mends them."""

from __future__ import annotations

import os

from faceorch.networks.discover import Network
from faceorch.record.kinds import OutcomeKind
from faceorch.record.reason import Reason
from faceorch.weights.check import check_weights
from faceorch.weights.source import Stored
from faceorch.weights.store import Store
from tests.unit.weights.conftest import DATA, OTHER, Bring, entry, reloaded, view, write_manifest
from tests.unit.weights.server import Server


def test_a_run_checks_cheaply_and_says_what_mends_it(server: Server, store: Store, bring: Bring) -> None:
    files = [
        entry(server.host("/f", DATA)),
        entry(server.host("/g", OTHER), OTHER, path="loud.bin", when={"setting": "loud", "equals": True}),
    ]
    network = Network(store.root.parent / "networks" / "grey", None)  # type: ignore[arg-type]
    bring(files[0])
    write_manifest(network, *files)
    network = reloaded(network)

    quiet = check_weights(network, network.settings({}), store)
    assert isinstance(quiet, Stored)
    assert quiet.folder == store.view("grey")
    assert [(f.path, f.bytes, f.sha256, f.licence) for f in quiet.files] == [
        ("a/b.bin", len(DATA), files[0]["sha256"], "MIT")
    ]

    assert check_weights(network, network.settings({"loud": True}), store) == Reason(
        kind=OutcomeKind.MISSING_WEIGHT,
        found="1 of its 2 weight files is missing (300.0 kB): loud.bin",
        remedy="faceorch weights pull grey --set grey.loud=on",
    )

    place = view(store)
    os.utime(place, ns=(0, 1))
    assert check_weights(network, network.settings({}), store) == Reason(
        kind=OutcomeKind.MISSING_WEIGHT,
        found="weights have changed since they were last verified: a/b.bin",
        remedy="faceorch weights verify grey",
    )
    assert store.verify(files[0]["sha256"], place) is None, "only touched: a full verification accepts it"
    assert isinstance(check_weights(network, network.settings({}), store), Stored)
