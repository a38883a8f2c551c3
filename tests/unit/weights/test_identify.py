"""What a wrong file is, in words."""

from __future__ import annotations

import hashlib

import pytest

from faceorch.weights.store import Store
from tests.unit.weights.conftest import DATA, Bring, entry, view
from tests.unit.weights.server import POINTER, Server


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
