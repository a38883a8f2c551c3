"""What the runner refuses before anything is loaded."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from liveportrait_face import Face

from faceorch.networks.discover import load_networks
from faceorch_runner import BadInput, Job, Network, NoFace
from faceorch_runner.network import load_network

MANIFEST = load_networks()["liveportrait"]


class Finder:
    """Finds what it is told to find."""

    face: Face | None = None
    asked = 0

    def find(self, image: Any) -> Face | None:
        """Count, and find."""
        Finder.asked += 1
        return Finder.face


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Network:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    loaded = load_network(MANIFEST.folder)
    monkeypatch.setattr(sys.modules["faceorch_network"], "FaceFinder", Finder)
    Finder.asked, Finder.face = 0, Face(np.zeros((68, 2)), 200.0, 0.0, 0.0)
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
    network: Network, portrait: Path, tmp_path: Path
) -> None:
    Finder.face = None
    with pytest.raises(NoFace) as caught:
        network.check(job(portrait, tmp_path))
    assert str(caught.value) == "no face found in face.png (256x256): one face seen from the front needed"
    assert "torch" not in sys.modules


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
