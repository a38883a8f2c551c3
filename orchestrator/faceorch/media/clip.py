"""Any audio that FFmpeg decodes -> a mono 16-bit PCM WAV at the clip's own rate."""

from __future__ import annotations

import hashlib
import io
import math
import wave
from pathlib import Path
from typing import BinaryIO, NamedTuple

from faceorch import bugs
from faceorch.errors import InputError
from faceorch.files import write_atomically
from faceorch.media.files import read_input
from faceorch.media.sound import SILENCE_DBFS, NoSound, NotAudio, read_sound

LONGEST_S = 600.0


class LoadedClip(NamedTuple):
    """A clip in memory: `pcm` is mono 16-bit little-endian."""

    source: Path
    source_sha256: str
    pcm: bytes
    sample_rate_hz: int
    notes: tuple[str, ...]

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.pcm) / 2 / self.sample_rate_hz


class Clip(NamedTuple):
    """A normalised clip on disk; `sha256` is that of the samples, so that it does not depend on the container."""

    source: Path
    source_sha256: str
    path: Path
    sha256: str
    duration_s: float
    sample_rate_hz: int
    samples: int
    notes: tuple[str, ...]


def read_clip(path: Path) -> LoadedClip:
    """Read and normalise a clip in memory; `InputError` says in one line why it cannot be used."""
    data = read_input(path, "audio")
    try:
        sound = read_sound(data, longest_s=LONGEST_S)
    except NotAudio as error:
        raise InputError(f"{path} {error}: {_looks_like(data)}", _remedy(data)) from error
    except NoSound as error:
        raise InputError(f"{path} {error}", "save it anew as WAV, or use another clip") from error
    except Exception as error:  # of libraries that are not ours, about a file that is not either
        bugs.write_log(error)
        raise InputError(f"{path} cannot be decoded: {bugs.describe(error)}", "save it anew as WAV") from error
    duration_s = sound.samples / sound.rate_hz
    if duration_s > LONGEST_S:
        raise InputError(
            f"{path} lasts {duration_s / 60:.1f} min, at most {LONGEST_S / 60:g} min allowed", "cut it into pieces"
        )
    peak = sound.peak
    if peak == 0:
        raise InputError(f"{path} holds nothing but silence", "use a clip in which somebody speaks")
    level_dbfs = 20 * math.log10(peak)
    if level_dbfs < SILENCE_DBFS:
        raise InputError(
            f"{path} is silent: its peak is {level_dbfs:.0f} dBFS, above {SILENCE_DBFS:g} needed",
            "use a clip in which somebody speaks, or raise its level",
        )
    pcm = sound.to_pcm()
    return LoadedClip(
        source=path,
        source_sha256=hashlib.sha256(data).hexdigest(),
        pcm=pcm,
        sample_rate_hz=sound.rate_hz,
        notes=tuple(sound.notes),
    )


def check_length(clip: LoadedClip, shortest_s: float) -> None:
    """Raise `InputError` when a clip is shorter than the shortest that any network of the run takes."""
    if clip.duration_s < shortest_s:
        message = f"{clip.source} lasts {clip.duration_s:.2f} s, at least {shortest_s:g} s needed"
        raise InputError(message, "use a longer clip")


def write_clip(loaded: LoadedClip, path: Path) -> Clip:
    """Write the normalised clip as WAV, by rename."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(loaded.sample_rate_hz)
        file.writeframes(loaded.pcm)
    write_atomically(path, buffer.getvalue())
    return Clip(
        source=loaded.source,
        source_sha256=loaded.source_sha256,
        path=path,
        sha256=hashlib.sha256(loaded.pcm).hexdigest(),
        duration_s=loaded.duration_s,
        sample_rate_hz=loaded.sample_rate_hz,
        samples=len(loaded.pcm) // 2,
        notes=loaded.notes,
    )


def samples_sha256(wav: BinaryIO) -> str:
    """Return the SHA-256 of the samples of a normalised WAV; of what is no such file, that of nothing."""
    try:
        with wave.open(wav, "rb") as file:
            return hashlib.sha256(file.readframes(file.getnframes())).hexdigest()
    except (wave.Error, EOFError, ValueError):
        return hashlib.sha256().hexdigest()


def _looks_like(data: bytes) -> str:
    if data[:8] == b"\x89PNG\r\n\x1a\n" or data[:3] in (b"\xff\xd8\xff", b"GIF"):
        return "it is an image"
    if data.lstrip()[:5].lower() in (b"<html", b"<!doc", b"<?xml"):
        return "it looks like a web page"
    return "FFmpeg finds no audio in it"


def _remedy(data: bytes) -> str:
    if _looks_like(data) == "it is an image":
        return "are --image and --audio swapped? faceorch run --image face.png --audio clip.wav"
    return "use WAV, MP3, M4A, FLAC or OGG"
