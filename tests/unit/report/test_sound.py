"""The clip on the page: its waveform, its loudest moment, its words."""

from __future__ import annotations

import struct
import wave
from collections.abc import Sequence
from pathlib import Path

import pytest

from faceorch.report.sound import PARTS, read_sound, spread_words

RATE = 8000


def write(path: Path, levels: Sequence[int], *, channels: int = 1) -> None:
    """Write a clip with one level for each tenth of a second."""
    samples = [level * (1 if i % 2 else -1) for level in levels for i in range(RATE // 10)]
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(struct.pack(f"<{len(samples)}h", *samples))


def test_the_waveform_and_a_loud_moment(tmp_path: Path) -> None:
    write(tmp_path / "clip.wav", [0] * 10 + [20000] * 3 + [0] * 7 + [10000] * 20)
    sound = read_sound(tmp_path, "clip.wav", "clip.txt")
    assert sound is not None
    assert len(sound.bars) == PARTS
    assert (sound.bars[0], max(sound.bars), sound.bars[-1]) == (0, 1, 0.5)
    assert 1.0 <= sound.loud_s <= 1.3


def test_of_several_loud_moments_the_first_is_shown(tmp_path: Path) -> None:
    write(tmp_path / "clip.wav", [0] * 10 + [10000] * 3 + [0] * 7 + [19000] * 3 + [0] * 30 + [20000] * 20)
    sound = read_sound(tmp_path, "clip.wav", "clip.txt")
    assert sound is not None
    assert 2.0 <= sound.loud_s <= 2.3
    assert sound.words == ()


@pytest.mark.parametrize("what", ["no clip", "two channels", "not WAV", "silence", "link"])
def test_a_clip_that_faceorch_did_not_write_is_not_shown(tmp_path: Path, what: str) -> None:
    path = tmp_path / "clip.wav"
    if what in ("two channels", "silence"):
        write(path, [0 if what == "silence" else 9000] * 10, channels=1 if what == "silence" else 2)
    elif what == "not WAV":
        path.write_bytes(b"RIFF\xff\xff\xff\xffWAVEfmt ")
    elif what == "link":
        write(tmp_path / "other.wav", [9000] * 10)
        path.symlink_to(tmp_path / "other.wav")
    assert read_sound(tmp_path, "clip.wav", "clip.txt") is None


def test_words_are_where_somebody_speaks() -> None:
    levels = [0] * 50 + [100] * 100 + [0] * 50 + [100] * 100
    words = spread_words(["aaaa", "bbbb", "cccc", "dddd"], levels)
    assert [word.text for word in words] == ["aaaa", "bbbb", "cccc", "dddd"]
    assert [(word.from_s, word.to_s) for word in words] == [(1, 2), (2, 3), (4, 5), (5, 6)]


@pytest.mark.parametrize("levels", [[], [0, 0]])
def test_without_a_voice_there_is_no_place_for_words(levels: list[int]) -> None:
    assert spread_words(["a"], levels) == ()


def test_a_text_that_is_none_has_no_words(tmp_path: Path) -> None:
    write(tmp_path / "clip.wav", [9000] * 10)
    (tmp_path / "clip.txt").write_bytes(b"\xff\xfe")
    sound = read_sound(tmp_path, "clip.wav", "clip.txt")
    assert sound is not None
    assert sound.words == ()
