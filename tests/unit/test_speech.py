"""Clips from text: 24 kHz mono, trimmed cleanly, from a service when it answers and from espeak-ng when not."""

from __future__ import annotations

import sys

import pytest

from faceorch import speech
from faceorch.errors import SpeechError
from faceorch.speech import RATE_HZ, EspeakNg, Unreachable, _asked, speak
from tests.unit.conftest import SPOKEN


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
    clip = speak(SPOKEN, engine="espeak-ng")
    samples = samples_of(clip.pcm)
    assert clip.sample_rate_hz == 24000
    assert 1.5 < clip.duration_s < 4
    quiet = [abs(value) < 200 for value in samples]
    margin = round(0.12 * RATE_HZ)
    assert not all(quiet[:margin]), "at most a breath of silence before the first word"
    assert not all(quiet[-margin:])


@pytest.mark.parametrize("seconds", [1.0, 15.0])
def test_seconds_are_exact_and_the_end_does_not_click(seconds: float) -> None:
    clip = speak(SPOKEN, engine="espeak-ng", seconds=seconds)
    samples = samples_of(clip.pcm)
    assert len(samples) == round(seconds * RATE_HZ)
    assert abs(samples[-1]) < 50


@pytest.mark.parametrize(("engine", "package"), [("edge-tts", "edge-tts"), ("espeak-ng", "espeakng-loader")])
def test_an_engine_that_is_not_installed_says_what_installs_it(
    monkeypatch: pytest.MonkeyPatch, engine: str, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package.replace("-", "_"), None)
    with pytest.raises(SpeechError) as caught:
        speak(SPOKEN, engine=engine)
    assert caught.value.message == f"{package} is not installed: speech is an extra"
    assert caught.value.remedy == "pip install 'faceorch[speech]'"


def test_the_service_is_taken_when_it_answers() -> None:
    online = Service(answers=True)
    clip = speak("  Hello\n there ", online=online)
    assert online.asked == [("Hello there", "en-US-GuyNeural")]
    assert clip.duration_s == pytest.approx(2.0)


def test_without_the_service_espeak_ng_speaks_and_says_so() -> None:
    notes: list[str] = []
    clip = speak(SPOKEN, online=Service(answers=False), note=notes.append)
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
        speak(SPOKEN, engine="edge-tts", online=Service(answers=False))
    with pytest.raises(Unreachable):
        speak(SPOKEN, voice="en-GB-RyanNeural", online=Service(answers=False))
    with pytest.raises(SpeechError, match="is a voice of edge-tts, not of espeak-ng"):
        speak(SPOKEN, voice="en-GB-RyanNeural", engine="espeak-ng")


def test_an_unknown_voice_brings_the_nearest() -> None:
    with pytest.raises(SpeechError) as caught:
        speak(SPOKEN, engine="espeak-ng", voice="en-uss")
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
