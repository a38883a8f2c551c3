"""The store, the networks' folders, hashes that nobody has stated, files that somebody has already."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from faceorch.errors import WeightsError
from faceorch.networks.discover import Network
from faceorch.networks.manifest import read_manifest
from faceorch.record.kinds import OutcomeKind
from faceorch.record.reason import Reason
from faceorch.weights.check import check_weights
from faceorch.weights.lock import lock
from faceorch.weights.remote import endpoint, parse_mirrors
from faceorch.weights.source import Stored
from faceorch.weights.store import State, Store
from tests.conftest import LIMIT_S, MakeNetwork, wait_until
from tests.unit.weights import server as http
from tests.unit.weights.conftest import DATA, Heard, entry, on_hub, pull_network, write_manifest
from tests.unit.weights.server import COMMIT, POINTER, Server

Bring = Callable[..., Heard]
OTHER = DATA[::-1]


def hub(server: Server) -> dict[str, str]:
    return {"https://huggingface.co": server.url}


def view(store: Store, path: str = "a/b.bin") -> Path:
    return store.view("grey") / path


def reloaded(network: Network) -> Network:
    return Network(network.folder, read_manifest(network.folder / "network.yaml"))


# -- one store


def test_two_networks_share_one_file(server: Server, store: Store, bring: Bring) -> None:
    url = server.host("/f", DATA)
    bring(entry(url))
    bring(entry(url, path="elsewhere.bin"), name="white")
    first, second = view(store), store.view("white") / "elsewhere.bin"
    assert first.samefile(second)
    assert len(server.heard["/f"]) == 1
    assert first.stat().st_mode & 0o222 == 0, "read-only"


def test_one_hash_from_two_places_is_fetched_from_whichever_answers(server: Server, store: Store, bring: Bring) -> None:
    gone = server.host("/gone", DATA, always=http.status(404))
    heard = bring(entry(gone, path="one"), entry(server.host("/f", DATA), path="two"))
    assert view(store, "one").samefile(view(store, "two"))
    assert heard.notes == [f"{gone}: HTTP 404 Not Found; trying another source"]


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


# -- several processes


def test_a_second_process_waits_and_fetches_nothing(server: Server, store: Store, bring: Bring) -> None:
    file, heard = entry(server.host("/f", DATA)), Heard()
    with store.locked(file["sha256"]):
        thread = threading.Thread(target=bring, args=(file,), kwargs={"heard": heard})
        thread.start()
        wait_until(lambda: bool(heard.notes), "a word about waiting")
        assert heard.notes == ["another faceorch is downloading it; waiting"]
        assert server.heard["/f"] == []
        store.blob(file["sha256"]).write_bytes(DATA)  # the first one has finished
    thread.join(LIMIT_S)
    assert server.heard["/f"] == [], "found whole, verified by reading, not fetched again"
    assert view(store).read_bytes() == DATA


# -- cheap and full verification


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


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        (POINTER, "a Git LFS pointer, not the file itself (it stands for 12345 bytes, sha256 4d7a214614ab...)"),
        (DATA[:5000], "truncated: 5000 of 300000 bytes"),
        (b"", "empty (0 bytes)"),
        (DATA + b"x", "not the expected file: 300001 bytes, 300000 needed"),
        (
            b"x" + DATA[1:],
            f"damaged, or a different file: sha256 {hashlib.sha256(b'x' + DATA[1:]).hexdigest()[:12]}..., "
            f"{hashlib.sha256(DATA).hexdigest()[:12]}... needed",
        ),
    ],
)
def test_a_wrong_file_is_named_and_the_next_pull_mends_it(
    server: Server, store: Store, bring: Bring, content: bytes, wrong: str
) -> None:
    file = entry(server.host("/f", DATA))
    bring(file)
    place = view(store)
    place.chmod(0o644)
    place.write_bytes(content)
    assert store.verify(file["sha256"], place, len(DATA)) == wrong
    bring(file)
    assert view(store).read_bytes() == DATA


def test_a_damaged_note_means_reading_the_file_not_fetching_it(server: Server, store: Store, bring: Bring) -> None:
    file = entry(server.host("/f", DATA))
    bring(file)
    (store.root / "checked" / f"{file['sha256']}.json").write_bytes(b"{")
    bring(file)
    assert len(server.heard["/f"]) == 1
    assert store.unchanged(file["sha256"])


# -- hashes that no manifest states


def open_entry(**changes: Any) -> dict[str, Any]:
    return entry(on_hub(revision=None), sha256=None, size=299_000, **changes)


def test_the_hub_vouches_for_what_the_manifest_leaves_open(server: Server, store: Store, bring: Bring) -> None:
    server.host_on_hub("owner/name", "in/repo.bin", DATA)
    bring(open_entry(), mirrors=hub(server))
    (seen,) = [store.seen(f) for f in _files(store)]
    assert seen is not None
    assert (seen.sha256, seen.revision, seen.how) == (hashlib.sha256(DATA).hexdigest(), COMMIT, "hub")
    before = len(server.heard[f"/cdn/{seen.sha256}"])
    bring(open_entry(), mirrors=hub(server))
    assert len(server.heard[f"/cdn/{seen.sha256}"]) == before


def test_small_files_of_the_hub_are_held_to_their_git_name(server: Server, store: Store, bring: Bring) -> None:
    server.host_on_hub("owner/name", "in/repo.bin", DATA, small=True)
    bring(open_entry(), mirrors=hub(server))
    assert view(store).read_bytes() == DATA
    store.remove("grey")
    shutil.rmtree(store.root)
    store.make_folders()
    server.host_on_hub("owner/name", "in/repo.bin", DATA, small=True)
    path = f"/owner/name/resolve/{COMMIT}/in/repo.bin"
    server.always[path] = http.send(OTHER)
    with pytest.raises(WeightsError, match="not what the hub states"):
        bring(open_entry(), mirrors=hub(server))
    assert list((store.root / "blobs").iterdir()) == []


def test_bytes_that_are_not_what_the_hub_states_are_refused(server: Server, store: Store, bring: Bring) -> None:
    server.host_on_hub("owner/name", "in/repo.bin", DATA)
    server.always[f"/cdn/{hashlib.sha256(DATA).hexdigest()}"] = http.send(OTHER)
    with pytest.raises(WeightsError, match="damaged, or a different file"):
        bring(open_entry(), mirrors=hub(server))


def test_an_address_without_a_hash_is_remembered_from_its_first_download(
    server: Server, store: Store, bring: Bring
) -> None:
    file = entry(server.host("/f", DATA), sha256=None, size=1)
    bring(file)
    (seen,) = [store.seen(f) for f in _files(store)]
    assert seen is not None
    assert (seen.sha256, seen.how) == (hashlib.sha256(DATA).hexdigest(), "first download")
    store.blob(seen.sha256).unlink()
    shutil.rmtree(store.view("grey"))
    server.host("/f", OTHER)
    with pytest.raises(WeightsError, match="damaged, or a different file"):
        bring(file)  # from now on the first one counts


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


def test_a_missing_repository_is_named(server: Server, bring: Bring) -> None:
    path = "/owner/name/resolve/main/in/repo.bin"
    server.host(path, DATA, always=http.status(404, X_Error_Code="RepoNotFound"))
    with pytest.raises(WeightsError) as caught:
        bring(open_entry(), mirrors=hub(server))
    assert caught.value.message == f"grey/a/b.bin: {server.url} has no repository owner/name, or hides it"
    server.always[path] = http.status(403, X_Error_Code="GatedRepo")
    with pytest.raises(WeightsError) as caught:
        bring(open_entry(), mirrors=hub(server))
    assert caught.value.message == f"grey/a/b.bin: {server.url}{path}: access is gated"
    assert caught.value.remedy == (
        "accept its terms at https://huggingface.co/owner/name, then set HF_TOKEN (or: hf auth login)"
    )


# -- mirrors, and several at a time


def test_hf_endpoint_is_honoured(server: Server, store: Store, bring: Bring, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    server.host_on_hub("owner/name", "in/repo.bin", DATA)
    bring(open_entry())
    assert view(store).read_bytes() == DATA


def test_files_come_at_the_same_time(server: Server, store: Store, bring: Bring) -> None:
    """Each answer waits until all four have been asked for: one after the other would never end."""
    meeting = threading.Barrier(4)

    def together(handler: http.Handler, data: bytes) -> None:
        meeting.wait(LIMIT_S)
        http.good(handler, data)

    bring(*[entry(server.host(f"/{i}", DATA[i:], always=together), DATA[i:], path=str(i)) for i in range(4)], jobs=4)
    assert all(view(store, str(i)).read_bytes() == DATA[i:] for i in range(4))


def test_what_is_removed_meanwhile_is_said(server: Server, store: Store, bring: Bring) -> None:
    file = entry(server.host("/f", DATA))
    bring(file)
    store.blob(file["sha256"]).unlink()
    with pytest.raises(WeightsError) as caught:
        store.link("white", "b", file["sha256"])
    assert caught.value.message == "b was removed meanwhile"


def test_mirrors_stand_in_for_the_hub_or_any_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_ENDPOINT", raising=False)
    assert endpoint({}) == "https://huggingface.co"
    monkeypatch.setenv("HF_ENDPOINT", "https://hub.example/")
    assert endpoint({}) == "https://hub.example"
    mirrors = parse_mirrors(("https://a.example/", "https://github.com=https://b.example/gh"))
    assert mirrors == {"https://huggingface.co": "https://a.example", "https://github.com": "https://b.example/gh"}
    assert endpoint(mirrors) == "https://a.example"
    with pytest.raises(WeightsError) as caught:
        parse_mirrors(("a.example",))
    assert caught.value.message == "--mirror a.example: 'a.example' is not an address"


def test_a_prefix_is_replaced(server: Server, store: Store, bring: Bring) -> None:
    server.host("/gh/owner/releases/f", DATA)
    bring(entry("https://github.com/owner/releases/f"), mirrors={"https://github.com": f"{server.url}/gh"})
    assert view(store).read_bytes() == DATA


def test_a_forbidden_network_is_not_used(bring: Bring, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(WeightsError) as caught:
        bring(entry("http://127.0.0.1:9/f"))
    assert caught.value.message == "grey/a/b.bin: not in the store, and HF_HUB_OFFLINE forbids downloads"


# -- --from DIR


@pytest.mark.parametrize("name", ["a/b.bin", "b.bin", "deep/in/repo.bin", "blobs/0123"])
def test_what_somebody_has_is_adopted_whatever_it_is_called(
    server: Server, store: Store, bring: Bring, tmp_path: Path, name: str
) -> None:
    have = tmp_path / "have" / name
    have.parent.mkdir(parents=True)
    have.write_bytes(DATA)
    bring(entry(on_hub()), folder=tmp_path / "have")
    assert view(store).read_bytes() == DATA
    assert not view(store).samefile(have), "a copy: what happens to the original is nobody's business here"
    assert have.read_bytes() == DATA


def test_what_is_wrong_in_the_folder_is_named_and_downloaded_instead(
    server: Server, store: Store, bring: Bring, tmp_path: Path
) -> None:
    have = tmp_path / "have"
    (have / "a").mkdir(parents=True)
    (have / "a/b.bin").write_bytes(POINTER)
    (have / "b.bin").write_bytes(DATA[:100])
    (have / "same-size").write_bytes(OTHER)
    heard = bring(entry(server.host("/f", DATA)), folder=have)
    assert view(store).read_bytes() == DATA
    assert heard.notes == [
        f"{have}/a/b.bin is not used: a Git LFS pointer, not the file itself "
        "(it stands for 12345 bytes, sha256 4d7a214614ab...)",
        f"{have}/b.bin is not used: truncated: 100 of 300000 bytes",
        f"not in {have}",
    ]


def test_a_file_whose_hash_nobody_states_is_taken_by_name_and_said_so(
    store: Store, bring: Bring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    have = tmp_path / "have"
    have.mkdir()
    (have / "b.bin").write_bytes(DATA)
    bring(open_entry(), folder=have)
    (seen,) = [store.seen(f) for f in _files(store)]
    assert seen is not None
    assert seen.how == "adopted"


def test_a_folder_that_is_not_there_is_named(bring: Bring, tmp_path: Path) -> None:
    with pytest.raises(WeightsError) as caught:
        bring(entry("http://127.0.0.1:9/f"), folder=tmp_path / "nowhere")
    assert caught.value.message == f"--from {tmp_path / 'nowhere'} is not a folder"


def test_a_file_system_without_hard_links_is_named(
    server: Server, store: Store, bring: Bring, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(WeightsError) as caught:
        bring(entry(server.host("/f", DATA)))
    assert caught.value.message == f"the file system of {store.root} does not support hard links"


def _files(store: Store) -> tuple[Any, ...]:
    from faceorch.weights.manifest import load_weights

    network = Network(store.root.parent / "networks" / "grey", None)  # type: ignore[arg-type]
    weights = load_weights(reloaded(network))
    assert weights is not None
    assert all(store.find("grey", f).state is State.READY for f in weights.files)
    return weights.files


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
