"""The store: every file once, links for each network, and notes that save reading."""

from __future__ import annotations

import hashlib
import json
import os
import re
from datetime import timedelta
from pathlib import Path

import pytest

from faceorch.errors import WeightsError
from faceorch.weights.store import Store
from tests.unit.weights.conftest import DATA, OTHER, Bring, entry, view
from tests.unit.weights.server import Server


def test_two_networks_share_one_file(server: Server, store: Store, bring: Bring) -> None:
    url = server.host("/f", DATA)
    bring(entry(url))
    bring(entry(url, path="elsewhere.bin"), name="white")
    first, second = view(store), store.view("white") / "elsewhere.bin"
    assert first.samefile(second)
    assert len(server.heard["/f"]) == 1
    assert first.stat().st_mode & 0o222 == 0, "read-only"


def test_what_comes_twice_does_not_push_out_what_is_there(store: Store, tmp_path: Path) -> None:
    """Two files with the same content may come at the same time; the first is being linked to while the second ends."""
    digest = hashlib.sha256(DATA).hexdigest()
    parts = [tmp_path / name for name in ("first", "second")]
    for part in parts:
        part.write_bytes(DATA)
    inodes = [store.take(part, digest).stat().st_ino for part in parts]
    assert inodes[0] == inodes[1]
    assert not any(part.exists() for part in parts)
    assert store.has(digest)


def test_what_the_manifest_no_longer_names_goes(server: Server, store: Store, bring: Bring) -> None:
    """Some networks load every file that they find."""
    bring(entry(server.host("/f", DATA), path="models/old.onnx"))
    bring(entry(server.url + "/f", path="models/new.onnx"))
    assert sorted(p.name for p in store.view("grey").rglob("*.onnx")) == ["new.onnx"]
    assert len(server.heard["/f"]) == 1


def test_removing_keeps_what_another_network_holds(server: Server, store: Store, bring: Bring) -> None:
    both, own = entry(server.host("/f", DATA)), entry(server.host("/g", OTHER), OTHER, path="own")
    bring(both, own)
    bring(both, name="white")
    store.remove("grey")
    assert store.collect(partial=False) == (1, len(OTHER))
    assert not store.view("grey").exists()
    assert (store.view("white") / "a/b.bin").read_bytes() == DATA


def test_a_damaged_note_means_reading_the_file_not_fetching_it(server: Server, store: Store, bring: Bring) -> None:
    file = entry(server.host("/f", DATA))
    bring(file)
    (store.root / "checked" / f"{file['sha256']}.json").write_bytes(b"{")
    bring(file)
    assert len(server.heard["/f"]) == 1
    assert store.unchanged(file["sha256"])


def test_a_file_system_without_hard_links_is_named(
    server: Server, store: Store, bring: Bring, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(WeightsError) as caught:
        bring(entry(server.host("/f", DATA)))
    assert caught.value.message == f"the file system of {store.root} does not support hard links"


def test_after_a_power_cut_a_file_that_may_not_have_reached_the_disk_is_read_again(
    server: Server, store: Store, bring: Bring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("faceorch.weights.store._WRITTEN_AFTER", timedelta(days=1))
    file = entry(server.host("/f", DATA))
    bring(file)
    note = store.root / "checked" / f"{file['sha256']}.json"
    fresh = note.read_text("utf-8")
    assert store.unchanged(file["sha256"])
    note.write_text(fresh.replace('"boot":"', '"boot":"an earlier one '), "utf-8")
    assert not store.unchanged(file["sha256"])
    bring(file)
    assert len(server.heard["/f"]) == 1, "read, not fetched"
    store.settle(file["sha256"])
    assert '"boot":null' not in note.read_text("utf-8"), "it has just come: the system will write it by itself"
    note.write_text(re.sub('"when":"[^"]*"', '"when":"2026-01-01T00:00:00Z"', note.read_text("utf-8")), "utf-8")
    store.settle(file["sha256"])
    assert json.loads(note.read_text("utf-8"))["boot"] is None, "now it is known to be on the disk, whatever comes"
