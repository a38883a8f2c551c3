"""Any audio FFmpeg decodes becomes a mono 16-bit WAV at its own rate; what cannot be used is refused in one line."""

from __future__ import annotations

import subprocess
import wave
from pathlib import Path

import imageio_ffmpeg
import pytest

from faceorch.errors import InputError
from faceorch.media.clip import LoadedClip, check_length, read_clip, samples_sha256, write_clip
from tests.conftest import write_tone

TONE = "sine=frequency=220:duration=2"


def make(path: Path, *options: str, source: str = TONE) -> Path:
    """Make a clip with ffmpeg."""
    arguments = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", "-f", "lavfi", "-i", source, *options]
    subprocess.run([*arguments, str(path)], check=True, stdin=subprocess.DEVNULL)
    return path


def read(path: Path) -> LoadedClip:
    clip = read_clip(path)
    check_length(clip, 0.2)
    return clip


def refusal(path: Path) -> InputError:
    with pytest.raises(InputError) as caught:
        read(path)
    return caught.value


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("clip.mp3", ("-b:a", "96k")),
        ("clip.m4a", ("-c:a", "aac")),
        ("clip.flac", ()),
        ("clip.ogg", ("-c:a", "libvorbis")),
        ("clip.opus", ("-c:a", "libopus")),
        ("eight.wav", ("-c:a", "pcm_u8")),
        ("float.wav", ("-c:a", "pcm_f32le")),
        ("alaw.wav", ("-c:a", "pcm_alaw", "-ar", "8000")),
    ],
)
def test_every_format_keeps_its_length(tmp_path: Path, name: str, options: tuple[str, ...]) -> None:
    loaded = read(make(tmp_path / name, *options))
    assert loaded.duration_s == pytest.approx(2.0, abs=0.08)
    assert len(loaded.pcm) == round(loaded.duration_s * loaded.sample_rate_hz) * 2


def test_stereo_is_mixed_with_a_note(tmp_path: Path) -> None:
    loaded = read(make(tmp_path / "clip.wav", "-ac", "2", "-ar", "48000"))
    assert (loaded.sample_rate_hz, loaded.notes) == (48000, ("2 channels mixed to one",))


def test_a_very_high_rate_is_resampled_with_a_note(tmp_path: Path) -> None:
    loaded = read(make(tmp_path / "clip.wav", "-ar", "96000"))
    assert (loaded.sample_rate_hz, loaded.notes) == (48000, ("resampled from 96000 Hz to 48000 Hz",))
    assert loaded.duration_s == pytest.approx(2.0, abs=0.01)


def test_the_sound_of_a_video_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    make(path, "-f", "lavfi", "-i", "color=size=64x64:duration=2", "-map", "0:a", "-map", "1:v", "-c:a", "aac")
    assert read(path).duration_s == pytest.approx(2.0, abs=0.1)


def test_the_level_survives(tmp_path: Path) -> None:
    loaded = read(write_tone(tmp_path / "clip.wav", seconds=1.0))
    samples = memoryview(loaded.pcm).cast("h")
    assert max(samples) == pytest.approx(12000, abs=2)


def test_normalising_twice_gives_the_same_samples(tmp_path: Path) -> None:
    first = write_clip(read(make(tmp_path / "clip.mp3")), tmp_path / "one.wav")
    second = write_clip(read(tmp_path / "one.wav"), tmp_path / "two.wav")
    assert first.sha256 == second.sha256 == samples_sha256(tmp_path / "two.wav")
    with wave.open(str(tmp_path / "two.wav")) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getnframes()) == (1, 2, second.samples)


class TestRefusals:
    def test_a_folder(self, tmp_path: Path) -> None:
        assert refusal(tmp_path).message == f"{tmp_path} is a folder, an audio file is needed"

    def test_an_empty_file(self, tmp_path: Path) -> None:
        path = tmp_path / "clip.wav"
        path.write_bytes(b"")
        assert refusal(path).message == f"{path} is empty (0 bytes)"

    def test_a_swapped_portrait_is_recognised(self, portrait: Path) -> None:
        error = refusal(portrait)
        assert error.message == f"{portrait} holds no audio: it is an image"
        assert error.remedy.startswith("are --image and --audio swapped?")

    def test_text(self, tmp_path: Path) -> None:
        path = tmp_path / "clip.wav"
        path.write_text("hello " * 100)
        assert refusal(path).message == f"{path} is no audio file: FFmpeg finds no audio in it"

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

    @pytest.mark.parametrize("name", ["clip.wav", "clip.flac", "clip.m4a"])
    def test_a_cut_off_file_is_refused_and_not_shortened(self, tmp_path: Path, name: str) -> None:
        path = make(tmp_path / name, source="sine=frequency=220:duration=8")
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 2])
        message = refusal(path).message
        assert str(path) in message
        assert "\n" not in message

    def test_a_named_pipe_does_not_hang(self, tmp_path: Path) -> None:
        import os

        path = tmp_path / "pipe"
        os.mkfifo(path)
        assert refusal(path).message == f"{path} is no regular file"
