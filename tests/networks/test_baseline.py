"""The baseline: a mouth that follows more than loudness, blinks, and a picture that stays whole."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from faceorch.errors import InputError
from faceorch.record.folder import RunFolder
from tests.networks.conftest import ASSETS, RATE, Animate, Frames, frames_of, load_code

NAME = "baseline"
SMALL: dict[str, Any] = {"max_size": 256}
STILL: dict[str, Any] = {**SMALL, "head_motion": 0.0, "blinks_per_minute": 0.0}
# Places of the demo's face in a 256x256 frame: rows, columns.
MOUTH, EYES = (slice(102, 130), slice(108, 150)), (slice(68, 84), slice(100, 152))
CODEC = 2.5  # grey levels that a still picture may differ from its first frame after encoding
CORNERS = ((slice(0, 20), slice(0, 40)), (slice(0, 20), slice(216, 256)))


def change(frames: Frames, place: tuple[slice, slice]) -> NDArray[np.float64]:
    """Mean absolute difference of every frame from the first, in a place, in grey levels."""
    rows, columns = place
    part = frames[:, rows, columns].astype(np.float64)
    return np.asarray(np.abs(part - part[0]).mean(axis=(1, 2, 3)))


@pytest.fixture
def talk(animate: Animate, demo_clip: Path) -> Any:
    def make(**settings: Any) -> Frames:
        return frames_of(animate(NAME, ASSETS / "face.png", demo_clip, settings=settings), NAME)

    return make


def test_the_mouth_moves_with_speech_and_rests_in_silence(talk: Any) -> None:
    moved = change(talk(**STILL), MOUTH)
    speech, silence = moved[5:48], moved[65:]
    assert speech.max() > 12
    assert speech.std() > 2
    assert silence.max() < speech.max() / 3
    assert silence.std() < 0.5


def test_without_expression_nothing_but_the_codec_moves(talk: Any) -> None:
    frames = talk(**{**STILL, "expression": 0.0})
    assert change(frames, (slice(None), slice(None))).max() < CODEC


def test_hair_and_background_stay_whole_while_the_mouth_moves(talk: Any) -> None:
    frames = talk(**STILL)
    for corner in CORNERS:
        assert change(frames, corner).max() < CODEC
    assert change(frames, (slice(10, 40), slice(70, 190))).max() < 2 * CODEC, "hair has more for the codec to smooth"


def test_both_eyes_blink(talk: Any) -> None:
    frames = talk(**{**STILL, "expression": 0.0, "blinks_per_minute": 60.0})
    rows, columns = EYES
    middle = (columns.start + columns.stop) // 2
    for half in (slice(columns.start, middle), slice(middle, columns.stop)):
        moved = change(frames, (rows, half))
        assert moved.max() > 12
        assert (moved > 9).mean() < 0.5, "open most of the time"


def test_the_head_sways_a_little(talk: Any) -> None:
    moved = change(talk(**{**SMALL, "blinks_per_minute": 0.0}), (slice(20, 60), slice(60, 200)))
    assert 1 < moved.max() < 40


def test_portraits_of_odd_size_get_even_videos(animate: Animate, demo_clip: Path, tmp_path: Path) -> None:
    with Image.open(ASSETS / "face.png") as face:
        face.convert("L").resize((301, 299)).save(tmp_path / "odd.png")
    video = animate(NAME, tmp_path / "odd.png", demo_clip).run.jobs[0].video
    assert video is not None
    assert (video.width, video.height) == (300, 298)


def test_a_face_that_is_too_small_is_told_with_its_size(animate: Animate, demo_clip: Path, tmp_path: Path) -> None:
    with Image.open(ASSETS / "face.png") as face:
        wall = Image.new("RGB", (600, 600), (90, 110, 100))
        wall.paste(face.convert("RGB").resize((150, 150)), (200, 200))
        wall.save(tmp_path / "far.png")
    reason = animate(NAME, tmp_path / "far.png", demo_clip).run.jobs[0].reason
    assert reason is not None
    assert re.fullmatch(r"face is \d+ px wide in far.png, 64 px or more needed: crop closer to it", reason.found)


@pytest.mark.parametrize(
    ("box", "degrees", "what"),
    [
        ((0, 0, 512, 512), 180, "the face in me.png is upside down: an upright one needed"),
        ((0, 0, 512, 512), 90, r"face is tilted by (8|9)\d degrees in me.png, 45 or less needed"),
        ((256, 0, 512, 512), 0, "the face in me.png is cut off by the left edge: a whole face needed"),
        ((0, 0, 512, 230), 0, "the face in me.png is cut off by the lower edge: a whole face needed"),
    ],
    ids=["upside-down", "on-its-side", "half-a-face", "no-mouth"],
)
def test_a_portrait_that_is_turned_or_cut_off_is_refused_for_all(
    animate: Animate, demo_clip: Path, tmp_path: Path, box: tuple[int, int, int, int], degrees: int, what: str
) -> None:
    with Image.open(ASSETS / "face.png") as face:
        face.resize((512, 512)).crop(box).rotate(degrees).save(tmp_path / "me.png")
    with pytest.raises(InputError, match=rf"^{what}$"):
        animate(NAME, tmp_path / "me.png", demo_clip)
    assert not any((tmp_path / "results").glob("*")), "nothing is left behind"


def test_a_small_face_in_a_large_photo_is_the_limit_of_one_network(
    animate: Animate, demo_clip: Path, tmp_path: Path
) -> None:
    with Image.open(ASSETS / "face.png") as face:
        body = Image.new("RGB", (1500, 2000), (180, 185, 190))
        body.paste(face.convert("RGB").resize((340, 340)), (550, 150))
        body.save(tmp_path / "body.jpg", quality=90)
    (job,) = animate(NAME, tmp_path / "body.jpg", demo_clip, settings={"max_size": 512}).run.jobs
    assert job.reason is not None
    found = r"face is 2\d px wide at the size of the video \((9|10)\d px in body.jpg\), 64 px or more needed: crop .*"
    assert re.fullmatch(found, job.reason.found)


def test_two_faces_are_a_note(animate: Animate, demo_clip: Path, tmp_path: Path) -> None:
    with Image.open(ASSETS / "face.png") as face:
        both = Image.new("RGB", (1024, 512))
        for left in (0, 512):
            both.paste(face.convert("RGB").resize((512, 512)), (left, 0))
        both.save(tmp_path / "two.png")
    notes = animate(NAME, tmp_path / "two.png", demo_clip).run.jobs[0].notes
    assert "2 faces found in the portrait; the largest, on the left, is used" in notes


def test_frames_per_second_are_a_setting(animate: Animate, demo_clip: Path) -> None:
    folder: RunFolder = animate(NAME, ASSETS / "face.png", demo_clip, settings={**SMALL, "fps": 10})
    video = folder.run.jobs[0].video
    assert video is not None
    assert (video.fps, video.frames) == (10, 30)


def vowel(formants_hz: tuple[float, float], seconds: float = 0.4) -> NDArray[np.float64]:
    """A glottal pulse train at 120 Hz through two resonances: a vowel of a textbook."""
    times = np.arange(round(seconds * RATE)) / RATE
    sound = np.zeros(len(times))
    for harmonic in range(1, 40):
        hz = 120.0 * harmonic
        gain = sum(1.0 / (1.0 + ((hz - centre) / 90.0) ** 2) for centre in formants_hz) / harmonic**0.5
        sound += gain * np.sin(2 * np.pi * hz * times)
    return np.asarray(sound / np.sqrt((sound**2).mean()))


def hiss(seconds: float = 0.4) -> NDArray[np.float64]:
    noise = np.diff(np.random.default_rng(0).normal(size=round(seconds * RATE) + 2), 2)
    return np.asarray(noise / np.sqrt((noise**2).mean()))


def test_vowels_and_hiss_of_the_same_loudness_shape_the_mouth_differently() -> None:
    listening, moving = load_code(NAME, "voice"), load_code(NAME, "motion")
    pause = np.zeros(round(0.2 * RATE))
    open_ah, close_oo, front_ee = vowel((750.0, 1200.0)), vowel((320.0, 800.0)), vowel((300.0, 2300.0))
    parts = [pause, open_ah, pause, close_oo, pause, front_ee, pause, hiss(), pause]
    samples = (np.concatenate(parts) * 3000).clip(-32768, 32767).astype(np.int16)
    curves = moving.articulate(listening.listen(samples, RATE))
    middles = {"ah": 0.4, "oo": 1.0, "ee": 1.6, "ss": 2.2}
    at = {name: curves[round(s * listening.RATE_HZ)] for name, s in middles.items()}
    assert at["ah"][moving.JAW] > 1.3 * at["oo"][moving.JAW]
    assert at["ah"][moving.JAW] > 2 * at["ss"][moving.JAW]
    assert at["oo"][moving.ROUND] > 0.05 + at["ee"][moving.ROUND]
    assert at["ee"][moving.SPREAD] > 0.05 + at["oo"][moving.SPREAD]
    assert at["ss"][moving.BARE] > at["oo"][moving.BARE] + 0.2
