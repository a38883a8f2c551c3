"""What the record takes from a network's folder."""

from __future__ import annotations

import pytest

from faceorch.errors import ManifestError
from faceorch.networks.about import about
from faceorch.networks.discover import load_networks
from faceorch.paths import docker_folder
from tests.conftest import MakeNetwork

NETWORKS = load_networks([docker_folder()])


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_every_network_says_how_it_works_and_what_it_may_be_used_for(name: str) -> None:
    said = about(NETWORKS[name])
    assert said.approach
    assert said.licence
    stated = (NETWORKS[name].folder / "parity.json").is_file()
    assert (said.parity is not None) is stated
    if said.parity is not None:
        assert 0 <= said.parity.equal <= said.parity.frames


@pytest.mark.parametrize("text", ['{"frames": "all"}', "[" * 100_000, "\udcff"])
def test_a_parity_that_cannot_be_read_is_named(make_network: MakeNetwork, text: str) -> None:
    network = make_network("grey")
    assert about(network).parity is None
    (network.folder / "parity.json").write_text(text, "utf-8", "surrogateescape")
    with pytest.raises(ManifestError, match=r"parity\.json cannot be read"):
        about(network)
