"""Hair and background that move, stand still, or go with the head: drawn series and pictures, no model."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from tests.networks.conftest import load_code

pytest.importorskip("scipy", reason="the judge's own scipy is not installed here")

faces, flow, picture = (load_code("judge", name) for name in ("faces", "flow", "picture"))

IOD = 80.0  # pixels
TIMES = 3.0 + np.arange(0.0, 8.0, 1 / 25)  # a shot in the middle of a file


def seen(*, head: float, hair: float, behind: float = 0.0, **changes: Any) -> dict[str, np.ndarray]:
    """Return series in which the head makes `head` IOD/s, and hair and background shares of that.

    They are known in every second frame.
    """
    made = {
        "hair_px_s": head * abs(hair) * IOD,
        "hair_expected_px_s": head * IOD,
        "hair_along": (head * IOD) ** 2 * hair,
        "hair_square": (head * IOD) ** 2,
        "hair_px": 1.5 * IOD**2,
        "background_px_s": head * abs(behind) * IOD,
        "background_along": (2 * head * IOD) ** 2 * behind,
        "background_square": (2 * head * IOD) ** 2,
        "background_share": 0.3,
        "background_texture": 0.4,
    } | changes
    wave = 1 + 0.2 * np.sin(2 * np.pi * TIMES)
    series = {name: np.where(np.arange(len(TIMES)) % 2, np.nan, value * wave) for name, value in made.items()}
    return series | {"iod": np.full(len(TIMES), IOD)}


@pytest.mark.parametrize(
    ("head", "hair", "verdict"),
    [
        (0.4, 0.5, "yes"),  # a real head, whose outline turns less than its face
        (0.1, 1.0, "yes"),  # a picture that sways as a whole
        (0.4, 0.02, "no"),  # a face in a still picture
        (0.9, 0.028, "no"),  # the same, moving so fast that its flow spills over
        (0.4, 0.25, "unclear"),  # something moves, but hardly with the head
        (0.06, 0.25, "unclear"),  # too little to call it still, too little to call it motion
        (0.02, 1.0, "not_measurable"),  # a head that rests
    ],
)
def test_verdicts_on_hair(head: float, hair: float, verdict: str) -> None:
    found = flow.hair_motion(TIMES, seen(head=head, hair=hair))
    assert found.verdict.value == verdict
    assert found.value == pytest.approx(head * hair, rel=0.02)
    assert found.details["follow"] == pytest.approx(hair, rel=0.02)
    assert found.low < found.value < found.high


def test_a_head_that_hardly_moves_is_not_said_to_move_in_a_still_picture() -> None:
    # Seen in a real clip: the landmarks' jitter is most of what the head makes, so that little of it is followed.
    found = flow.hair_motion(TIMES, seen(head=0.054, hair=0.074, hair_px_s=0.015 * IOD))
    assert found.verdict.value == "unclear"


@pytest.mark.parametrize(
    "missing", [{"hair_px": 0.1 * IOD**2}, {"hair_px_s": np.nan}, {"hair_px_s": np.nan, "hair_px": np.nan}]
)
def test_a_head_without_hair_around_it(missing: dict[str, float]) -> None:
    found = flow.hair_motion(TIMES, seen(head=0.4, hair=0.5, **missing))
    assert found.verdict.value == "not_measurable"
    assert found.value is None


@pytest.mark.parametrize(
    ("head", "behind", "verdict", "says"),
    [
        (0.4, 0.0, "no", "still"),
        (0.4, 0.08, "slight", "moves slightly"),
        (0.4, 0.3, "yes", "moves"),
        (0.1, 0.9, "yes", "moves with the head"),
        (0.02, 1.2, "slight", "moves slightly"),  # what the head makes is no more than jitter
    ],
)
def test_verdicts_on_the_background(head: float, behind: float, verdict: str, says: str) -> None:
    found = flow.background(TIMES, seen(head=head, hair=0.5, behind=behind))
    assert (found.verdict.value, found.says) == (verdict, says)
    assert found.value == pytest.approx(head * behind, rel=0.02, abs=1e-9)


def test_a_plain_background_is_said_to_be_plain() -> None:
    assert "plain" in flow.background(TIMES, seen(head=0.4, hair=0.5, background_texture=0.0)).reason
    assert "plain" not in flow.background(TIMES, seen(head=0.4, hair=0.5)).reason


@pytest.mark.parametrize("missing", [{"background_share": 0.04}, {"background_px_s": np.nan}])
def test_a_picture_without_background(missing: dict[str, float]) -> None:
    found = flow.background(TIMES, seen(head=0.4, hair=0.5, **missing))
    assert found.verdict.value == "not_measurable"


def test_figures_do_not_depend_on_the_size_of_the_picture() -> None:
    small = seen(head=0.4, hair=0.5, behind=0.2)
    scale = {"hair_px": 4.0, "iod": 2.0, "background_share": 1.0, "background_texture": 1.0}
    large = {
        name: values * scale.get(name, 4.0 if name.endswith(("along", "square")) else 2.0)
        for name, values in small.items()
    }
    for judged in (flow.hair_motion, flow.background):
        one, other = judged(TIMES, small), judged(TIMES, large)
        assert one.value == pytest.approx(other.value)
        assert one.details == pytest.approx(other.details)


def test_frames_without_a_face_are_left_out() -> None:
    series = seen(head=0.4, hair=0.5)
    for values in series.values():
        values[40:80] = np.nan
    found = flow.hair_motion(TIMES, series)
    assert found.verdict.value == "yes"
    assert found.value == pytest.approx(0.2, rel=0.05)


SIDE, MIDDLE = 320, 160.0  # pixels of the drawn pictures, in which the eyes are 64 apart
PERSON = cv2.ellipse(np.zeros((SIDE, SIDE), np.uint8), ((MIDDLE, MIDDLE), (180.0, 230.0), 0.0), 1, -1)


def texture(seed: int) -> np.ndarray:
    """Return a picture whose every part looks like no other one."""
    made = cv2.GaussianBlur(np.random.default_rng(seed).standard_normal((SIDE, SIDE)), (0, 0), 2.0)
    return np.asarray(np.clip(128 + 50 * made / np.std(made), 0, 255), np.uint8)


def mesh_at(right: float) -> Any:
    """Return a face of 100 by 140 pixels, so far right of the picture's middle."""
    points = np.zeros((478, 3))
    around = np.linspace(0, 2 * np.pi, len(faces.OVAL), endpoint=False)
    points[list(faces.OVAL), 0], points[list(faces.OVAL), 1] = 50 * np.sin(around), -70 * np.cos(around)
    points[33, :2], points[263, :2] = (-32, -20), (32, -20)
    return faces.Mesh(points + np.array([MIDDLE + right, MIDDLE, 0]), np.eye(3), np.zeros(52))


