"""Any audio that FFmpeg decodes -> a mono 16-bit PCM WAV at the clip's own rate."""

from __future__ import annotations

import array
import hashlib
import io
import math
import sys
import wave
from dataclasses import dataclass
from pathlib import Path

from faceorch.errors import InputError
from faceorch.files import write_atomically
from faceorch.media.files import read_input

HIGHEST_RATE_HZ = 48_000
LOWEST_RATE_HZ = 4_000
LONGEST_S = 600.0
# Below this peak a clip holds nothing that a voice could be: 16-bit noise floors lie near -90 dBFS.
SILENCE_DBFS = -60.0


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadedClip:
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


@dataclass(frozen=True, kw_only=True, slots=True)
class Clip:
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
    _check_riff(path, data)
    pcm, rate_hz, notes = _decode(path, data)
    duration_s = len(pcm) / 2 / rate_hz
    if duration_s > LONGEST_S:
        raise InputError(
            f"{path} lasts {duration_s / 60:.1f} min, at most {LONGEST_S / 60:g} min allowed", "cut it into pieces"
        )
    peak = _peak(pcm)
    if peak == 0:
        raise InputError(f"{path} holds nothing but silence", "use a clip in which somebody speaks")
    level_dbfs = 20 * math.log10(peak / 32768)
    if level_dbfs < SILENCE_DBFS:
        raise InputError(
            f"{path} is silent: its peak is {level_dbfs:.0f} dBFS, above {SILENCE_DBFS:g} needed",
            "use a clip in which somebody speaks, or raise its level",
        )
    return LoadedClip(
        source=path,
        source_sha256=hashlib.sha256(data).hexdigest(),
        pcm=pcm,
        sample_rate_hz=rate_hz,
        notes=tuple(notes),
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


def samples_sha256(path: Path) -> str:
    """Return the SHA-256 of the samples of a normalised WAV."""
    with wave.open(str(path), "rb") as file:
        return hashlib.sha256(file.readframes(file.getnframes())).hexdigest()


def _check_riff(path: Path, data: bytes) -> None:
    """Refuse a WAV that is cut off: FFmpeg takes what is there for all there is."""
    stated = int.from_bytes(data[4:8], "little") + 8
    streamed = data[4:8] in (b"\0\0\0\0", b"\xff\xff\xff\xff")  # written to a pipe: the length was not known
    if data[:4] == b"RIFF" and not streamed and stated > len(data) + 1:
        raise InputError(
            f"{path} is damaged: {len(data)} of {stated} bytes are there", "copy it again, or save it anew as WAV"
        )


def _decode(path: Path, data: bytes) -> tuple[bytes, int, list[str]]:
    """Return mono PCM, its rate, and notes."""
    import av
    import av.logging
    from av.audio.frame import AudioFrame

    notes: list[str] = []
    pieces: list[bytes] = []
    try:
        container = av.open(io.BytesIO(data), "r")
    except (av.FFmpegError, ValueError) as error:
        raise InputError(f"{path} is no audio file: {_looks_like(data)}", _remedy(data)) from error
    with container:
        if not container.streams.audio:
            raise InputError(f"{path} holds no audio: {_looks_like(data)}", _remedy(data))
        stream = container.streams.audio[0]
        if len(container.streams.audio) > 1:
            notes.append(f"{len(container.streams.audio)} audio tracks; the first is used")
        if any(v.disposition & 0x400 == 0 for v in container.streams.video):  # 0x400: a cover picture
            notes.append("a video file; its audio is used")
        source_rate_hz = stream.rate
        if not source_rate_hz or source_rate_hz < LOWEST_RATE_HZ:
            raise InputError(
                f"{path} has {source_rate_hz} samples a second, {LOWEST_RATE_HZ} or more needed", "use another clip"
            )
        rate_hz = min(source_rate_hz, HIGHEST_RATE_HZ)
        resampler = av.AudioResampler(format="s16", layout="mono", rate=rate_hz)
        limit = int((LONGEST_S + 1) * rate_hz) * 2
        size = 0

        def keep(frames: list[AudioFrame]) -> int:
            for frame in frames:
                pieces.append(bytes(frame.planes[0])[: frame.samples * 2])
            return sum(frame.samples * 2 for frame in frames)

        damaged = ""
        try:
            for frame in container.decode(stream):
                size += keep(resampler.resample(frame))
                if size > limit:
                    break  # longer than allowed: the caller says so
            size += keep(resampler.resample(None))
        except av.FFmpegError as error:
            damaged = error.strerror or type(error).__name__
        if source_rate_hz > HIGHEST_RATE_HZ:
            notes.append(f"resampled from {source_rate_hz} Hz to {rate_hz} Hz")
        if stream.channels > 1:
            notes.append(f"{stream.channels} channels mixed to one")
        # container.duration is in microseconds (FFmpeg's AV_TIME_BASE) and may be unknown.
        stated_s = (container.duration or 0) / 1_000_000
    found_s = size / 2 / rate_hz
    if not pieces:
        raise InputError(f"{path} holds no sound that can be decoded: {damaged or 'no samples'}", "save it anew as WAV")
    if damaged or (stated_s - found_s > max(0.5, 0.1 * stated_s) and size <= limit):
        what = f"{found_s:.1f} s of {stated_s:.1f} s can be decoded" if stated_s > found_s else damaged
        raise InputError(f"{path} is damaged: {what}", "copy it again, or save it anew as WAV")
    return b"".join(pieces), rate_hz, notes


def _peak(pcm: bytes) -> int:
    """Return the largest absolute sample."""
    samples = array.array("h")
    samples.frombytes(pcm)
    if sys.byteorder == "big":
        samples.byteswap()
    return max(max(samples), -min(samples))


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
