"""weights.yaml: strict, typed, and one shape for hub files and URLs alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from faceorch.errors import ManifestError
from faceorch.networks.discover import load_all
from faceorch.weights.manifest import Weights, load_weights
from tests.conftest import MakeNetwork

COMMIT = "0123456789abcdef" * 2 + "01234567"
HUB = {"repo": "owner/name", "revision": COMMIT, "file": "in/repo.bin"}


def entry(**changes: Any) -> dict[str, Any]:
    plain = {"path": "a/b.bin", "source": HUB, "size": 10, "sha256": "0" * 64, "licence": "MIT", "commercial": True}
    return {**plain, "why": "the renderer", **changes}


def read(make_network: MakeNetwork, *files: dict[str, Any]) -> Weights:
    network = make_network("grey")
    (network.folder / "weights.yaml").write_text(yaml.safe_dump({"schema": 1, "files": list(files)}), "utf-8")
    weights = load_weights(network)
    assert weights is not None
    return weights


def test_a_network_without_the_file_needs_no_weights(make_network: MakeNetwork) -> None:
    assert load_weights(make_network("grey")) is None


def test_every_manifest_that_ships_is_readable() -> None:
    for network in load_all().values():
        load_weights(network)


def test_a_source_has_one_name_whoever_serves_it(make_network: MakeNetwork) -> None:
    url = {"url": "https://example.org/c.bin"}
    hub, page = read(make_network, entry(), entry(path="c.bin", source=url)).files
    assert hub.source.key == f"https://huggingface.co/owner/name/resolve/{COMMIT}/in/repo.bin"
    assert page.source.key == "https://example.org/c.bin"


def test_a_file_may_belong_to_values_of_a_setting(make_network: MakeNetwork) -> None:
    weights = read(
        make_network,
        entry(path="always"),
        entry(path="loud", when={"setting": "loud", "equals": True}),
        entry(path="mode", when={"setting": "mode", "equals": ["a", "b"]}),
    )
    assert [f.path for f in weights.needed({"loud": False, "mode": "b"})] == ["always", "mode"]
    assert [f.path for f in weights.needed({"loud": True, "mode": "c"})] == ["always", "loud"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sha265": "0"}, "unknown key 'sha265' (did you mean 'sha256'?) in 'files[0]'"),
        ({"sha256": "0"}, "files[0].sha256: Expected `str` matching regex '^[0-9a-f]{64}$'"),
        ({"path": "../x"}, "files[0]: '../x' is not a plain relative path"),
        ({"path": "/x"}, "files[0]: '/x' is not a plain relative path"),
        ({"path": "a//x"}, "files[0]: 'a//x' is not a plain relative path"),
        ({"source": {"repo": "o/n"}}, "files[0].source: 'repo', 'revision' and 'file' go together"),
        ({"source": {}}, "files[0].source: a source has either 'url', or 'repo', 'revision' and 'file'"),
        (
            {"source": {**HUB, "url": "https://example.org"}},
            "files[0].source: a source has either 'url', or 'repo', 'revision' and 'file'",
        ),
        ({"when": {"setting": "size2", "equals": 1}}, "a/b.bin: grey has no setting 'size2'"),
        ({"when": {"setting": "size", "equals": 1}}, "a/b.bin: when.equals: 1 is outside 16 to 128"),
        ({"when": {"setting": "loud", "equals": 1}}, "a/b.bin: when.equals: 1 is not on or off"),
    ],
)
def test_a_wrong_entry_is_named(make_network: MakeNetwork, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ManifestError) as caught:
        read(make_network, entry(**changes))
    assert Path(caught.value.message.split(": ")[0]).name == "weights.yaml"
    assert caught.value.message.partition(": ")[2] == message


def test_two_files_at_one_place_are_refused(make_network: MakeNetwork) -> None:
    with pytest.raises(ManifestError, match=r"two files have the path 'a/b\.bin/c'"):
        read(make_network, entry(), entry(path="a/b.bin/c"))
