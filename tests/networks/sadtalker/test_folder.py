"""SadTalker's manifests: the usual settings, and what has to be downloaded for them."""

from __future__ import annotations

import json

import pytest

from faceorch.networks.discover import Network, load_networks
from faceorch.paths import docker_folder
from faceorch.record.request import SettingValue
from faceorch.weights.manifest import load_weights


@pytest.fixture
def network() -> Network:
    return load_networks([docker_folder()])["sadtalker"]


def test_the_defaults_are_those_of_the_usual_command(network: Network) -> None:
    assert network.settings({}) == {
        "size": "512",
        "preprocess": "full",
        "still": True,
        "pose_style": 0,
        "expression_scale": 1.0,
        "enhancer": True,
        "max_size": 1024,
        "batch_size": 1,
        "speed": "exact",
    }


@pytest.mark.parametrize(
    ("settings", "files", "gigabytes"),
    [
        ({}, 6, 1.62),
        ({"enhancer": False}, 4, 1.18),
        ({"size": "256", "preprocess": "crop"}, 6, 1.62),
        ({"preprocess": "resize", "enhancer": False}, 4, 1.18),
    ],
)
def test_only_what_the_settings_need_is_downloaded(
    network: Network, settings: dict[str, SettingValue], files: int, gigabytes: float
) -> None:
    weights = load_weights(network)
    assert weights is not None
    needed = weights.needed(network.settings(settings))
    assert len(needed) == files
    assert sum(file.size for file in needed) / 1e9 == pytest.approx(gigabytes, abs=0.005)


def test_every_weight_has_a_hash_and_its_terms(network: Network) -> None:
    weights = load_weights(network)
    assert weights is not None
    assert all(file.sha256 for file in weights.files)
    assert [file.path for file in weights.files if file.commercial is False] == ["gfpgan/weights/GFPGANv1.4.pth"]


def test_parity_was_recorded_for_the_commit_of_the_manifest(network: Network) -> None:
    recorded = json.loads((network.folder / "parity.json").read_text("utf-8"))
    (code,) = network.manifest.upstream
    assert recorded["upstream"] == {"url": code.url, "commit": code.commit}
    assert set(recorded["settings"]) == set(network.settings({}))
    assert recorded["frames"] >= 20
    assert recorded["worst"] <= 1, "no values but those that are rounded"
    assert recorded["spread"] > 1, "the frames are not one colour"
    assert recorded["moves"] > 10, "and not one picture"
