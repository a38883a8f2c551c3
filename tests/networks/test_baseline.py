"""The baseline: a mouth that follows more than loudness, blinks, and a picture that stays whole."""

from __future__ import annotations

import re
import tracemalloc
import wave
from collections.abc import Callable
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
    speech, silence = moved[5:48], moved[62:70]
    assert speech.max() > 12
    assert speech.std() > 2
    assert silence.std() < 0.5


def test_in_a_pause_the_lips_meet_over_the_teeth_of_a_smile(talk: Any) -> None:
    frames = talk(**STILL)
    rows, columns = MOUTH

    def teeth(index: int) -> int:
        """Pixels as pale as teeth: not as red as skin, and not as pink as the light on a lip."""
        red, green, blue = frames[index, rows, columns].astype(int).transpose(2, 0, 1)
        return int(((blue > 150) & (red - blue < 40) & (green > blue)).sum())

    assert teeth(0) > 40, "the portrait smiles"
    assert max(teeth(index) for index in range(62, 70)) < teeth(0) / 4


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


def test_hats_and_glasses_are_no_trouble(animate: Animate, demo_clip: Path) -> None:
    folder: RunFolder = animate(NAME, ASSETS / "hopper.png", demo_clip, settings=STILL)
    frames = frames_of(folder, NAME)
    moved = change(frames, (slice(160, 186), slice(104, 152)))  # the mouth
    assert moved[5:48].max() > 8
    assert moved[62:70].max() < 4, "in the pause it is closed, as in the portrait"


def test_portraits_of_odd_size_get_even_videos(animate: Animate, demo_clip: Path, tmp_path: Path) -> None:
    with Image.open(ASSETS / "face.png") as face:
        face.convert("L").resize((301, 299)).save(tmp_path / "odd.png")
    video = animate(NAME, tmp_path / "odd.png", demo_clip).run.jobs[0].video
    assert video is not None
    assert (video.width, video.height) == (300, 298)


def test_the_record_says_where_the_face_is(animate: Animate, demo_clip: Path) -> None:
    (job,) = animate(NAME, ASSETS / "hopper.png", demo_clip, settings={**STILL, "max_size": 256}).run.jobs
    assert job.video is not None
    assert job.video.boxes == job.video.portrait_boxes, "its video shows the whole portrait"
    boxes = job.video.boxes
    assert set(boxes) == {"face", "eyes", "mouth"}
    face, eyes, mouth = (boxes[name] for name in ("face", "eyes", "mouth"))
    assert face.top < eyes.top < mouth.top < face.top + face.height
    height, width = job.video.height, job.video.width
    assert (mouth.left * width, mouth.top * height) == pytest.approx((104, 163), abs=8)
    assert (mouth.width * width, mouth.height * height) == pytest.approx((48, 20), abs=10)


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


GAP = 0.155  # between the lips of the demo's portrait at rest, in interocular distances


def opening(curves: NDArray[np.floating]) -> NDArray[np.float64]:
    """How far the lips of a broad smile are apart, in interocular distances: what jaw and lips leave open."""
    moving, shaping = load_code(NAME, "motion"), load_code(NAME, "shapes")
    apart = GAP * (1.0 - curves[:, moving.PRESS]) + shaping.JAW_DROP * curves[:, moving.JAW]
    return np.asarray(np.maximum(apart, 0.0), np.float64)


def lag_s(moved: NDArray[np.float64], sounding: NDArray[np.float64], hz: float) -> float:
    """Where the two curves correlate most: above 0 when what moves is late."""
    reach = round(0.3 * hz)
    moved, sounding = moved - moved.mean(), sounding - sounding.mean()
    length = len(moved) - 2 * reach
    scores = [
        float(moved[reach + lag : reach + lag + length] @ sounding[reach : reach + length])
        for lag in range(-reach, reach + 1)
    ]
    return (int(np.argmax(scores)) - reach) / hz


def voicing(samples: NDArray[np.int16]) -> NDArray[np.float64]:
    """How loud the voice is 100 times a second: the root of its power in 100 to 1000 Hz, over 30 ms."""
    step, half = RATE // 100, round(0.015 * RATE)
    hertz = np.fft.rfftfreq(2 * half, 1 / RATE)
    band = (hertz > 100) & (hertz < 1000)
    padded = np.pad(samples.astype(np.float64), half)
    count = len(samples) // step
    spectra = [np.fft.rfft(padded[i * step : i * step + 2 * half] * np.hanning(2 * half)) for i in range(count)]
    return np.sqrt([float(np.square(np.abs(spectrum[band])).sum()) for spectrum in spectra])


def syllables() -> NDArray[np.int16]:
    """Vowels of different lengths with pauses of different lengths between them."""
    random = np.random.default_rng(3)
    parts = []
    for _ in range(24):
        length = float(random.uniform(0.12, 0.35))
        parts += [vowel((750.0, 1200.0), length), np.zeros(round(random.uniform(0.08, 0.5) * RATE))]
    return np.asarray((np.concatenate(parts) * 3000).clip(-32768, 32767), np.int16)


