"""Faces into portraits and frames into larger ones: where pixels go, and which stay as they are."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.networks.conftest import load_code

Image = NDArray[np.uint8]


def picture(height: int, width: int, seed: int = 0) -> Image:
    """Return something that looks like a photograph to a blender: soft noise."""
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return np.asarray(cv2.GaussianBlur(noise, (9, 9), 3), np.uint8)


@pytest.mark.parametrize(
    "box",
    [
        (20, 30, 80, 100),
        (0, 0, 60, 60),
        (67, 90, 128, 160),
        (0, 31, 128, 160),
        (0, 0, 128, 160),
        (127 - 40, 1, 128, 52),
    ],
    ids=["inside", "top-left", "bottom-right", "bottom", "all", "right"],
)
def test_a_face_near_any_edge_is_pasted(box: tuple[int, int, int, int]) -> None:
    portrait = picture(160, 128)
    paste = load_code("sadtalker", "paste").IntoPortrait(portrait, box)
    frame = paste(picture(96, 96, seed=1))
    assert paste.size == (128, 160)
    assert frame.shape == portrait.shape
    left, top, right, bottom = box
    outside = np.ones(portrait.shape[:2], bool)
    outside[top:bottom, left:right] = False
    assert (frame[outside] == portrait[outside]).all()
    inside = (slice(top + 8, bottom - 8), slice(left + 8, right - 8))
    assert np.abs(frame[inside].astype(int) - portrait[inside]).mean() > 2.0


def test_a_box_that_leaves_the_portrait_is_refused_before_anything_is_rendered() -> None:
    with pytest.raises(ValueError, match=r"box \(100, 0, 129, 60\) leaves the 128x160 portrait"):
        load_code("sadtalker", "paste").IntoPortrait(picture(160, 128), (100, 0, 129, 60))


@pytest.mark.parametrize(
    ("width", "height", "size"), [(300, 300, (256, 256)), (300, 301, (256, 256)), (301, 300, (256, 254))]
)
def test_a_face_on_its_own_keeps_its_shape_in_even_sides(width: int, height: int, size: tuple[int, int]) -> None:
    alone = load_code("sadtalker", "paste").OnItsOwn(width, height, 256)
    assert alone.size == size
    assert alone(picture(256, 256)).shape == (size[1], size[0], 3)


@pytest.mark.parametrize(
    "part",
    [(10, 12, 50, 40), (0, 0, 30, 30), (34, 18, 64, 48), (0, 0, 64, 48), (3, 2, 62, 47)],
    ids=["inside", "top-left", "bottom-right", "all", "nearly-all"],
)
def test_enlarging_only_what_changes_gives_the_same_pixels(part: tuple[int, int, int, int]) -> None:
    blend = load_code("sadtalker", "blend")
    still, frame = picture(48, 64), picture(48, 64)
    left, top, right, bottom = part
    frame[top:bottom, left:right] = picture(48, 64, seed=1)[top:bottom, left:right]
    canvas = blend.enlarge(still)
    blend.enlarge_part(frame, part, canvas)
    assert (canvas == blend.enlarge(frame)).all()


POINTS = np.array([[60, 70], [110, 70], [85, 100], [65, 122], [108, 122]], np.float32)


def test_a_face_is_cut_out_where_the_restorer_wants_it() -> None:
    blend = load_code("sadtalker", "blend")
    matrix = blend.aligned(POINTS)
    moved = POINTS @ matrix[:, :2].T + matrix[:, 2]
    assert np.abs(moved - np.array(blend._AT)).max() < 12.0
    assert blend.cut_out(picture(180, 170), matrix).shape == (512, 512, 3)


def test_an_unchanged_face_goes_back_to_where_it_was() -> None:
    blend = load_code("sadtalker", "blend")
    frame = picture(180, 170)
    matrix = blend.aligned(POINTS)
    before = blend.enlarge(frame)
    canvas = before.copy()
    blend.blend(canvas, matrix, blend.cut_out(frame, matrix), np.full((512, 512), 255, np.uint8))
    difference = np.abs(canvas.astype(int) - before)
    assert (difference > 0).any()
    assert difference.mean() < 2.0  # a shift of one pixel would give 10


def test_pixels_outside_of_the_mask_stay() -> None:
    blend = load_code("sadtalker", "blend")
    frame = picture(180, 170)
    matrix = blend.aligned(POINTS)
    canvas = blend.enlarge(frame)
    before = canvas.copy()
    blend.blend(canvas, matrix, np.zeros((512, 512, 3), np.uint8), np.zeros((512, 512), np.uint8))
    assert (canvas == before).all()


@pytest.mark.parametrize("shift", [(-60.0, -70.0), (60.0, 70.0), (-900.0, 0.0)], ids=["cut", "cut-too", "far-away"])
def test_a_face_that_leaves_the_frame_is_no_error(shift: tuple[float, float]) -> None:
    blend = load_code("sadtalker", "blend")
    canvas = blend.enlarge(picture(180, 170))
    before = canvas.copy()
    matrix = blend.aligned(POINTS + np.array(shift, np.float32))
    blend.blend(canvas, matrix, np.full((512, 512, 3), 255, np.uint8), np.full((512, 512), 255, np.uint8))
    assert (canvas == before).all() == (shift[0] < -100)


def test_a_mask_is_soft_and_ends_before_the_border() -> None:
    soft = load_code("sadtalker", "blend").soften(np.full((512, 512), 255, np.uint8))
    assert soft.dtype == np.float32
    assert (soft[:10].max(), soft[:, -10:].max()) == (0.0, 0.0)
    assert soft[256, 256] == pytest.approx(1.0)


def test_noise_differs_by_seed_frame_and_face_and_fits_torch() -> None:
    noise_seed = load_code("sadtalker", "blend").noise_seed
    keys = [(seed, frame, face) for seed in (0, 1, 2**32 - 1) for frame in (0, 1, 100_000) for face in (0, 1, 63)]
    found = {noise_seed(*key) for key in keys}
    assert len(found) == len(keys)
    assert 0 <= min(found) <= max(found) < 2**63


def test_frames_are_finished_at_twice_their_size() -> None:
    paste, blend = load_code("sadtalker", "paste"), load_code("sadtalker", "blend")
    portrait = picture(180, 170)
    composer = paste.IntoPortrait(portrait, (30, 40, 140, 150))
    frame = composer(picture(64, 64, seed=1))
    finish = blend.PasteBack(composer)
    assert finish.size == (340, 360)
    assert (finish(blend.Sharpened(0, frame)) == blend.enlarge(frame)).all()
    matrix = blend.aligned(POINTS * 0.4 + np.array([60, 70], np.float32))
    face = (matrix, np.full((512, 512, 3), 9, np.uint8), np.full((512, 512), 255, np.uint8))
    finished = finish(blend.Sharpened(0, frame, [face]))
    assert finished[220, 188].tolist() == [9, 9, 9]
    assert (finished[:60] == blend.enlarge(frame)[:60]).all()
