"""Real networks in the environments that faceorch builds for them, shared by all tests so that each is built once."""

from __future__ import annotations

import wave
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from faceorch.networks.discover import Network, load_networks
from faceorch.paths import docker_folder, home
from faceorch.record.folder import RunFolder
from faceorch.record.request import Request
from faceorch_runner.network import load_module
from tests.conftest import LIMIT_S, compare_here

ASSETS = Path(__file__).parents[2] / "assets"
NETWORKS = list(load_networks([docker_folder()]).values())
# Taken before any test moves it: environments are large, and the same for every test.
SHARED_HOME = home()
RATE = 24000

Frames = NDArray[np.uint8]


@pytest.fixture
def own_home(monkeypatch: pytest.MonkeyPatch) -> Path:
    """Use the environments that are there already."""
    monkeypatch.setenv("FACEORCH_HOME", str(SHARED_HOME))
    monkeypatch.delenv("FACEORCH_NETWORKS", raising=False)
    monkeypatch.setenv("FACEORCH_JUDGE", "off")
    return SHARED_HOME


@pytest.fixture(scope="session")
def demo_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of the demo's clip, followed by one of silence."""
    path = tmp_path_factory.mktemp("clips") / "speech.wav"
    with wave.open(str(ASSETS / "clip.wav")) as source:
        samples = np.frombuffer(source.readframes(2 * RATE), np.int16)
    return write_samples(path, np.concatenate([samples, np.zeros(RATE, np.int16)]))


def write_samples(path: Path, samples: NDArray[Any]) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.astype("<i2").tobytes())
    return path


def load_code(network: str, module: str, package: str | None = None) -> ModuleType:
    """Return a module of a network's own code, imported as its runner does it.

    Under another `package` it is loaded once more: for tests that put stand-ins in the place of other modules.
    """
    return load_module(docker_folder() / network / "code", package or network, module)


Animate = Callable[..., RunFolder]


@pytest.fixture
def animate(tmp_path: Path) -> Animate:
    """Return a function that walks the whole road with one network and returns the run's folder."""

    def run(network: Network | str, portrait: Path, clip: Path, **changes: Any) -> RunFolder:
        name = network if isinstance(network, str) else network.name
        out = changes.pop("out", tmp_path / "results")
        request: dict[str, Any] = {
            "portrait": str(portrait),
            "clip": str(clip),
            "networks": (name,),
            "runtime": "venv",
            "timeout_s": LIMIT_S,
            **changes,
            "settings": {name: changes.get("settings", {})},
        }
        return compare_here(Request(**request), out=out)

    return run


def frames_of(folder: RunFolder, name: str) -> Frames:
    """Return the decoded frames (frames, height, width, 3) of a network's video."""
    import av

    with av.open(str(folder.video(name))) as container:
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        assert container.streams.video[0].average_rate == Fraction(25)
    return np.stack(pictures)


def can_run_here(network: Network) -> bool:
    """Say whether a network needs neither a GPU nor an image, so that any machine can run it."""
    return not network.missing_files and not network.manifest.needs.gpu and "venv" in network.manifest.needs.runtimes
