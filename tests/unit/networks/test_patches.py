"""A network's patches.py is read, or named."""

from __future__ import annotations

import pytest

from faceorch.errors import ManifestError
from faceorch.networks.discover import Network, load_all
from faceorch.networks.patches import patches_of


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("PATCHES = 1", "{path}: PATCHES must be a tuple of Patch"),
        ("import nothing_of_that_name", "{path}: ModuleNotFoundError: No module named 'nothing_of_that_name'"),
    ],
)
def test_a_broken_patches_file_is_named(patched: Network, code: str, message: str) -> None:
    path = patched.folder / "patches.py"
    path.write_text(code, "utf-8")
    with pytest.raises(ManifestError) as caught:
        patches_of(patched)
    assert caught.value.message == message.format(path=path)


@pytest.mark.parametrize("network", load_all().values(), ids=lambda network: network.name)
def test_every_shipped_patch_belongs_to_a_checkout_of_its_network(network: Network) -> None:
    checkouts = {code.url.rstrip("/").rsplit("/", 1)[-1].lower() for code in network.manifest.upstream}
    assert {patch.file.partition("/")[0].lower() for patch in patches_of(network)} <= checkouts
