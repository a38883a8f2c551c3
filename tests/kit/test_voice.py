"""Clips on their way in."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest

from faceorch_kit import voice
from faceorch_runner import BadInput
from tests.conftest import write_tone


def test_samples_are_read_as_the_file_holds_them(tmp_path: Path) -> None:
    path = tmp_path / "clip.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(np.array([0, 16384, -32768], "<i2").tobytes())
    samples, rate = voice.read(path)
    assert (samples.tolist(), rate) == ([0, 16384, -32768], 8000)
    assert voice.to_float(samples).tolist() == [0.0, 0.5, -1.0]
    assert voice.to_float(samples).dtype == np.float32


def test_a_clip_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "clip.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((2, 1, 8000, 0, "NONE", ""))
        file.writeframes(bytes(16))
    with pytest.raises(BadInput, match=r"^clip\.wav has 2 channels of 8 bits, mono 16 bits needed$"):
        voice.read(path)


@pytest.mark.parametrize("rate", [8000, 16000, 24000, 44100])
def test_clips_of_every_rate_are_x_and_at_their_own_loudness(tmp_path: Path, rate: int) -> None:
    path = write_tone(tmp_path / "clip.wav", seconds=1.0, rate=rate)
    heard = voice.read_at(path, 16000)
    assert voice.duration_s(path) == 1.0
    assert abs(len(heard) - 16000) <= 32
    middle = heard[4000:12000]
    assert float(np.abs(middle).max()) == pytest.approx(12000 / 32768, rel=0.02)
    crossings = np.flatnonzero((middle[:-1] < 0) & (middle[1:] >= 0))
    assert 16000 / np.diff(crossings).mean() == pytest.approx(220.0, rel=0.01)


def test_a_clip_that_cannot_be_decoded_is_named(tmp_path: Path) -> None:
    path = tmp_path / "clip.wav"
    path.write_bytes(b"RIFF")
    with pytest.raises(BadInput, match=r"^clip\.wav cannot be decoded: "):
        voice.read_at(path, 16000)
