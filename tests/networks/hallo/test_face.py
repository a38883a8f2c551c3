"""The square around a face, in portraits of any shape."""

from __future__ import annotations

import numpy as np
import pytest

from tests.networks.conftest import load_code

face = load_code("hallo", "face")


def points(left: float, top: float, width: float, height: float) -> np.ndarray:
    return np.array([[left, top], [left + width, top + height]], np.float64)


@pytest.mark.parametrize(
    ("shape", "where"),
    [
        ((1000, 1000, 3), (400, 400, 150, 200)),
        ((1600, 900, 3), (300, 200, 180, 240)),  # tall
        ((700, 1900, 3), (1500, 100, 150, 220)),  # wide, the face at its right
        ((400, 400, 3), (0, 0, 90, 120)),  # in a corner
    ],
)
def test_the_square_holds_the_face_and_stays_inside(
    shape: tuple[int, int, int], where: tuple[float, float, float, float]
) -> None:
    rows, columns = face.square(shape, points(*where))
    left, top, width, height = where
    assert rows.stop - rows.start == columns.stop - columns.start == 2 * height, "the face fills half of it"
    assert 0 <= rows.start <= top
    assert top + height <= rows.stop <= shape[0]
    assert 0 <= columns.start <= left
    assert left + width <= columns.stop <= shape[1]


def test_a_face_that_fills_the_portrait_gets_the_largest_square() -> None:
    rows, columns = face.square((600, 500, 3), points(60, 80, 350, 460))
    assert (rows.stop - rows.start, columns) == (500, slice(0, 500))


def test_a_square_portrait_whose_face_is_large_enough_stays_as_it_is() -> None:
    assert face.square((512, 512, 3), points(130, 120, 220, 280)) == (slice(0, 512), slice(0, 512))
