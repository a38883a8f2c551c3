"""EchoMimic's manifests: the seed's settings, what has to be downloaded for them, and what the report says."""

from __future__ import annotations

import json

import pytest

from faceorch.networks.discover import Network, load_networks
from faceorch.paths import docker_folder
from faceorch.weights.manifest import load_weights


@pytest.fixture
def network() -> Network:
    return load_networks([docker_folder()])["echomimic"]


def test_the_defaults_are_the_seeds(network: Network) -> None:
    assert network.settings({}) == {
        "size": 512,
        "steps": 6,
        "guidance": 1.0,
        "fps": 24,
        "window": 12,
        "overlap": 3,
        "seed": 420,
        "crop": 0.5,
        "mask": 0.1,
        "open_end": False,
        "speed": "exact",
    }


def test_only_what_inference_reads_is_downloaded(network: Network) -> None:
    weights = load_weights(network)
    assert weights is not None
    needed = weights.needed(network.settings({}))
    assert len(needed) == len(weights.files) == 6
    assert sum(file.size for file in needed) / 1e9 == pytest.approx(8.89, abs=0.005)


def test_what_is_said_elsewhere_too_has_its_hash(network: Network) -> None:
    weights = load_weights(network)
    assert weights is not None
    assert [file.path for file in weights.files if file.sha256] == [
        "audio_processor/whisper_tiny.pt",
        "sd-vae-ft-mse/diffusion_pytorch_model.safetensors",
    ]


def test_other_pixels_than_upstreams_are_a_caveat(network: Network) -> None:
    said = [(caveat.setting, caveat.equals) for caveat in network.manifest.caveats]
    assert said == [("speed", "tuned"), ("open_end", True)]
    assert network.caveats(network.settings({})) == []


def test_parity_was_recorded_for_the_commit_of_the_manifest(network: Network) -> None:
    recorded = json.loads((network.folder / "parity.json").read_text("utf-8"))
    (code,) = network.manifest.upstream
    assert recorded["upstream"] == {"url": code.url, "commit": code.commit}
    assert set(recorded["settings"]) == set(network.settings({}))
    assert recorded["equal"] == recorded["frames"] > 24, "several windows, every frame equal"
    assert recorded["spread"] > 1, "the frames are not one colour"