def demo() -> NDArray[np.int16]:
    with wave.open(str(ASSETS / "clip.wav")) as clip:
        return np.frombuffer(clip.readframes(clip.getnframes()), np.int16)


@pytest.mark.parametrize("samples", [demo, syllables])
def test_the_mouth_opens_with_the_voice_within_40_ms(samples: Callable[[], NDArray[np.int16]]) -> None:
    listening, moving = load_code(NAME, "voice"), load_code(NAME, "motion")
    heard = samples()
    how = {"expression": 1.0, "head_motion": 1.0, "blinks_per_minute": 0.0, "grin": 0.86}
    motion = moving.move(listening.listen(heard, RATE), len(heard) // (RATE // 100), 100.0, 0, **how)
    assert -0.04 <= lag_s(opening(motion.face), voicing(heard), 100.0) <= 0.04


def test_lips_meet_in_pauses_and_at_stops_however_broad_the_smile() -> None:
    listening, moving = load_code(NAME, "voice"), load_code(NAME, "motion")
    ah, stop, pause = vowel((750.0, 1200.0)), np.zeros(round(0.07 * RATE)), np.zeros(round(0.5 * RATE))
    samples = (np.concatenate([pause, ah, stop, ah, pause, ah]) * 3000).astype(np.int16)
    voice = listening.listen(samples, RATE)
    for grin in (0.1, 0.5, 1.0):
        apart = opening(moving.articulate(voice, grin))
        at = {"stop": 0.93, "pause": 1.62}
        assert apart[70] > 0.06, "open in the vowel"
        for name, seconds in at.items():
            assert apart[round(seconds * 100)] < 0.02, name
    lips_closed = moving.articulate(voice, 0.0)
    assert lips_closed[162, moving.PRESS] < 0.01, "lips that meet already are not pressed"


def test_listening_takes_as_much_memory_for_a_long_clip_as_for_a_short_one() -> None:
    listening = load_code(NAME, "voice")
    short, peaks = demo(), []
    for samples in (short, np.tile(short, 10)):
        tracemalloc.start()
        listening.listen(samples, RATE)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[0] < 16 * 2**20
    assert peaks[1] - peaks[0] < 2 * 9 * short.nbytes, "the samples once more, and the curves"


def made_up_face(size: int = 512) -> Any:
    """A face of a hundred pixels between the eyes in the middle of a picture, as far as the head needs one."""
    random = np.random.default_rng(1)
    mesh = np.column_stack([random.uniform(-1, 1, 478), random.uniform(-1.2, 1.7, 478), random.uniform(-0.8, 0, 478)])
    code = load_code(NAME, "face")
    for side, x in enumerate((-0.5, 0.5)):
        mesh[[*code.LID_TOP[side], *code.LID_LOW[side]]] = (x, 0.0, -0.4)
    mesh[168], mesh[10], mesh[152] = (0, 0, -0.5), (0, -1.2, -0.5), (0, 1.75, -0.5)
    mesh[234], mesh[454] = (-1.1, 0.3, 0), (1.1, 0.3, 0)
    return code.Face.of(mesh * 60 + (size / 2, size / 3, 0))


@pytest.mark.parametrize(("gap", "closes"), [(0.0, 0.0), (0.15, 0.15), (0.22, 0.22), (0.5, 0.22)])
def test_lips_are_not_drawn_over_a_mouth_that_is_wide_open(gap: float, closes: float) -> None:
    shaping, code = load_code(NAME, "shapes"), load_code(NAME, "face")
    face = made_up_face()
    for marks, down in ((code.LIP_TOP_INNER, 1.2 - gap / 2), (code.LIP_LOW_INNER, 1.2 + gap / 2)):
        for index in range(1, 10):
            face.points[marks[index]] = face.place((index - 5) * 0.08, down)
    assert shaping.closable(face, 5) == pytest.approx(closes)


def test_what_lies_below_the_neck_stays_while_the_head_moves() -> None:
    head, moving = load_code(NAME, "head"), load_code(NAME, "motion")
    face = made_up_face()
    field = head.make_head_field(face, (512, 512))
    below = np.array([face.place(x, y) for x in np.linspace(-2.5, 2.5, 11) for y in np.linspace(2.7, 4.5, 7)])
    within = np.array([face.place(x, y) for x in np.linspace(-0.9, 0.9, 5) for y in np.linspace(-1.2, 1.6, 7)])
    for control in (moving.RIGHT, moving.DOWN, moving.ROLL, moving.YAW, moving.NOD):
        basis = np.ascontiguousarray(field.basis[..., control])
        assert np.abs(field.grid.look_up(basis, below)).max() < 0.02 * face.span
    right = field.grid.look_up(np.ascontiguousarray(field.basis[..., moving.RIGHT]), within)
    assert np.abs(right - face.span * face.axes[0, :2]).max() < 0.02 * face.span, "a head is rigid"


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
