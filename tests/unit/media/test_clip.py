"""A clip becomes a mono 16-bit WAV at its own rate, the same each time; what cannot be used is refused in one line."""

from __future__ import annotations

import wave
from pathlib import Path

from faceorch.media.clip import samples_sha256, write_clip
from tests.conftest import write_tone
from tests.unit.media.conftest import cut, make, read, refusal


def test_normalising_twice_gives_the_same_samples(tmp_path: Path) -> None:
    first = write_clip(read(make(tmp_path / "clip.mp3")), tmp_path / "one.wav")
    second = write_clip(read(tmp_path / "one.wav"), tmp_path / "two.wav")
    with (tmp_path / "two.wav").open("rb") as file:
        assert first.sha256 == second.sha256 == samples_sha256(file)
    with wave.open(str(tmp_path / "two.wav")) as wav:
        assert (wav.getnchannels(), wav.getsampwidth(), wav.getnframes()) == (1, 2, second.samples)


class TestRefusals:
    def test_a_swapped_portrait_is_recognised(self, portrait: Path) -> None:
        error = refusal(portrait)
        assert error.message == f"{portrait} holds no audio: it is an image"
        assert error.remedy.startswith("are --image and --audio swapped?")

    def test_text(self, tmp_path: Path) -> None:
        path = tmp_path / "clip.wav"
        path.write_text("hello " * 100)
        assert refusal(path).message == f"{path} is not an audio file: FFmpeg finds no audio in it"

    def test_a_video_without_sound(self, tmp_path: Path) -> None:
        path = make(tmp_path / "clip.mp4", source="color=size=64x64:duration=1")
        assert "no audio" in refusal(path).message

    def test_silence(self, tmp_path: Path) -> None:
        path = make(tmp_path / "clip.wav", source="anullsrc=duration=1")
        error = refusal(path)
        assert error.message == f"{path} holds nothing but silence"
        assert error.remedy == "use a clip in which somebody speaks"

    def test_a_noise_floor(self, tmp_path: Path) -> None:
        path = tmp_path / "clip.wav"
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(16000)
            file.writeframes(b"\x05\x00\xfb\xff" * 8000)
        assert refusal(path).message == f"{path} is silent: its peak is -76 dBFS, above -60 needed"

    def test_one_that_is_too_short(self, tmp_path: Path) -> None:
        path = write_tone(tmp_path / "clip.wav", seconds=0.1)
        assert refusal(path).message == f"{path} lasts 0.10 s, at least 0.2 s needed"

    def test_one_that_is_too_long(self, tmp_path: Path) -> None:
        path = make(tmp_path / "clip.flac", "-ar", "8000", source="sine=duration=1000:sample_rate=8000")
        error = refusal(path)
        assert error.message.endswith("at most 10 min allowed")
        assert error.remedy == "cut it into pieces"

    def test_one_that_ends_before_its_index(self, tmp_path: Path) -> None:
        path = cut(make(tmp_path / "clip.m4a", source="sine=frequency=220:duration=8"))
        assert refusal(path).message == f"{path} is not an audio file: FFmpeg finds no audio in it"

    def test_a_wav_of_no_bits(self, tmp_path: Path) -> None:
        path = write_tone(tmp_path / "clip.wav", seconds=1.0)
        data = bytearray(path.read_bytes())
        data[34:36] = b"\0\0"
        path.write_bytes(data)
        message = refusal(path).message
        assert message == f"{path} has 0 samples a second that can be decoded, 4000 or more needed"
