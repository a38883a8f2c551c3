"""What the runner refuses before anything is loaded."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from faceorch.networks.discover import load_networks
from faceorch_kit.faces import Found
from faceorch_runner import BadInput, Job, Network, NoFace, Progress
from faceorch_runner.events import EventStream
from faceorch_runner.network import load_network
from tests.networks.conftest import load_code

MANIFEST = load_networks()["liveportrait"]


class Finder:
    """Finds what it is told to find."""

    mesh: NDArray[np.float64] | None = None
    asked = 0
    of = 0  # width of the picture that the mesh is of; 0: of any

    def look(self, image: Any) -> Found | None:
        """Count, and find: a face of the mesh's pixels in a picture as wide as `of`, smaller in smaller ones."""
        Finder.asked += 1
        scale = image.shape[1] / Finder.of if Finder.of else 1.0
        return None if Finder.mesh is None else Found(Finder.mesh * scale, turned=0, faces=1)


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
    Finder.asked, Finder.mesh, Finder.of = 0, frontal_mesh(), 0
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


def test_tuned_is_half_precision_and_says_so(network: Network, portrait: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"^speed=tuned computes in half precision: leave precision at fp16$"):
        network.check(job(portrait, tmp_path, speed="tuned", precision="fp32"))
    network.check(job(portrait, tmp_path, speed="tuned"))


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


def test_a_small_face_is_cut_out_of_the_original(
    network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("RGB", (4000, 3000)).save(tmp_path / "large.png")
    asked = job(tmp_path / "large.png", tmp_path)
    Finder.of = 4000  # 200 pixels wide there, and 64 at 1280
    Finder.mesh = frontal_mesh() * 0.9
    asked = replace(asked, found=network.check(asked))
    small = replace(asked, found=(asked.found[0], False))

    cuts: list[Any] = []

    class Crop:
        def onto(self, scale: float) -> Crop:
            cuts.append(scale)
            return self

    class Cropper:
        def crop(self, picture: Any, points: Any, framing: Any) -> Crop:
            cuts.append((picture.shape, points.max().round()))
            return Crop()

    monkeypatch.setattr(network, "_cropper", Cropper(), raising=False)
    monkeypatch.setattr(network, "_weights", tmp_path)
    original, image = load_code("liveportrait", "runner")._images(asked)
    with open(os.devnull, "wb") as nowhere:
        progress = Progress(EventStream(nowhere.fileno()), "a")
        network._crop(asked, original, image, progress)  # type: ignore[attr-defined]
        network._crop(small, original, image, progress)  # type: ignore[attr-defined]
    assert image.shape == (960, 1280, 3)
    assert cuts == [((3000, 4000, 3), 180.0), 0.32, ((960, 1280, 3), 180.0)]


def test_a_crop_says_where_it_lies_in_a_smaller_picture() -> None:
    crop = load_code("liveportrait", "crop").Crop(np.zeros((4, 4, 3), np.uint8), np.diag([2.0, 2.0, 1.0]), np.zeros(1))
    # The middle of pixel 10 lies 10.5 pixels from the edge, 5.25 in a picture half as wide.
    assert (crop.onto(0.5).back @ [5, 5, 1]).tolist() == [4.75, 4.75, 1.0]


@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_a_crop_knows_the_parts_of_the_face_in_itself_and_in_the_portrait(scale: float) -> None:
    marks = np.tile([110.0, 60.0], (203, 1))
    marks[:48] = (90.0, 40.0)
    marks[48:108] = (100.0, 80.0)
    back = np.array([[2.0, 0.0, 70.0], [0.0, 2.0, 20.0], [0.0, 0.0, 1.0]])
    crop = load_code("liveportrait", "crop").Crop(np.zeros((4, 4, 3), np.uint8), back, marks)
    resized = crop.onto(scale)
    assert {name: points[0].tolist() for name, points in resized.parts(within=True).items()} == {
        "face": [10.0, 10.0],
        "eyes": [10.0, 10.0],
        "mouth": [15.0, 30.0],
    }
    middle = (scale - 1.0) / 2.0
    assert resized.parts()["mouth"][0].tolist() == [100 * scale + middle, 80 * scale + middle]
    assert len(resized.parts()["face"]) == 203
