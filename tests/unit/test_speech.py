"""Clips from text: 24 kHz mono, trimmed cleanly, from a service when it answers and from espeak-ng when not."""

from __future__ import annotations

import sys
import wave
from pathlib import Path

import pytest
from click.testing import CliRunner

from faceorch import speech
from faceorch.cli.main import cli
from faceorch.errors import SpeechError
from faceorch.speech import RATE_HZ, EspeakNg, Unreachable, _asked, speak
from tests.unit.cli.test_run import faceorch

TEXT = "Good evening. Here is the news."


class Service:
    """Stands in for the network's engine: says a tone, or does not answer."""

    name = "edge-tts"

    def __init__(self, answers: bool) -> None:
        self.answers = answers
        self.asked: list[tuple[str, str]] = []

    def voices(self) -> list[str]:
        return ["en-US-GuyNeural"]

    def synthesise(self, text: str, voice: str) -> tuple[bytes, int]:
        self.asked.append((text, voice))
        if not self.answers:
            raise Unreachable("the speech service cannot be reached: no route", "use --engine espeak-ng")
        return b"\x00\x20\x00\xe0" * RATE_HZ, RATE_HZ


def samples_of(pcm: bytes) -> memoryview[int]:
    return memoryview(pcm).cast("h")


def test_espeak_ng_needs_no_network_and_is_trimmed() -> None:
    clip = speak(TEXT, engine="espeak-ng")
    samples = samples_of(clip.pcm)
    assert clip.sample_rate_hz == 24000
    assert 1.5 < clip.duration_s < 4
    quiet = [abs(value) < 200 for value in samples]
    margin = round(0.12 * RATE_HZ)
    assert not all(quiet[:margin]), "at most a breath of silence before the first word"
    assert not all(quiet[-margin:])


@pytest.mark.parametrize("seconds", [1.0, 15.0])
def test_seconds_are_exact_and_the_end_does_not_click(seconds: float) -> None:
    clip = speak(TEXT, engine="espeak-ng", seconds=seconds)
    samples = samples_of(clip.pcm)
    assert len(samples) == round(seconds * RATE_HZ)
    assert abs(samples[-1]) < 50


@pytest.mark.parametrize(("engine", "package"), [("edge-tts", "edge-tts"), ("espeak-ng", "espeakng-loader")])
def test_an_engine_that_is_not_installed_says_what_installs_it(
    monkeypatch: pytest.MonkeyPatch, engine: str, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package.replace("-", "_"), None)
    with pytest.raises(SpeechError) as caught:
        speak(TEXT, engine=engine)
    assert caught.value.message == f"{package} is not installed: speech is an extra"
    assert caught.value.remedy == "pip install 'faceorch[speech]'"


def test_the_service_is_taken_when_it_answers() -> None:
    online = Service(answers=True)
    clip = speak("  Hello\n there ", online=online)
    assert online.asked == [("Hello there", "en-US-GuyNeural")]
    assert clip.duration_s == pytest.approx(2.0)


def test_without_the_service_espeak_ng_speaks_and_says_so() -> None:
    notes: list[str] = []
    clip = speak(TEXT, online=Service(answers=False), note=notes.append)
    assert notes == ["the speech service cannot be reached: no route; speaking with espeak-ng instead"]
    assert clip.duration_s > 1


def test_no_object_of_python_is_in_a_message() -> None:
    said = "Cannot connect to host a.example:443 ssl:<ssl.SSLContext object at 0x7f0a1b2c3d40> [No route to host]"

    async def ask() -> None:
        raise OSError(said)

    with pytest.raises(Unreachable) as caught:
        _asked(ask)
    assert caught.value.message == (
        "the speech service cannot be reached: Cannot connect to host a.example:443 [No route to host]"
    )


def test_a_chosen_engine_or_voice_is_never_replaced() -> None:
    with pytest.raises(Unreachable):
        speak(TEXT, engine="edge-tts", online=Service(answers=False))
    with pytest.raises(Unreachable):
        speak(TEXT, voice="en-GB-RyanNeural", online=Service(answers=False))
    with pytest.raises(SpeechError, match="is a voice of edge-tts, not of espeak-ng"):
        speak(TEXT, voice="en-GB-RyanNeural", engine="espeak-ng")


