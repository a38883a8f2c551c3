"""Portraits on their way in."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from faceorch_kit import portrait
from faceorch_runner import BadInput, NoFace


def test_pictures_come_out_with_even_sides_and_within_the_limit(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"not UTF-8 \xff.png")
    path.write_bytes(cv2.imencode(".png", np.full((801, 601, 3), (255, 0, 0), np.uint8))[1].tobytes())
    image = portrait.read(path)
    assert image[0, 0].tolist() == [0, 0, 255]
    assert portrait.fit(image, 1280).shape == (800, 600, 3)
    assert portrait.fit(image, 400).shape == (400, 300, 3)
    assert portrait.fit(np.zeros((1000, 33, 3), np.uint8), 500).shape == (500, 16, 3)


@pytest.mark.parametrize(
    ("size", "most", "found"), [((64, 48), 1024, (64, 48)), ((65, 49), 1024, (64, 48)), ((400, 301), 128, (128, 96))]
)
def test_a_portrait_is_no_larger_than_asked(size: tuple[int, int], most: int, found: tuple[int, int]) -> None:
    image = np.full((size[1], size[0], 3), (30, 20, 10), np.uint8)
    fitted = portrait.fit(image, most)
    assert (fitted.shape[1], fitted.shape[0]) == found
    assert fitted[0, 0].tolist() == [30, 20, 10]
    assert fitted.flags.c_contiguous


def test_a_portrait_as_narrow_as_can_be_keeps_two_pixels() -> None:
    assert portrait.fit(np.zeros((4000, 32, 3), np.uint8), 64).shape == (64, 2, 3)


def test_a_picture_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    path = tmp_path / "face.png"
    path.write_bytes(b"")
    with pytest.raises(BadInput, match=r"^face\.png cannot be read as a picture$"):
        portrait.read(path)
    cv2.imwrite(str(path), np.zeros((20, 90, 3), np.uint8))
    with pytest.raises(BadInput, match=r"^face\.png is 90x20, 32 px or more a side needed$"):
        portrait.read(path)


def test_what_is_wrong_with_a_face_is_said_in_one_sentence() -> None:
    image = np.zeros((480, 640, 3), np.uint8)
    assert (
        str(portrait.no_face("a.png", image)) == "no face found in a.png (640x480): one face seen from the front needed"
    )
    assert (
        str(portrait.small_face("a.png", 39.6, 64))
        == "face is 40 px wide in a.png, 64 px or more needed: crop closer to it"
    )
    assert str(portrait.small_face("a.png", 15.0, 16, 4.0)) == (
        "face is 15 px wide at the size of the video (60 px in a.png), 16 px or more needed: "
        "crop closer to it, or raise max_size"
    )


POINTS = np.array([[-20, -15], [20, -15], [0, 5], [-15, 25], [15, 25]], np.float64)  # of a face 100 pixels wide


def check_points(x: float = 150, y: float = 100, degrees: float = 0.0, tall: float = 60.0) -> None:
    """Check a face around (x, y) in a picture of 300x200, turned clockwise in the picture."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    points = POINTS @ np.array([[c, s], [-s, c]]) + (x, y)
    portrait.check_points("a.png", np.zeros((200, 300, 3), np.uint8), (x - 50, y - tall, x + 50, y + tall), points)


@pytest.mark.parametrize("where", [{}, {"degrees": 40}, {"degrees": -40}, {"x": 41}, {"y": 40}])
def test_a_whole_upright_face_of_five_points_is_taken(where: dict[str, float]) -> None:
    check_points(**where)


@pytest.mark.parametrize(
    ("where", "what"),
    [
        ({"x": 10}, "cut off by the left edge: a whole face needed"),
        ({"x": 290}, "cut off by the right edge: a whole face needed"),
        ({"y": 180, "tall": 20}, "cut off by the lower edge: a whole face needed"),
        ({"y": 10, "tall": 40}, "cut off by the upper edge: a whole face needed"),
        ({"degrees": 180}, "upside down: an upright one needed"),
        ({"degrees": 150}, "upside down: an upright one needed"),
        ({"degrees": 90}, "on its side: an upright one needed"),
        ({"degrees": -60}, "on its side: an upright one needed"),
    ],
)
def test_a_face_of_five_points_that_is_cut_off_or_turned_is_refused(where: dict[str, float], what: str) -> None:
    with pytest.raises(NoFace, match=rf"^the face in a\.png is {what}$"):
        check_points(**where)


@pytest.mark.parametrize(
    ("scores", "sure", "what"),
    [
        ((0.999, 0.99, 0.99, 0.99), 0.99, None),
        ((0.0, 0.97, 0.99, 0.97), 0.995, None),  # lost in its surroundings, but found in the picture
        ((1.0, 1.0, 1.0, 1.0), 1.0, None),
        ((0.99, 0.99, 0.9999, 0.99), 0.99, "upside down"),
        ((0.9, 0.999, 0.9, 0.9), 0.9, "on its side"),
        ((0.9, 0.9, 0.9, 0.999), 0.9, "on its side"),
    ],
)
def test_a_detector_that_is_surer_of_a_turned_face_tells_that_it_is_turned(
    scores: tuple[float, ...], sure: float, what: str | None
) -> None:
    picture = np.zeros((40, 60, 3), np.uint8)
    picture[0, 0] = 255  # the corner says how a view is turned

    def surest(view: portrait.Image) -> float:
        lit = [bool(view[corner].any()) for corner in ((0, 0), (-1, 0), (-1, -1), (0, -1))]
        return scores[lit.index(True)]

    def check() -> None:
        portrait.check_upright("a.png", picture, (20, 10, 40, 30), sure, surest)

    if what is None:
        check()
    else:
        with pytest.raises(NoFace, match=rf"^the face in a\.png is {what}: an upright one needed$"):
            check()
