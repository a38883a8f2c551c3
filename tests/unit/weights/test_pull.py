"""Files come at the same time, from whoever has them, and are held to what is stated of them."""

from __future__ import annotations

import hashlib
import shutil
import threading

import pytest

from faceorch.errors import WeightsError
from faceorch.weights.store import Store
from tests.conftest import LIMIT_S, wait_until
from tests.unit.weights import server as http
from tests.unit.weights.conftest import DATA, OTHER, Bring, Heard, entry, files_of, hub, open_entry, view
from tests.unit.weights.server import COMMIT, Server


def test_one_hash_from_two_places_is_fetched_from_whichever_answers(server: Server, store: Store, bring: Bring) -> None:
    gone = server.host("/gone", DATA, always=http.status(404))
    heard = bring(entry(gone, path="one"), entry(server.host("/f", DATA), path="two"))
    assert view(store, "one").samefile(view(store, "two"))
    assert heard.notes == [f"{gone}: HTTP 404 Not Found; trying another source"]


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
    (seen,) = [store.seen(f) for f in files_of(store)]
    assert seen is not None
    assert (seen.sha256, seen.how) == (hashlib.sha256(DATA).hexdigest(), "first download")
    store.blob(seen.sha256).unlink()
    shutil.rmtree(store.view("grey"))
    server.host("/f", OTHER)
    with pytest.raises(WeightsError, match="damaged, or a different file"):
        bring(file)  # from now on the first one counts


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
