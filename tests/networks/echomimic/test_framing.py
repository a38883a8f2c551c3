"""The square around the face, and the mask in it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from faceorch_kit.portrait import Image
from faceorch_runner import BadInput, NoFace
from tests.networks.conftest import load_code

code, detect = load_code("echomimic", "framing"), load_code("echomimic", "detect")


def picture(width: int, height: int) -> Image:
    across, down = np.meshgrid(np.arange(width), np.arange(height))
    return np.stack([across % 256, down % 256, (across + down) % 256], axis=-1).astype(np.uint8)


@pytest.mark.parametrize(
    ("size", "box", "place"),
    [
        ((400, 400), (150, 120, 250, 260), (100, 90, 300, 290)),  # as high as the grown box is wide
        ((400, 400), (0, 0, 120, 140), (0, 15, 180, 195)),  # at the upper left
        ((400, 400), (-20, -30, 100, 110), (0, 10, 160, 170)),  # beyond it
        ((400, 300), (300, 180, 420, 330), (240, 122, 400, 282)),  # beyond the lower right
        ((200, 900), (20, 300, 180, 500), (0, 300, 200, 500)),  # a portrait that is narrower than the crop
    ],
)
def test_the_square_never_leaves_the_picture(
    size: tuple[int, int], box: tuple[int, ...], place: tuple[int, ...]
) -> None:
    image = picture(*size)
    square, mask, found = code.frame(image, code.Box(*box), 64, 0.5, 0.1)
    assert (found.left, found.top, found.right, found.bottom) == place
    assert square.shape == (64, 64, 3)
    assert mask.shape == (64, 64)


def test_the_square_shows_what_is_there() -> None:
    square, _, place = code.frame(picture(200, 200), code.Box(80, 70, 120, 110), 80, 0.5, 0.1)
    assert place.width == 80
    assert (square == picture(200, 200)[50:130, 60:140]).all()


@pytest.mark.parametrize("corner", [(-10, -10), (0, 0), (290, 290)])
def test_the_mask_lies_on_the_face_and_not_on_the_opposite_edge(corner: tuple[int, int]) -> None:
    left, top = corner
    face = code.Box(left, top, left + 120, top + 120)
    _, mask, place = code.frame(picture(400, 400), face, 180, 0.5, 0.1)
    rows, columns = np.nonzero(mask > 127)
    scale = place.width / 180
    assert abs(columns.min() * scale + place.left - max(0, left - 12, place.left)) <= 2
    assert abs(rows.max() * scale + place.top - min(400, top + 132, place.bottom)) <= 3


class TestTheFaceThatCounts:
    image = picture(300, 200)

    def test_is_the_largest_confident_one(self) -> None:
        boxes = [[0, 0, 80.4, 99.6], [10.5, 20.5, 110.4, 140.4], [0, 0, 290, 190]]
        found = choose(self.image, boxes, [0.99, 0.81, 0.8])
        assert found == (detect.Box(10, 20, 110, 140), 2, 0.81)

    def test_boxes_may_be_objects(self) -> None:
        boxes = np.array([[1.0, 2.0, 101.0, 102.0]], dtype=object)
        assert choose(self.image, boxes, [0.9])[0].width == 100

    @pytest.mark.parametrize(("boxes", "sure"), [(None, [None]), ([[0, 0, 100, 100]], [0.8]), ([], [])])
    def test_none_is_told(self, boxes: Any, sure: Any) -> None:
        with pytest.raises(NoFace, match=r"^no face found in p\.png \(300x200\)"):
            choose(self.image, boxes, sure)

    def test_a_small_one_is_told(self) -> None:
        with pytest.raises(BadInput, match=r"^face is 40 px wide in p\.png, 64 px or more needed"):
            choose(self.image, [[0, 0, 40, 60]], [0.99])

    def test_one_that_is_cut_off_is_told(self) -> None:
        with pytest.raises(NoFace, match=r"^the face in p\.png is cut off by the right edge: a whole face needed$"):
            choose(self.image, [[250, 20, 370, 140]], [0.99])

    def test_one_that_is_upside_down_is_told(self) -> None:
        with pytest.raises(NoFace, match=r"^the face in p\.png is upside down: an upright one needed$"):
            choose(self.image, [[100, 20, 220, 140]], [0.99], turn=-1)


def choose(image: Any, boxes: Any, sure: Any, turn: int = 1) -> Any:
    """Choose among faces with eyes, nose and mouth where they belong, or upside down."""
    at = np.array([[0.3, 0.35], [0.7, 0.35], [0.5, 0.55], [0.35, 0.75], [0.65, 0.75]])[::turn]
    points = None
    if boxes is not None:
        points = [
            np.array(box[:2], float) + at * (np.array(box[2:], float) - np.array(box[:2], float)) for box in boxes
        ]
    return detect.choose("p.png", image, boxes, sure, points)
