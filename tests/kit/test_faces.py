"""Which faces are refused. That one is found in a picture, the networks' own tests show."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from faceorch_kit.faces import refuse
from faceorch_runner import NoFace


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
    with pytest.raises(NoFace) as caught:
        refuse("face.png", np.zeros((480, 640, 3), np.uint8), face)
    assert str(caught.value) == message


def test_a_good_face_is_taken() -> None:
    face = Face(200.0, 10.0, 5.0)
    assert refuse("face.png", np.zeros((480, 640, 3), np.uint8), face) is face
