"""Sound of any format that FFmpeg decodes, however odd it is."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faceorch.media.clip import LoadedClip
from tests.conftest import write_tone
from tests.unit.media.conftest import cut, make, read


def mp3(path: Path, *options: str) -> bytes:
    return make(path, "-b:a", "96k", "-write_xing", "0", "-id3v2_version", "0", *options).read_bytes()


def wav_of_floats(samples: np.ndarray[Any, np.dtype[np.float32]], rate_hz: int) -> bytes:
    floats, data = 3, samples.tobytes()
    form = struct.pack("<HHIIHH", floats, 1, rate_hz, 4 * rate_hz, 4, 32)
    chunks = b"".join(name + struct.pack("<I", len(part)) + part for name, part in ((b"fmt ", form), (b"data", data)))
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def panned(path: Path, right: float) -> LoadedClip:
    return read(make(path, "-af", f"pan=stereo|c0=c0|c1={right}*c0"))


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


def test_floats_are_rounded_to_the_nearest(tmp_path: Path) -> None:
    path = tmp_path / "float.wav"
    wanted = np.array([0, 1, -1, 2, -2, 32767, -32768, 32767, 16384], np.int16)
    floats = np.array([0.4, 0.6, -0.6, 1.7, -2.3, 32767.0, -32768.0, 32768.0, 16384.2], np.float32) / 32768
    path.write_bytes(wav_of_floats(np.tile(floats, 1000), 16_000))
    assert read(path).pcm == np.tile(wanted, 1000).tobytes()


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


class TestOddButUsable:
    """What people bring is used as far as it goes, and every change is a note."""

    def test_a_title_that_is_not_utf8_is_no_obstacle(self, tmp_path: Path) -> None:
        path = make(tmp_path / "tagged.wav", "-metadata", "title=Gr??e")
        path.write_bytes(path.read_bytes().replace(b"Gr??e", "Grüße".encode("latin-1")))
        assert read(path).duration_s == pytest.approx(2.0)

    def test_the_rate_changes_on_the_way(self, tmp_path: Path) -> None:
        path = tmp_path / "joined.mp3"
        path.write_bytes(mp3(tmp_path / "a.mp3", "-ar", "24000") + mp3(tmp_path / "b.mp3", "-ar", "44100"))
        loaded = read(path)
        assert loaded.duration_s == pytest.approx(4.0, abs=0.2)
        assert loaded.notes[0] == "its rate changes on the way (24000, 44100 Hz); brought to one"

    def test_the_channels_change_on_the_way(self, tmp_path: Path) -> None:
        path = tmp_path / "joined.mp3"
        path.write_bytes(mp3(tmp_path / "a.mp3") + mp3(tmp_path / "b.mp3", "-ac", "2"))
        loaded = read(path)
        assert loaded.duration_s == pytest.approx(4.0, abs=0.2)
        assert loaded.notes == ("its channels change on the way (mono, stereo); mixed to one",)

    def test_files_joined_with_their_headers(self, tmp_path: Path) -> None:
        path = make(tmp_path / "clip.mp3", "-q:a", "4")
        path.write_bytes(path.read_bytes() * 3)
        assert read(path).duration_s == pytest.approx(6.0, abs=0.3)

    @pytest.mark.parametrize("right", [-1.0, -0.9])
    def test_channels_that_cancel_each_other(self, tmp_path: Path, right: float) -> None:
        loaded = panned(tmp_path / "clip.wav", right)
        assert loaded.notes[0].startswith("channel 1 of 2 is used: mixed to one, the channels cancel each other (")
        alone = read(make(tmp_path / "mono.wav"))
        assert max(memoryview(loaded.pcm).cast("h")) == max(memoryview(alone.pcm).cast("h"))

    def test_a_voice_in_one_channel_is_mixed_as_any_other(self, tmp_path: Path) -> None:
        assert panned(tmp_path / "clip.wav", 0.0).notes == ("2 channels mixed to one",)

    def test_the_default_track_is_used(self, tmp_path: Path) -> None:
        marks = ("-disposition:a:0", "0", "-disposition:a:1", "default", "-c:a", "aac")
        tracks = ("-filter_complex", "[0]asplit[x][b];[x]volume=0.5[a]", "-map", "[a]", "-map", "[b]")
        loaded = read(make(tmp_path / "clip.mka", *tracks, *marks))
        assert loaded.notes == ("2 audio tracks; track 2, the default, is used",)

    def test_a_silent_default_track_is_passed_over(self, tmp_path: Path) -> None:
        marks = ("-disposition:a:0", "default", "-disposition:a:1", "0", "-c:a", "aac")
        tracks = ("-filter_complex", "[0]asplit[x][b];[x]volume=0[a]", "-map", "[a]", "-map", "[b]")
        loaded = read(make(tmp_path / "clip.mka", *tracks, *marks))
        assert loaded.notes == ("2 audio tracks; track 2, the first that sounds, is used",)

    @pytest.mark.parametrize(
        ("filters", "late"),
        [
            ("[0:a]anull[s]", ()),
            ("[0:a]asetpts=PTS+5/TB[s]", ("its sound starts 5.0 s into the file; the clip begins there",)),
        ],
    )
    def test_the_picture_of_a_video_lasts_longer_than_its_sound(
        self, tmp_path: Path, filters: str, late: tuple[str, ...]
    ) -> None:
        picture = ("-f", "lavfi", "-i", "color=size=64x64:duration=9", "-filter_complex", filters)
        loaded = read(make(tmp_path / "clip.mp4", *picture, "-map", "[s]", "-map", "1:v", "-c:a", "aac"))
        assert loaded.duration_s == pytest.approx(2.0, abs=0.1)
        assert loaded.notes == ("a video file; its audio is used", *late)

    @pytest.mark.parametrize(("at", "value"), [(4, 8), (40, -1)], ids=["riff-length", "no-data-length"])
    def test_a_header_that_lies_about_lengths(self, tmp_path: Path, at: int, value: int) -> None:
        path = write_tone(tmp_path / "clip.wav", seconds=1.0)
        data = bytearray(path.read_bytes())
        stated = int.from_bytes(data[at : at + 4], "little")
        data[at : at + 4] = (stated + value if value > 0 else 0).to_bytes(4, "little")
        path.write_bytes(data)
        loaded = read(path)
        assert loaded.duration_s == pytest.approx(1.0, abs=0.01)
        assert loaded.notes == ()

    @pytest.mark.parametrize("name", ["clip.wav", "clip.flac"])
    def test_what_is_there_of_a_file_that_is_cut_off(self, tmp_path: Path, name: str) -> None:
        loaded = read(cut(make(tmp_path / name, source="sine=frequency=220:duration=8")))
        assert 3.0 < loaded.duration_s < 5.0
        note = f"cut off: {loaded.duration_s:.1f} s of the 8.0 s that its header states are there"
        assert note in loaded.notes

    def test_floats_beyond_full_scale_are_scaled_down(self, tmp_path: Path) -> None:
        loaded = read(make(tmp_path / "clip.wav", "-filter:a", "volume=24dB", "-c:a", "pcm_f32le"))
        samples = memoryview(loaded.pcm).cast("h")
        assert samples.tolist().count(32767) < len(samples) / 100, "a sine that is clipped rests at full scale"
        assert loaded.notes == ("scaled down by 5.9 dB: its samples go beyond full scale",)
