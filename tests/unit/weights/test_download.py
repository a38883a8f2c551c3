"""Servers that cut, lie, stall, refuse and redirect: never a wrong file in place, nothing brought twice."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from faceorch.errors import WeightsError
from faceorch.weights.store import Store
from tests.unit.weights import server as http
from tests.unit.weights.conftest import DATA, HASTY, STALL_S, Heard, entry, on_hub
from tests.unit.weights.server import POINTER, Answer, Server

Bring = Callable[..., Heard]


def there(store: Store, data: bytes = DATA, path: str = "a/b.bin") -> bool:
    found = store.view("grey") / path
    return found.is_file() and found.read_bytes() == data


def nothing_wrong(store: Store) -> None:
    """Whatever has happened: what has a final name is what its name says."""
    for blob in (store.root / "blobs").iterdir():
        assert store.verify(blob.name) is None


def test_a_file_arrives_and_is_not_asked_for_again(server: Server, store: Store, bring: Bring) -> None:
    file = entry(server.host("/f", DATA))
    assert bring(file).bytes == len(DATA)
    assert there(store)
    assert bring(file).bytes == 0
    assert len(server.heard["/f"]) == 1


@pytest.mark.parametrize(
    ("script", "ranges"),
    [
        ([http.cut(100_000)], [None, "bytes=100000-"]),
        ([http.cut(100_000), http.cut(50_000)], [None, "bytes=100000-", "bytes=150000-"]),
        ([http.cut(0), http.cut(0)], [None, None, None]),
        ([http.status(500), http.status(503), http.good], [None, None, None]),
        ([http.status(429, Retry_After="0")], [None, None]),
        ([http.status(429, Retry_After="Wed, 21 Oct 2015 07:28:00 GMT")], [None, None]),
        ([http.status(408)], [None, None]),
        ([http.cut(100_000), http.ignoring_ranges], [None, "bytes=100000-"]),
        ([http.cut(100_000), http.wrong_range], [None, "bytes=100000-", None]),
        ([http.cut(100_000), http.status(416)], [None, "bytes=100000-", None]),
        ([http.cut(100_000), http.status(500)], [None, "bytes=100000-", "bytes=100000-"]),
        ([http.chunked], [None]),
        ([http.chunked_cut(100_000)], [None, "bytes=100000-"]),
        ([http.compressed], [None]),
    ],
)
def test_what_passes_is_got_over(
    server: Server, store: Store, bring: Bring, script: list[Answer], ranges: list[str | None]
) -> None:
    heard = bring(entry(server.host("/f", DATA, *script)))
    assert there(store)
    assert server.ranges("/f") == ranges
    assert heard.bytes == len(DATA), "the bar ends where the file ends"


def test_progress_gives_new_patience(server: Server, store: Store, bring: Bring) -> None:
    """Ten cuts in a row are no reason to give up while each brings something."""
    bring(entry(server.host("/f", DATA, *[http.cut(25_000)] * 10)))
    assert there(store)


@pytest.mark.parametrize(
    ("always", "message"),
    [
        (http.status(500), "HTTP 500 Internal Server Error, 3 times in a row"),
        (http.status(429), "HTTP 429 Too Many Requests, 3 times in a row"),
        (http.cut(0), "truncated after 0 of 300000 bytes, 3 times in a row"),
    ],
)
def test_what_does_not_pass_is_named(server: Server, store: Store, bring: Bring, always: Answer, message: str) -> None:
    url = server.host("/f", DATA, always=always)
    with pytest.raises(WeightsError) as caught:
        bring(entry(url))
    assert caught.value.message == f"grey/a/b.bin: {url}: {message}"
    assert caught.value.remedy == (
        "check the network and the proxy (HTTPS_PROXY); the same command continues the download"
    )
    assert not there(store)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (
            http.send(POINTER),
            "{url} is not the expected file: a Git LFS pointer, not the file itself "
            "(it stands for 12345 bytes, sha256 4d7a214614ab...)",
        ),
        (
            http.send(POINTER, length=len(DATA)),
            "{url} is not the expected file: a Git LFS pointer, not the file itself",
        ),
        (http.send(b"<!DOCTYPE html><html>Please log in"), "{url} is not the expected file: a web page"),
        (http.send(b'{"error":"Invalid token"}'), "{url} is not the expected file: a server's error message in JSON"),
        (
            http.send(b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>"),
            "{url} is not the expected file: an XML document, which object stores send for errors",
        ),
        (http.send(DATA[:1000]), "{url} is not the expected file: 1000 bytes, 300000 needed"),
        (http.send(DATA + b"x"), "{url} is not the expected file: 300001 bytes, 300000 needed"),
        (http.send(DATA, length=400_000), "{url} is not the expected file: 400000 bytes, 300000 needed"),
        (http.send(b""), "{url} is not the expected file: 0 bytes, 300000 needed"),
        (
            http.send(DATA[::-1]),
            "{url} is not the expected file: damaged, or a different file: sha256 {reversed}..., {sha}... needed",
        ),
        (http.status(404), "{url}: HTTP 404 Not Found"),
        (http.status(410), "{url}: HTTP 410 Gone"),
        (http.status(403), "{url}: HTTP 403 Forbidden"),
        (
            http.status(429, Retry_After="3600"),
            "{host} asks to wait 3600 s (HTTP 429 Too Many Requests)",
        ),
    ],
)
def test_what_cannot_be_right_is_refused_at_once(
    server: Server, store: Store, bring: Bring, answer: Answer, message: str
) -> None:
    url = server.host("/f", DATA, always=answer)
    file = entry(url)
    with pytest.raises(WeightsError) as caught:
        bring(file)
    wanted = message.format(url=url, host=server.url[7:], sha=file["sha256"][:12], reversed=_sha(DATA[::-1])[:12])
    assert caught.value.message.startswith(f"grey/a/b.bin: {wanted}"), caught.value.message
    assert len(server.heard["/f"]) == 1, "asked once, not again and again"
    assert not there(store)
    assert list((store.root / "blobs").iterdir()) == []


def test_a_pointer_of_the_length_promised_but_cut_is_still_named(server: Server, bring: Bring) -> None:
    """A server that promises the whole file and sends a pointer."""
    url = server.host("/f", DATA, always=http.send(POINTER, length=len(DATA)))
    with pytest.raises(WeightsError, match="a Git LFS pointer"):
        bring(entry(url))


def test_a_stall_is_got_over(server: Server, store: Store, bring: Bring) -> None:
    """The stalled connection never ends by itself: whoever waits for it waits for ever."""
    patience = replace(HASTY, stall_s=STALL_S, tries=1000)
    heard = bring(entry(server.host("/f", DATA, http.stall(100_000))), patience=patience)
    assert there(store)
    assert heard.notes[0].startswith("no response for 0.4 s; trying again in ")
    first, *others = server.ranges("/f")
    assert first is None
    starts = [int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0 for asked in others]
    assert starts
    assert starts == sorted(starts), "what has arrived is not asked for again"
    assert heard.bytes == len(DATA)


def test_a_stall_that_does_not_end_is_named(server: Server, store: Store, bring: Bring) -> None:
    url = server.host("/f", DATA, always=http.stall(0))
    with pytest.raises(WeightsError) as caught:
        bring(entry(url), patience=replace(HASTY, stall_s=STALL_S))
    assert caught.value.message == f"grey/a/b.bin: {url}: no response for 0.4 s, 3 times in a row"
    assert not there(store)


def test_a_trickle_counts_as_a_stall(server: Server, store: Store, bring: Bring) -> None:
    """On a clock by which ten seconds pass with every piece of the trickle, and none afterwards."""
    ticks = itertools.count(0, 10)
    patience = replace(HASTY, clock=lambda: float(next(ticks)) if len(server.heard["/f"]) < 2 else 0.0)
    heard = bring(entry(server.host("/f", DATA, http.trickle(1, 0.01))), patience=patience)
    assert there(store)
    assert re.fullmatch(r"only \d+ bytes in \d+ s; trying again in 0 s", heard.notes[0])
    assert len(server.ranges("/f")) == 2


def test_redirects_are_followed_and_the_token_stays_at_home(
    server: Server, store: Store, bring: Bring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with Server() as cdn:
        there_url = cdn.host("/data", DATA, http.cut(1000)).replace("127.0.0.1", "localhost")
        path = f"/owner/name/resolve/{http.COMMIT}/in/repo.bin"
        server.host(path, DATA, always=http.redirect(there_url))
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        bring(entry(on_hub()))
        assert there(store)
        assert [h.get("authorization") for h in server.heard[path]] == ["Bearer hf_secret"] * 2
        assert [h.get("authorization") for h in cdn.heard["/data"]] == [None, None]
        assert cdn.ranges("/data") == [None, "bytes=1000-"], "the range survives the redirect"
        cdn.shutdown()


def test_a_mirror_gets_no_token(server: Server, store: Store, bring: Bring, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    path = f"/owner/name/resolve/{http.COMMIT}/in/repo.bin"
    server.host(path, DATA)
    bring(entry(on_hub()), mirrors={"https://huggingface.co": server.url})
    assert there(store)
    assert [h.get("authorization") for h in server.heard[path]] == [None]


def test_a_redirect_in_circles_is_named(server: Server, bring: Bring) -> None:
    url = server.host("/f", DATA, always=http.redirect("/f"))
    with pytest.raises(WeightsError, match=r"Exceeded 30 redirects"):
        bring(entry(url))


def test_a_server_that_is_not_there_is_named(bring: Bring, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with pytest.raises(WeightsError) as caught:
        bring(entry("http://127.0.0.1:9/f"))
    assert caught.value.message == ("grey/a/b.bin: http://127.0.0.1:9/f: Connection refused, 3 times in a row")


def test_a_proxy_is_used_and_a_broken_one_named(
    server: Server, store: Store, bring: Bring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("HTTP_PROXY", server.url)
    monkeypatch.setenv("http_proxy", server.url)
    server.host("http://weights.example/f", DATA)
    bring(entry("http://weights.example/f"))
    assert there(store)
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with pytest.raises(WeightsError) as caught:
        bring(entry("http://weights.example/g", DATA[:10], path="g"))
    assert caught.value.message.startswith("grey/g: the proxy fails: ")
    assert caught.value.remedy == "fix HTTPS_PROXY, HTTP_PROXY or NO_PROXY"


def test_a_gated_repository_says_how_to_get_in(server: Server, bring: Bring) -> None:
    path = f"/owner/name/resolve/{http.COMMIT}/in/repo.bin"
    server.host(path, DATA, always=http.status(403, X_Error_Message="Access to model owner/name is restricted"))
    with pytest.raises(WeightsError) as caught:
        bring(entry(on_hub()), mirrors={"https://huggingface.co": server.url})
    assert caught.value.message == (
        f"grey/a/b.bin: {server.url}{path}: HTTP 403 Access to model owner/name is restricted"
    )
    assert caught.value.remedy == (
        "accept its terms at https://huggingface.co/owner/name, then set HF_TOKEN (or: hf auth login)"
    )


def test_a_damaged_beginning_is_noticed_and_thrown_away(server: Server, store: Store, bring: Bring) -> None:
    file = entry(server.host("/f", DATA))
    (store.root / "partial" / file["sha256"]).write_bytes(b"x" * 1000)
    heard = bring(file)
    assert there(store)
    assert server.ranges("/f") == ["bytes=1000-", None]
    assert heard.notes == [
        "the partial download was damaged, or a different file: sha256 "
        f"{_sha(b'x' * 1000 + DATA[1000:])[:12]}..., {file['sha256'][:12]}... needed; starting again"
    ]


def _sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("left", [len(DATA), len(DATA) + 5])
def test_a_whole_or_too_long_partial_file_is_handled(server: Server, store: Store, bring: Bring, left: int) -> None:
    file = entry(server.host("/f", DATA))
    (store.root / "partial" / file["sha256"]).write_bytes((DATA + b"extra")[:left])
    bring(file)
    assert there(store)
    assert server.ranges("/f") == ([] if left == len(DATA) else [None]), "what is whole is not asked for at all"


def test_one_failure_does_not_stop_the_others(server: Server, store: Store, bring: Bring) -> None:
    files = [entry(server.host(f"/{i}", DATA[: 1000 + i]), DATA[: 1000 + i], path=f"{i}") for i in range(6)]
    server.always["/3"] = server.always["/4"] = http.status(404)
    with pytest.raises(WeightsError) as caught:
        bring(*files)
    assert caught.value.message == f"grey/4: {server.url}/4: HTTP 404 Not Found (and 1 more)"
    assert [there(store, DATA[: 1000 + i], str(i)) for i in range(6)] == [True, True, True, False, False, True]


def test_no_space_is_said_before_anything_is_begun(server: Server, bring: Bring, tmp_path: Path) -> None:
    file: dict[str, Any] = entry(server.host("/f", DATA), size=10**15)
    with pytest.raises(WeightsError) as caught:
        bring(file)
    assert caught.value.message.startswith(f"{tmp_path / 'store'} has ")
    assert caught.value.message.endswith(" free, 1000000.1 GB needed for 1 file")
    assert caught.value.remedy == "free some space (faceorch weights rm), choose another --dir, or name fewer networks"
    assert server.heard["/f"] == []