def test_an_unknown_voice_brings_the_nearest() -> None:
    with pytest.raises(SpeechError) as caught:
        speak(TEXT, engine="espeak-ng", voice="en-uss")
    assert caught.value.message == "espeak-ng has no voice 'en-uss' (did you mean 'en-us'?)"
    assert "en-us" in EspeakNg().voices()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("  \n ", "there is nothing to say: the text is empty"),
        ("...", "there is nothing to say: the text is empty"),
        ("a" * 20001, "the text has 20001 characters, at most 20000 allowed"),
    ],
)
def test_what_cannot_be_said_is_refused(text: str, message: str) -> None:
    with pytest.raises(SpeechError) as caught:
        speak(text, engine="espeak-ng")
    assert caught.value.message == message


def test_long_speech_is_cut_at_a_pause() -> None:
    text = " ".join(["This is a sentence of some length."] * 8)
    whole = speak(text, engine="espeak-ng")
    cut = samples_of(speech.speak(text, engine="espeak-ng", seconds=whole.duration_s / 2).pcm)
    assert max(abs(value) for value in cut[-round(0.03 * RATE_HZ) :]) < 200


class TestCommand:
    def test_it_writes_a_clip_and_says_what_it_is(self, tmp_path: Path) -> None:
        path = tmp_path / "clip.wav"
        done = faceorch("speak", "--engine", "espeak-ng", "--text", TEXT, "--seconds", "2", "-o", str(path))
        assert (done.returncode, done.stdout) == (0, f"{path}: 2.00 s, 24000 Hz, mono\n")
        with wave.open(str(path)) as file:
            assert (file.getframerate(), file.getnchannels(), file.getnframes()) == (24000, 1, 48000)

    def test_the_same_command_gives_the_same_bytes(self, tmp_path: Path) -> None:
        paths = [tmp_path / "one.wav", tmp_path / "two.wav"]
        for path in paths:
            faceorch("speak", "--engine", "espeak-ng", "--text", TEXT, "-o", str(path))
        assert paths[0].read_bytes() == paths[1].read_bytes()

    def test_it_writes_no_other_format(self, tmp_path: Path) -> None:
        done = faceorch("speak", "--engine", "espeak-ng", "--text", TEXT, "-o", str(tmp_path / "x.mp3"))
        assert done.returncode == 4
        assert done.stderr == (
            f"error: {tmp_path}/x.mp3 is not a WAV file, and speak writes nothing else\n  try: -o {tmp_path}/x.wav\n"
        )
        assert list(tmp_path.iterdir()) == []

    def test_it_writes_over_nothing_unasked(self, tmp_path: Path) -> None:
        path = tmp_path / "clip.wav"
        path.write_bytes(b"mine")
        done = faceorch("speak", "--engine", "espeak-ng", "--text", TEXT, "-o", str(path))
        assert done.returncode == 4
        assert f"error: {path} exists\n" in done.stderr
        assert path.read_bytes() == b"mine"

    def test_the_clip_of_the_demo_is_what_its_recipe_makes(self, tmp_path: Path) -> None:
        assets = Path(__file__).parents[2] / "assets"
        path = tmp_path / "clip.wav"
        text = str(assets / "clip.txt")
        done = faceorch("speak", "--engine", "espeak-ng", "--file", text, "--seconds", "15", "-o", str(path))
        assert done.returncode == 0, done.stderr
        with wave.open(str(path)) as made, wave.open(str(assets / "clip.wav")) as kept:
            assert made.getparams() == kept.getparams()
            assert made.getnframes() == 15 * 24000


def test_the_command_leaves_the_text_beside_the_clip_and_writes_over_no_other(tmp_path: Path) -> None:
    """A run of the clip shows its words."""
    clip, said = tmp_path / "clip.wav", tmp_path / "clip.txt"
    words = ["speak", "--text", TEXT, "--engine", "espeak-ng", "-o", str(clip)]
    assert CliRunner().invoke(cli, words).exit_code == 0
    assert said.read_text("utf-8") == f"{TEXT}\n"
    said.write_text("mine", "utf-8")
    clip.unlink()
    assert CliRunner().invoke(cli, words).exit_code == 0
    assert said.read_text("utf-8") == "mine"
    assert CliRunner().invoke(cli, [*words, "--force"]).exit_code == 0
    assert said.read_text("utf-8") == f"{TEXT}\n"
