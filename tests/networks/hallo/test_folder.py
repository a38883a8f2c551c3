"""Hallo's manifests: the seed's settings, what has to be downloaded for them, and what the report says of `tuned`."""

from __future__ import annotations

import json

import pytest

from faceorch.networks.discover import Network, load_networks
from faceorch.paths import docker_folder
from faceorch.record.request import SettingValue
from faceorch.weights.manifest import load_weights


@pytest.fixture
def network() -> Network:
    return load_networks([docker_folder()])["hallo"]


def test_the_defaults_are_the_seeds(network: Network) -> None:
    assert network.settings({}) == {
        "size": 512,
        "crop": True,
        "steps": 40,
        "guidance": 3.5,
        "pose_weight": 1.0,
        "face_weight": 1.0,
        "lip_weight": 1.0,
        "face_expand_ratio": 1.2,
        "vocal_separation": True,
        "speed": "exact",
    }


@pytest.mark.parametrize(("settings", "files", "gigabytes"), [({}, 14, 5.91), ({"vocal_separation": False}, 10, 5.84)])
def test_only_what_inference_reads_is_downloaded(
    network: Network, settings: dict[str, SettingValue], files: int, gigabytes: float
) -> None:
    weights = load_weights(network)
    assert weights is not None
    needed = weights.needed(network.settings(settings))
    assert len(needed) == files
    assert sum(file.size for file in needed) / 1e9 == pytest.approx(gigabytes, abs=0.005)


def test_models_for_research_only_are_named(network: Network) -> None:
    weights = load_weights(network)
    assert weights is not None
    assert [file.path for file in weights.files if file.commercial is False] == [
        "face_analysis/models/scrfd_10g_bnkps.onnx",
        "face_analysis/models/glintr100.onnx",
    ]


def test_other_rounding_is_a_caveat(network: Network) -> None:
    assert [(caveat.setting, caveat.equals) for caveat in network.manifest.caveats] == [("speed", "tuned")]


def test_parity_was_recorded_for_the_commit_of_the_manifest(network: Network) -> None:
    recorded = json.loads((network.folder / "parity.json").read_text("utf-8"))
    (code,) = network.manifest.upstream
    assert recorded["upstream"] == {"url": code.url, "commit": code.commit}
    assert set(recorded["settings"]) == set(network.settings({}))
    assert recorded["equal"] == recorded["frames"] > 16, "more than one clip, every frame equal"
    assert recorded["spread"] > 1, "the frames are not one colour"
