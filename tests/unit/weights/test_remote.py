"""Where a file is fetched from: the hub, what stands for it, mirrors; and what the hub states."""

from __future__ import annotations

import hashlib

import msgspec
import pytest

from faceorch.errors import WeightsError
from faceorch.weights.manifest import File
from faceorch.weights.remote import endpoint, make_remote, parse_mirrors
from faceorch.weights.store import Store
from tests.unit.weights import server as http
from tests.unit.weights.conftest import DATA, Bring, entry, files_of, hub, on_hub, open_entry, view
from tests.unit.weights.server import COMMIT, Server


def test_the_hub_vouches_for_what_the_manifest_leaves_open(server: Server, store: Store, bring: Bring) -> None:
    server.host_on_hub("owner/name", "in/repo.bin", DATA)
    bring(open_entry(), mirrors=hub(server))
    (seen,) = [store.seen(f) for f in files_of(store)]
    assert seen is not None
    assert (seen.sha256, seen.revision, seen.how) == (hashlib.sha256(DATA).hexdigest(), COMMIT, "hub")
    before = len(server.heard[f"/cdn/{seen.sha256}"])
    bring(open_entry(), mirrors=hub(server))
    assert len(server.heard[f"/cdn/{seen.sha256}"]) == before


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


def test_hf_endpoint_is_honoured(server: Server, store: Store, bring: Bring, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    server.host_on_hub("owner/name", "in/repo.bin", DATA)
    bring(open_entry())
    assert view(store).read_bytes() == DATA


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


@pytest.mark.parametrize(
    ("address", "sent"),
    [("https://hub.example.org", True), ("http://hub.example.org", False), ("http://localhost:80", True)],
)
def test_what_stands_for_the_hub_gets_the_token_where_nobody_listens(
    monkeypatch: pytest.MonkeyPatch, address: str, sent: bool
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("HF_ENDPOINT", address)
    file = msgspec.convert(entry(on_hub()), File)
    assert make_remote(file, None, None, None, {}).token == ("hf_secret" if sent else None)
