"""What the runner refuses before anything is loaded."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from faceorch.networks.discover import load_networks
from faceorch_kit.faces import Found
from faceorch_runner import BadInput, Job, Network, NoFace
from faceorch_runner.network import load_network
from tests.networks.conftest import load_code

MANIFEST = load_networks()["liveportrait"]


class Finder:
    """Finds what it is told to find."""

    mesh: NDArray[np.float64] | None = None
    asked = 0

    def look(self, image: Any) -> Found | None:
        """Count, and find."""
        Finder.asked += 1
        return None if Finder.mesh is None else Found(Finder.mesh, turned=0, faces=1)


def frontal_mesh() -> NDArray[np.float64]:
    """Return a mesh whose eyes are level and whose face is 200 pixels wide and as high."""
    mesh = np.zeros((478, 3))
    mesh[152, 1] = 200.0
    mesh[[362, 263, 386, 374], 0] = 80.0
    mesh[454, 0] = 200.0
    return mesh


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Network:
    loaded = load_network(MANIFEST.code, "liveportrait")
    monkeypatch.setattr(load_code("liveportrait", "runner"), "FaceFinder", Finder)
    Finder.asked, Finder.mesh = 0, frontal_mesh()
    return loaded


def job(portrait: Path, tmp_path: Path, **settings: Any) -> Job:
    return Job(
        id="a",
        portrait=portrait,
        audio=tmp_path / "clip.wav",
        seed=0,
        settings=MANIFEST.settings(settings),
        work=tmp_path / "work",
    )


def test_a_portrait_without_a_face_is_refused_before_torch_is_even_imported(
    network: Network, portrait: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)  # whoever imports it now fails
    Finder.mesh = None
    with pytest.raises(NoFace) as caught:
        network.check(job(portrait, tmp_path))
    assert str(caught.value) == "no face found in face.png (256x256): one face seen from the front needed"


def test_a_portrait_is_searched_once(network: Network, portrait: Path, tmp_path: Path) -> None:
    for _ in range(3):
        network.check(job(portrait, tmp_path))
    assert Finder.asked == 1


def test_with_insightface_the_free_models_are_left_alone(network: Network, portrait: Path, tmp_path: Path) -> None:
    network.check(job(portrait, tmp_path, detector="insightface"))
    assert Finder.asked == 0
    portrait.write_bytes(b"x")
    with pytest.raises(BadInput, match=r"^face\.png cannot be read as a picture$"):
        network.check(job(portrait, tmp_path, detector="insightface"))
