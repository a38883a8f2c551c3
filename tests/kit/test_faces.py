"""Which faces are refused. That one is found in a picture, the networks' own tests show."""

from __future__ import annotations

import os
from typing import cast

import numpy as np
import pytest

from faceorch_kit.faces import FaceFinder, Found, find_face, find_largest
from faceorch_kit.portrait import which_face
from faceorch_runner import BadInput, Event, EventParser, NoFace, Progress
from faceorch_runner.events import EventStream

SIDES = ("left", "top", "width", "height")


def held(mesh: np.ndarray, turn: float = 0.0, tilt: float = 0.0) -> np.ndarray:
    """The mesh with its eyes so far apart, and so held, as degrees say."""
    turned, tilted = np.radians(turn), np.radians(tilt)
    across = 40 * np.array([np.cos(turned) * np.cos(tilted), np.cos(turned) * np.sin(tilted), np.sin(turned)])
    middle = mesh.mean(axis=0)
    mesh[[33, 133, 159, 145]], mesh[[362, 263, 386, 374]] = middle - across / 2, middle + across / 2
    return mesh


def test_a_mesh_says_how_wide_a_face_is_and_how_it_is_held() -> None:
    mesh = np.zeros((478, 3))
    mesh[234], mesh[454] = (0, 60, 0), (60, 60, 0)
    found = Found(held(mesh, turn=20, tilt=-30), 0, 1)
    assert found.width == 60
    assert (round(found.turn_degrees, 6), round(found.tilt_degrees, 6)) == (20, 30)


@pytest.mark.parametrize(("middle", "where"), [(0, "on the left"), (450, "in the middle"), (899, "on the right")])
def test_of_several_faces_it_is_said_which_one_counts(middle: float, where: str) -> None:
    said = which_face(3, middle, np.zeros((10, 900, 3), np.uint8))
    assert said == f"3 faces found in the portrait; the largest, {where}, is used"


class Finder:
    """Finds a face in the middle of every picture, or where it is told to."""

    def __init__(
        self, share: float = 0.4, turned: int = 0, off: tuple[float, float] = (0.0, 0.0), **how: float
    ) -> None:
        self.share, self.turned, self.off, self.how = share, turned, off, how

    def look(self, image: np.ndarray) -> Found | None:
        if not self.share:
            return None
        side = image.shape[0]
        around = np.linspace(0.0, 2 * np.pi, 478)
        mesh = np.column_stack([np.cos(around), np.sin(around), np.zeros(478)]) * self.share / 2
        mesh[234], mesh[454] = (-self.share / 2, 0, 0), (self.share / 2, 0, 0)
        middle = np.array([0.5 + self.off[0], 0.5 + self.off[1], 0.0])
        return Found(held((mesh + middle) * side, **self.how), self.turned, 1)


def judge(finder: Finder, original: int = 512, shown: int = 512) -> Found:
    pictures = [np.zeros((side, side, 3), np.uint8) for side in (original, shown)]
    return find_face(cast(FaceFinder, finder), "face.png", pictures[0], pictures[1])


def test_a_whole_upright_face_is_taken() -> None:
    assert judge(Finder(turn=10, tilt=5)).faces == 1


@pytest.mark.parametrize(
    ("finder", "message"),
    [
        (Finder(share=0), "no face found in face.png (512x512): one face seen from the front needed"),
        (Finder(share=0.08), "face is 41 px wide in face.png, 64 px or more needed: crop closer to it"),
        (Finder(turn=60), "face is turned aside by 60 degrees in face.png, 45 or less needed"),
        (Finder(tilt=50), "face is tilted by 50 degrees in face.png, 45 or less needed"),
    ],
)
def test_a_face_that_cannot_be_used_is_refused(finder: Finder, message: str) -> None:
    with pytest.raises((NoFace, BadInput)) as caught:
        judge(finder)
    assert str(caught.value) == message


@pytest.mark.parametrize(("turned", "how"), [(1, "on its side"), (2, "upside down"), (3, "on its side")])
def test_a_turned_face_is_refused(turned: int, how: str) -> None:
    with pytest.raises(NoFace, match=f"^the face in face.png is {how}: an upright one needed$"):
        judge(Finder(turned=turned))


@pytest.mark.parametrize(
    ("edge", "off"),
    [("left", (-0.5, 0.0)), ("right", (0.4, 0.0)), ("upper", (0.0, -0.5)), ("lower", (0.0, 0.4))],
)
def test_a_face_that_is_cut_off_is_refused(edge: str, off: tuple[float, float]) -> None:
    with pytest.raises(NoFace, match=f"^the face in face.png is cut off by the {edge} edge: a whole face needed$"):
        judge(Finder(off=off, turned=1))


def test_a_face_is_measured_in_the_pixels_of_its_file() -> None:
    with pytest.raises(BadInput) as caught:
        judge(Finder(share=0.05), original=4000, shown=512)
    assert str(caught.value) == (
        "face is 26 px wide at the size of the video (200 px in face.png), 64 px or more needed: "
        "crop closer to it, or raise max_size"
    )


@pytest.mark.parametrize(("share", "side"), [(0.05, 4000), (0.4, 512)])
def test_a_network_that_crops_gets_the_picture_in_which_the_face_is_large_enough(share: float, side: int) -> None:
    original, shown = (np.zeros((pixels, pixels, 3), np.uint8) for pixels in (4000, 512))
    found, picture = find_largest(cast(FaceFinder, Finder(share)), "face.png", original, shown)
    assert picture is (original if side == 4000 else shown)
    assert found.width == pytest.approx(share * side)


def test_a_face_that_is_small_in_the_file_too_is_refused() -> None:
    with pytest.raises(BadInput) as caught:
        judge(Finder(share=0.01), original=4000, shown=512)
    assert str(caught.value) == "face is 40 px wide in face.png, 64 px or more needed: crop closer to it"


def test_where_the_face_is_in_the_portrait_is_told() -> None:
    mesh = np.full((478, 3), 50.0)
    mesh[10], mesh[33], mesh[263] = (40, 20, 0), (42, 30, 0), (58, 30, 0)
    mesh[61], mesh[17] = (45, 70, 0), (50, 80, 0)
    read, write = os.pipe()
    Found(mesh, 0, 1).tell(Progress(EventStream(write), "a"), np.zeros((100, 200, 3), np.uint8))
    os.close(write)
    with open(read, "rb") as pipe:
        told = [event.to_json() for event in EventParser().feed(pipe.read()) if isinstance(event, Event)]
    boxes = {event["name"]: [event[side] for side in SIDES] for event in told if event["event"] == "box"}
    assert boxes == {
        "face": [0.2, 0.2, 0.09, 0.6],
        "eyes": [0.21, 0.3, 0.08, 0.2],
        "mouth": [0.225, 0.5, 0.025, 0.3],
    }
    assert {event["picture"] for event in told if event["event"] == "box"} == {"portrait"}
