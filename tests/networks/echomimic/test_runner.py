"""What the runner refuses before it loads anything, with a stand-in for the face detector."""

from __future__ import annotations

import os
import sys
import wave
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from faceorch.networks.discover import load_networks
from faceorch.paths import docker_folder
from faceorch_runner import BadInput, Event, EventParser, Job, NoFace, Progress
from faceorch_runner.events import EventStream
from tests.networks.conftest import load_code

DEFAULTS = load_networks([docker_folder()])["echomimic"].settings({})
runner = load_code("echomimic", "runner", "echomimic-with-stand-ins")


class Detector:
    """Finds one face, or none."""

    asked = 0
    face = True

    def find(self, name: str, image: Any) -> Any:
        type(self).asked += 1
        if not self.face:
            raise NoFace(f"no face found in {name}")
        return runner.Box(40, 40, 140, 160), 1


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Any:
    Detector.asked, Detector.face = 0, True
    monkeypatch.setattr(runner, "FaceDetector", Detector)
    monkeypatch.setitem(sys.modules, "diffusers", None)  # whoever imports it now fails
    return runner.EchoMimic()


def job(tmp_path: Path, seconds: float = 1.0, **settings: Any) -> Job:
    portrait, clip = tmp_path / "face.png", tmp_path / "clip.wav"
    cv2.imwrite(str(portrait), np.full((200, 180, 3), 90, np.uint8))
    with wave.open(str(clip), "wb") as file:
        file.setparams((1, 2, 24000, 0, "NONE", ""))
        file.writeframes(bytes(2 * round(24000 * seconds)))
    return Job("j", portrait, clip, 0, {**DEFAULTS, **settings}, tmp_path / "work")


def test_a_usable_job_passes_and_its_portrait_is_searched_once(network: Any, tmp_path: Path) -> None:
    for _ in range(3):
        network.check(job(tmp_path))
    assert Detector.asked == 1


def test_a_portrait_without_a_face_is_refused(network: Any, tmp_path: Path) -> None:
    Detector.face = False
    with pytest.raises(NoFace, match=r"^no face found in face\.png$"):
        network.check(job(tmp_path))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"size": 500}, "size is 500, a multiple of 64 needed"),
        ({"window": 8, "overlap": 8}, "overlap is 8, less than window (8) needed"),
        ({"seconds": 0.02}, "clip.wav is too short for 2 frames"),
    ],
)
def test_what_does_not_fit_is_refused_before_the_portrait_is_searched(
    network: Any, tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(BadInput) as caught:
        network.check(job(tmp_path, **changes))
    assert str(caught.value) == said
    assert Detector.asked == 0


def test_the_face_is_told_in_the_portrait_and_in_the_square_of_the_video() -> None:
    read, write = os.pipe()
    image = np.zeros((200, 400, 3), np.uint8)
    runner.tell(Progress(EventStream(write), "j"), runner.Box(100, 50, 200, 150), image, runner.Box(50, 0, 250, 200))
    os.close(write)
    with open(read, "rb") as pipe:
        told = [event.data for event in EventParser().feed(pipe.read()) if isinstance(event, Event)]
    assert told == [
        {"picture": "portrait", "name": "face", "left": 0.25, "top": 0.25, "width": 0.25, "height": 0.5},
        {"picture": "video", "name": "face", "left": 0.25, "top": 0.25, "width": 0.5, "height": 0.5},
    ]