def moved(image: np.ndarray, right: float) -> np.ndarray:
    matrix = np.array([[1, 0, right], [0, 1, 0]], np.float64)
    return cv2.warpAffine(image, matrix, (SIDE, SIDE), borderMode=cv2.BORDER_REFLECT)


@pytest.mark.parametrize(
    ("hair", "behind", "verdicts"),
    [
        (1.0, 0.0, ("moves", "still")),  # a head in front of a wall
        (0.0, 0.0, ("still", "still")),  # a face in a still picture
        (1.0, 1.0, ("moves", "moves with the head")),  # a picture that sways as a whole
    ],
)
def test_drawn_pictures(hair: float, behind: float, verdicts: tuple[str, str]) -> None:
    segmenter = SimpleNamespace(process=lambda image: SimpleNamespace(segmentation_mask=PERSON.astype(np.float32)))
    pictures = picture.Pictures(SimpleNamespace(segmenter=segmenter, embedder=None), None)
    wall, head, face = (texture(seed) for seed in (1, 2, 3))
    times = np.arange(50) / 25
    places = 5 * np.sin(2 * np.pi * 0.8 * times)  # pixels
    rows = []
    for time, place in zip(times, places, strict=True):
        mesh = mesh_at(place)
        made = moved(wall, behind * place)
        person = moved(PERSON, hair * place).astype(bool)
        made[person] = moved(head, hair * place)[person]
        oval = cv2.fillPoly(np.zeros_like(made), [mesh.points[list(faces.OVAL), :2].round().astype(np.int32)], 1)
        made[oval.astype(bool)] = moved(face, place)[oval.astype(bool)]
        rows.append(pictures.look(float(time), np.repeat(made[..., None], 3, axis=2), mesh))
    assert {tuple(row) for row in rows} == {pictures.columns}
    series = {name: np.array([row[name] for row in rows]) for name in pictures.columns}
    series["iod"] = np.full(len(times), mesh_at(0).iod)
    hair_found, behind_found = flow.hair_motion(times, series), flow.background(times, series)
    assert (hair_found.says, behind_found.says) == verdicts
    speed = np.mean(np.abs(places[5:] - places[:-5])) / 0.2 / 64
    assert hair_found.details["expected_iod_s"] == pytest.approx(speed, rel=0.05)
    assert hair_found.value == pytest.approx(hair * speed, rel=0.1, abs=0.01)
    assert hair_found.details["follow"] == pytest.approx(hair, abs=0.1)
    assert behind_found.details["follow"] == pytest.approx(behind, abs=0.1)


def test_a_frame_without_a_face_says_nothing() -> None:
    pictures = picture.Pictures(SimpleNamespace(segmenter=None, embedder=None), None)
    assert np.isnan(list(pictures.look(0.0, np.zeros((64, 64, 3), np.uint8), None).values())).all()
    assert pictures.no_identity == "there is no portrait to compare with"


def test_the_similarity_that_fits_best() -> None:
    start = np.array([0, 1, 1j, 2 + 3j])
    turn, shift = picture.similarity(start, (1 + 1j) * start + 5)
    assert (turn, shift) == (pytest.approx(1 + 1j), pytest.approx(5))


def test_a_blurred_face_is_told_from_a_sharp_one_at_any_size() -> None:
    image, mesh = np.repeat(texture(4)[..., None], 3, axis=2), mesh_at(0)
    sharp = picture.sharpness(image, mesh)
    blurred = picture.sharpness(cv2.GaussianBlur(image, (0, 0), 3), mesh)
    assert 0 < sharp < blurred - 0.1 < 1
    large = cv2.resize(image, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    twice = faces.Mesh(2 * mesh.points, mesh.turn, mesh.shapes)
    assert picture.sharpness(large, twice) == pytest.approx(sharp, abs=0.03)
    assert np.isnan(picture.sharpness(np.zeros_like(image), mesh))
