"""The runner on stand-ins for what sees, hears and paints: what it refuses, and what it hands on."""

from __future__ import annotations

import sys
import types
import wave
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from faceorch_kit.faces import Found
from faceorch_runner import BadInput, Job, NoFace, Progress
from faceorch_runner.events import EventStream
from tests.networks.conftest import RATE, load_code, write_samples

PACKAGE = "hallo-on-stand-ins"
runner = load_code("hallo", "runner", PACKAGE)
SETTINGS: dict[str, Any] = {
    "size": 64,
    "crop": True,
    "steps": 2,
    "guidance": 3.5,
    "face_expand_ratio": 1.2,
    "speed": "exact",
    "pose_weight": 1.0,
    "face_weight": 0.5,
    "lip_weight": 2.0,
    "vocal_separation": True,
}


class Finder:
    """Finds the face that it was told of."""

    mesh: Any = None

    def look(self, _: Any) -> Found | None:
        return None if self.mesh is None else Found(self.mesh, turned=0, faces=2)


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(runner, "FaceFinder", Finder)
    mesh = np.zeros((478, 3))
    mesh[:, :2] = np.random.default_rng(0).uniform((300, 100), (380, 200), (478, 2))
    mesh[[33, 133, 159, 145]], mesh[[362, 263, 386, 374]] = (320, 130, 0), (360, 130, 0)
    mesh[234], mesh[454] = (300, 150, 0), (380, 150, 0)
    monkeypatch.setattr(Finder, "mesh", mesh)
    return runner.Hallo()


@pytest.fixture
def job(tmp_path: Path) -> Any:
    cv2.imwrite(str(tmp_path / "portrait.png"), np.full((400, 900, 3), 90, np.uint8))
    clip = write_samples(tmp_path / "clip.wav", np.ones(round(RATE * 1.02), np.int16))

    def make(**changes: Any) -> Job:
        return Job("job", tmp_path / "portrait.png", clip, 7, {**SETTINGS, **changes}, tmp_path)

    return make


def test_a_size_that_the_networks_cannot_halve_is_refused(network: Any, job: Any) -> None:
    with pytest.raises(BadInput, match="size is 500, a multiple of 64 needed"):
        network.check(job(size=500))


def test_a_portrait_without_a_face_is_refused_before_anything_is_loaded(
    network: Any, job: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Finder, "mesh", None)
    with pytest.raises(NoFace, match=r"no face found in portrait\.png"):
        network.check(job())
    assert not {"hallo", "diffusers"} & set(sys.modules)


@pytest.fixture
def seen(network: Any, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Put stand-ins where the models would be, and keep what they are given."""
    seen: dict[str, Any] = {}
    hear = types.ModuleType("hear")

    def frame_count(path: Path) -> int:
        with wave.open(str(path)) as clip:
            frames: int = -(-clip.getnframes() * 25 // clip.getframerate())
        return frames

    hear.frame_count = frame_count  # type: ignore[attr-defined]
    models = types.ModuleType("models")
    models.FPS = 25  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, f"faceorch_networks.{PACKAGE}.hear", hear)
    monkeypatch.setitem(sys.modules, f"faceorch_networks.{PACKAGE}.models", models)

    class Eyes:
        def look(self, name: str, image: Any, folder: Path, side: int, expand: float) -> str:
            seen["square"] = image.shape
            return "look"

    class Hearing:
        def voice(self, clip: Path, folder: Path) -> Path:
            return folder / "voice.wav"

        def hear(self, voice: Path) -> str:
            seen["voice"] = voice.name
            return "heard"

    class Animator:
        def prepare(self, look: str, **job: Any) -> None:
            seen["job"] = job

        def animate(self, look: str, heard: str, frames: int, on_step: Any) -> Iterator[Any]:
            seen["frames"] = frames
            on_step(1, 2)
            for _ in range(frames):
                yield np.zeros((64, 64, 3), np.uint8)

    network._eyes, network._hearing, network._animator = Eyes(), Hearing(), Animator()
    return seen


def animate(network: Any, job: Job) -> Path:
    with open("/dev/null", "w") as nowhere:
        checked = replace(job, found=network.check(job))
        video: Path = network.animate(checked, Progress(EventStream(nowhere.fileno()), job.id))
    return video


def test_a_job_is_handed_on_as_it_was_asked_for(network: Any, job: Any, seen: dict[str, Any]) -> None:
    asked = job()
    video = animate(network, asked)
    assert video.is_file()
    assert asked.writers[0].frames == seen["frames"] == 26, "1.02 s, the last frame in part"
    assert seen["voice"] == "voice.wav"
    assert seen["job"] == {"steps": 2, "guidance": 3.5, "seed": 7, "weights": [1.0, 0.5, 2.0], "speed": "exact"}
    height, width, _ = seen["square"]
    assert height == width < 400


def test_the_whole_portrait_and_the_whole_sound_when_asked_for(network: Any, job: Any, seen: dict[str, Any]) -> None:
    animate(network, job(crop=False, vocal_separation=False))
    assert seen["square"] == (400, 900, 3)
    assert seen["voice"] == "clip.wav"


@pytest.mark.parametrize(("crop", "most"), [(True, 0.6), (False, 0.3)])
def test_it_tells_where_the_face_is_in_what_the_video_shows(
    network: Any, job: Any, seen: dict[str, Any], monkeypatch: pytest.MonkeyPatch, crop: bool, most: float
) -> None:
    told: dict[str, Any] = {}

    def boxes(_: Progress, picture: str, parts: Any, shown: Any) -> None:
        told[picture] = shown
        assert set(parts) == {"face", "eyes", "mouth"}

    monkeypatch.setattr(Progress, "boxes", boxes)
    animate(network, job(crop=crop))
    assert told["portrait"] == (0, 0, 900, 400)
    left, top, right, bottom = told["video"]
    assert (bottom - top, right - left) == seen["square"][:2]
    assert left <= 300 < 380 <= right
    assert top <= 100 < 200 <= bottom
    assert 100 / (bottom - top) < most
