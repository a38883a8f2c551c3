"""Files that somebody has already."""

from __future__ import annotations

from pathlib import Path

import pytest

from faceorch.errors import WeightsError
from faceorch.weights.store import Store
from tests.unit.weights.conftest import DATA, OTHER, Bring, entry, files_of, on_hub, open_entry, view
from tests.unit.weights.server import POINTER, Server


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
    (seen,) = [store.seen(f) for f in files_of(store)]
    assert seen is not None
    assert seen.how == "adopted"


def test_a_folder_that_is_not_there_is_named(bring: Bring, tmp_path: Path) -> None:
    with pytest.raises(WeightsError) as caught:
        bring(entry("http://127.0.0.1:9/f"), folder=tmp_path / "nowhere")
    assert caught.value.message == f"--from {tmp_path / 'nowhere'} is not a folder"
