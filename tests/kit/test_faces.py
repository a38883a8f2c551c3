"""Which faces are refused. That one is found in a picture, the networks' own tests show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import pytest

from faceorch_kit.faces import FaceFinder, Found, Points, face_of, refuse
from faceorch_runner import BadInput, NoFace


@dataclass(frozen=True)
class Face:
    width: float
    turn_degrees: float
    tilt_degrees: float


@pytest.mark.parametrize(
    ("face", "message"),
    [
        (None, "no face found in face.png (640x480): one face seen from the front needed"),
        (Face(40.0, 0.0, 0.0), "face is 40 px wide in face.png, 64 px or more needed: crop closer to it"),
        (Face(200.0, 60.0, 0.0), "face is turned aside by 60 degrees in face.png, 45 or less needed"),
        (Face(200.0, 0.0, 50.0), "face is tilted by 50 degrees in face.png, 45 or less needed"),
    ],
)
def test_a_face_that_cannot_be_used_is_refused(face: Face | None, message: str) -> None:
    with pytest.raises((NoFace, BadInput)) as caught:
        refuse("face.png", np.zeros((480, 640, 3), np.uint8), face)
    assert str(caught.value) == message


def test_a_good_face_is_taken() -> None:
    face = Face(200.0, 10.0, 5.0)
    assert refuse("face.png", np.zeros((480, 640, 3), np.uint8), face) is face


class Finder:
    """Finds a face in the middle of every picture, or where it is told to."""

    def __init__(self, share: float = 0.4, turned: int = 0, off: tuple[float, float] = (0.0, 0.0)) -> None:
        self.share, self.turned, self.off = share, turned, off

    def look(self, image: np.ndarray) -> Found:
        side = image.shape[0]
        around = np.linspace(0.0, 2 * np.pi, 478)
        mesh = np.column_stack([np.cos(around), np.sin(around), np.zeros(478)]) * self.share / 2
        middle = np.array([0.5 + self.off[0], 0.5 + self.off[1], 0.0])
        return Found((mesh + middle) * side, self.turned, 1)


def measured(mesh: Points) -> Face:
    return Face(float(np.ptp(mesh[:, 0])), 0.0, 0.0)


def judge(finder: Finder, original: int = 512, shown: int = 512) -> tuple[Face, int]:
    pictures = [np.zeros((side, side, 3), np.uint8) for side in (original, shown)]
    return face_of(cast(FaceFinder, finder), "face.png", pictures[0], pictures[1], measured)


def test_a_whole_upright_face_is_taken() -> None:
    assert judge(Finder())[1] == 1


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
