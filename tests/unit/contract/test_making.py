"""Each check of what a network makes fails on what it is there for."""

from __future__ import annotations

from pathlib import Path

import pytest

from faceorch.contract.broken import Broken
from faceorch.contract.making import Maker
from faceorch.networks.discover import Network, open_network


def test_videos_that_differ_or_do_not_are_noticed(puppet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network: Network = open_network(puppet)
    hashes = {"first": "a", "again": "b", "other": "a"}

    class Info:
        def __init__(self, sha256: str) -> None:
            self.sha256 = sha256

    monkeypatch.setattr(Maker, "_make", lambda self, out, *, seed: (None, Info(hashes[out])))
    with Maker(network) as maker:
        with pytest.raises(Broken, match="two videos with --seed 3 differ"):
            maker.repeats()
        with pytest.raises(Broken, match="are the same"):
            maker.varies()
        hashes["again"], hashes["other"] = "a", "b"
        assert maker.repeats() == maker.varies() == ""
