"""Portraits on their way in."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from faceorch_kit import portrait
from faceorch_runner import BadInput


def test_pictures_come_out_with_even_sides_and_within_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "face.png"
    cv2.imwrite(str(path), np.full((801, 601, 3), (255, 0, 0), np.uint8))
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
