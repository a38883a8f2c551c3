"""Faces sharpened frame after frame: the GPU has the next frame to look at before the last one's faces are fetched."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from faceorch_kit.stream import Clock
from faceorch_runner import RunnerError
from tests.networks.conftest import load_code

torch: Any = pytest.importorskip("torch", reason="faces are tensors")

SIDE = 512
POINTS = ((40, 40), (80, 40), (60, 60), (45, 80), (75, 80))


class Detector:
    """Finds as many faces in a picture as its first pixel says, and remembers what it was asked, and when."""

    memory = None

    def __init__(self, happened: list[tuple[str, int]]) -> None:
        self.happened = happened
        self.asked = 0

    def for_frames(self, *, tuned: bool) -> Callable[[list[Any]], Callable[[], list[Any]]]:
        def begin(pictures: list[Any]) -> Callable[[], list[Any]]:
            number = self.asked
            self.asked += 1
            self.happened.append(("look", number))

            def faces() -> list[Any]:
                self.happened.append(("seen", number))
                row = np.array([0, 0, 99, 99, 0.99, *np.ravel(POINTS)], np.float32)
                return [np.stack([row] * int(picture[0, 0, 0])) if picture[0, 0, 0] else [] for picture in pictures]

            return faces

        return begin


@pytest.fixture
def enhancer(monkeypatch: pytest.MonkeyPatch) -> Any:
    """An enhancer whose networks return grey faces, and `happened`: what it did, in order."""
    package = f"sadtalker-{uuid.uuid4().hex}"
    stand_ins: dict[str, dict[str, Any]] = {
        "facexlib": {},
        "facexlib.parsing": {},
        "facexlib.parsing.parsenet": {"ParseNet": None},
        "spandrel": {},
        "spandrel.architectures": {},
        "spandrel.architectures.GFPGAN": {"GFPGAN": None},
        f"faceorch_networks.{package}.detect": {"FaceDetector": Detector, "Faces": Any},
    }
    for name, content in stand_ins.items():
        module = ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)
    kind = load_code("sadtalker", "enhance", package).Enhancer
    made = kind.__new__(kind)
    made.happened = []
    made._detector, made._device, made._stored, made.faces = Detector(made.happened), "cpu", {}, 0
    made.finite = True

    def restored(pixels: Any) -> tuple[Any, ...]:
        made.happened.append(("restore", len(pixels)))
        masks = torch.zeros(pixels.shape[:3], dtype=torch.uint8)
        return torch.full_like(pixels, 77), masks, torch.tensor(made.finite)

    made._restorers = {False: restored}
    return made


def frames(*faces: int) -> Iterator[Any]:
    for count in faces:
        yield np.full((96, 96, 3), count, np.uint8)


def sharpened(enhancer: Any, pictures: Iterator[Any], batch: int) -> Iterator[Any]:
    result: Iterator[Any] = enhancer.sharpen(pictures, batch, 7, Clock())
    return result


def test_the_next_frame_is_looked_at_before_the_last_ones_faces_are_fetched(enhancer: Any) -> None:
    for number, frame in enumerate(sharpened(enhancer, frames(1, 1, 1), 1)):
        assert frame.index == number
        enhancer.happened.append(("out", number))
    done = [entry for entry in enhancer.happened if entry[0] != "restore"]
    assert done[:5] == [("look", 0), ("seen", 0), ("look", 1), ("out", 0), ("seen", 1)]
    assert done[-2:] == [("seen", 2), ("out", 2)]


@pytest.mark.parametrize("batch", [1, 2, 4])
def test_every_frame_comes_once_with_its_own_faces(batch: int, enhancer: Any) -> None:
    found = list(sharpened(enhancer, frames(2, 0, 1, 3, 1), batch))
    assert [(frame.index, int(frame.frame[0, 0, 0]), len(frame.faces)) for frame in found] == [
        (0, 2, 2),
        (1, 0, 0),
        (2, 1, 1),
        (3, 3, 3),
        (4, 1, 1),
    ]
    assert all(int(face[0, 0, 0]) == 77 for frame in found for _, face, _ in frame.faces)
    assert enhancer.faces == 7
    assert max(count for what, count in enhancer.happened if what == "restore") <= batch


def test_no_frames_are_no_faces(enhancer: Any) -> None:
    assert list(sharpened(enhancer, frames(), 2)) == []


def test_a_face_that_is_not_finite_ends_the_job(enhancer: Any) -> None:
    enhancer.finite = False
    with pytest.raises(RunnerError, match="the restored face is not finite"):
        list(sharpened(enhancer, frames(1), 1))
