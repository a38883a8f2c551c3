"""Sound from any file that FFmpeg opens, as one channel of floats; what is odd about it is noted and not refused."""

from __future__ import annotations

import array
import io
import math
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from faceorch.untrusted import SENTENCE, text

if TYPE_CHECKING:
    from av import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.filter import Graph

HIGHEST_RATE_HZ = 48_000
LOWEST_RATE_HZ = 4_000
SILENCE_DBFS = -60.0  # 16-bit noise floors lie near -90 dBFS
# Mixing a voice in one of two channels costs 6 dB, in the middle of 5.1 about 9; more is lost only by cancelling.
_LOST_DB = 10.0
_STRIDE = 7  # of the samples that are looked at to know how loud a channel is
_MOST_CHANNELS = 64
_LATE_S = 0.5
_DEFAULT = 1  # FFmpeg's disposition of a track that players choose
_COVER = 0x400  # and of a picture that is a cover
# Containers that write down how long their tracks are; of others FFmpeg knows an estimate.
_STATE_LENGTH = {"wav", "flac", "aiff", "mov,mp4,m4a,3gp,3g2,mj2"}


class NoSound(Exception):
    """Nothing in a file can be used as a clip; the message says why in one line."""


class NotAudio(NoSound):
    """A file holds no sound at all."""


class Sound:
    """`pieces` are 32-bit floats, full scale 1.0, of one channel; `peak` is the largest absolute sample."""

    def __init__(self, rate_hz: int) -> None:
        self.rate_hz = rate_hz
        self.pieces: list[array.array[float]] = []
        self.notes: list[str] = []
        self.samples = 0
        self.peak = 0.0

    def to_pcm(self) -> bytes:
        """Return 16-bit little-endian samples, scaled down (with a note) when they would not fit."""
        pieces = self.pieces
        if self.peak > 1.0:
            gain = 1.0 / self.peak
            pieces = [array.array("f", (value * gain for value in piece)) for piece in pieces]
            self.notes.append(f"scaled down by {_db(self.peak):.1f} dB: its samples go beyond full scale")
        return _sixteen_bits(pieces, self.rate_hz)


def read_sound(data: bytes, *, longest_s: float) -> Sound:
    """Return the sound of a file, or slightly more than `longest_s` seconds of it; `NoSound` when it has none.

    Of several tracks, the one that players choose is taken, or the first that sounds when that one is silent.
    """
    with _opened(data) as container:
        tracks = list(container.streams.audio)
        if not tracks:
            raise NotAudio("holds no audio")
        film = any(not track.disposition & _COVER for track in container.streams.video)
        order = sorted(range(len(tracks)), key=lambda index: not tracks[index].disposition & _DEFAULT)
    first: Sound | None = None
    problem = NoSound("holds no sound that can be decoded")
    for index in order:
        try:
            sound = _track(data, index, longest_s)
        except NoSound as error:
            problem = problem if first is not None else error
            continue
        first = first or sound
        if _db(sound.peak) >= SILENCE_DBFS:
            break
    else:
        if first is None:
            raise problem
        sound, index = first, order[0]
    if len(tracks) > 1:
        why = "the default" if index == order[0] else "the first that sounds"
        sound.notes.insert(0, f"{len(tracks)} audio tracks; track {index + 1}, {why}, is used")
    if film:
        sound.notes.insert(0, "a video file; its audio is used")
    return sound


def _track(data: bytes, index: int, longest_s: float) -> Sound:
    """Return the sound of one track; the channel that is heard most is used when mixing would lose it."""
    sound, listener = _decode(data, index, longest_s, None)
    channel, lost_db = listener.lost()
    if channel is None:
        if listener.most > 1 and not listener.changed:
            sound.notes.append(f"{listener.most} channels mixed to one")
        return sound
    sound, _ = _decode(data, index, longest_s, channel)
    how = f"{lost_db:.0f} dB" if math.isfinite(lost_db) else "all"
    sound.notes.append(
        f"channel {channel + 1} of {listener.most} is used: mixed to one, the channels cancel each other ({how} lost)"
    )
    return sound


def _decode(data: bytes, index: int, longest_s: float, channel: int | None) -> tuple[Sound, _Listener]:
    """Decode a track to its end, passing over what cannot be decoded."""
    with _opened(data) as container:
        stream = container.streams.audio[index]
        # PyAV gives a stream no codec when there is none for it, as for a WAV of 0 bits a sample.
        source_hz = getattr(stream, "rate", None) or 0
        if source_hz < LOWEST_RATE_HZ:
            raise NoSound(f"has {source_hz} samples a second that can be decoded, {LOWEST_RATE_HZ} or more needed")
        sound = Sound(min(source_hz, HIGHEST_RATE_HZ))
        if source_hz > HIGHEST_RATE_HZ:
            sound.notes.append(f"resampled from {source_hz} Hz to {sound.rate_hz} Hz")
        listener = _Listener()
        limit = int((longest_s + 1) * sound.rate_hz)
        mixer: _Mixer | None = None
        kinds: list[tuple[str, int, str]] = []
        problems = _Problems()
        for frame in _frames(container, stream, problems):
            kind = (frame.format.name, frame.sample_rate, frame.layout.name)
            if not kinds:
                sound.notes += _late(container, frame)
            try:
                if mixer is None or kind != kinds[-1]:
                    if mixer is not None:
                        _keep(sound, mixer.end())
                    mixer = _Mixer(frame, sound.rate_hz, channel)
                    kinds.append(kind)
                mixed = mixer.add(frame)
                listener.hear(frame, mixed)
            except Exception as error:  # FFmpeg's, or PyAV's own about a frame that is like no other
                problems.add(error)
                mixer = None
                continue
            _keep(sound, mixed)
            if sound.samples > limit:
                break  # longer than allowed: the caller says so
        if mixer is not None:
            with suppress(Exception):
                _keep(sound, mixer.end())
        if not sound.samples:
            raise NoSound(f"holds no sound that can be decoded: {problems.first or 'no samples'}")
        sound.notes += _changes(kinds)
        if problems.count:
            sound.notes.append(f"{problems.count} pieces cannot be decoded and are left out ({problems.first})")
        if sound.samples <= limit:
            sound.notes += _missing(data, container, stream, sound.samples / sound.rate_hz)
        return sound, listener


def _opened(data: bytes) -> InputContainer:
    """Open a file; `NotAudio` when FFmpeg knows no format that it could be."""
    import av
    import av.logging

    try:
        opened: InputContainer = av.open(io.BytesIO(data), "r", **_tags_in_any_encoding())
    except (av.FFmpegError, ValueError) as error:
        raise NotAudio("is not an audio file") from error
    return opened


def _tags_in_any_encoding() -> dict[str, Any]:
    """Return what PyAV must be told so that a title that is not UTF-8 is not an error: nothing any more from 19 on."""
    import av

    return {"metadata_errors": "replace"} if int(av.__version__.partition(".")[0]) < 19 else {}


class _Problems:
    """What could not be decoded: how often, and why for the first time."""

    def __init__(self) -> None:
        self.count, self.first = 0, ""

    def add(self, error: Exception) -> None:
        said = getattr(error, "strerror", None) or str(error) or type(error).__name__
        self.count, self.first = self.count + 1, self.first or text(said, SENTENCE)


def _frames(container: InputContainer, stream: AudioStream, problems: _Problems) -> Iterator[AudioFrame]:
    """Yield the frames of a track; a bad packet costs its own sound and no other."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except Exception as error:  # the file ends in the middle, or its index is wrong: what came before counts
            problems.add(error)
            return
        if packet is None:
            return
        try:
            yield from (frame for frame in packet.decode() if _usable(frame))
        except Exception as error:
            problems.add(error)


def _usable(frame: AudioFrame) -> bool:
    return (
        frame.samples > 0
        and LOWEST_RATE_HZ <= frame.sample_rate <= 1_000_000
        and 1 <= len(frame.layout.channels) <= _MOST_CHANNELS
    )


class _Mixer:
    """Brings frames of one kind to one channel of floats; mixes all channels, or takes only one of them."""

    def __init__(self, frame: AudioFrame, rate_hz: int, channel: int | None) -> None:
        count = len(frame.layout.channels)
        filters: list[tuple[str, str]] = []
        if count > 1 and channel is not None and channel < count:
            filters.append(("pan", f"mono|c0=c{channel}"))
        elif count > 1 and _is_unordered(frame):
            filters.append(("pan", "mono|c0=" + "+".join(f"{1 / count:.6f}*c{number}" for number in range(count))))
        # Told that floats are limited too, FFmpeg mixes them as it mixes integers: nothing gets louder.
        options = f"{rate_hz}:out_sample_fmt=flt:out_chlayout=mono:rematrix_maxval=1.0"
        self._graph = _graph(frame, [*filters, ("aresample", options)])

    def add(self, frame: AudioFrame) -> list[array.array[float]]:
        """Return what becomes of a frame; the resampler may keep some of it for the next."""
        frame.pts = None
        self._graph.push(frame)
        return _pull(self._graph)

    def end(self) -> list[array.array[float]]:
        """Return what the resampler has kept."""
        self._graph.push(None)
        return _pull(self._graph)


class _Listener:
    """Measures how loud every channel is, and how loud their mix."""

    def __init__(self) -> None:
        self.most, self.changed, self._heard = 1, False, False
        self._channels: dict[int, float] = {}
        self._mix, self._mix_count = 0.0, 0
        self._count = 0
        self._kind: object = None
        self._graph: Graph | None = None

    def hear(self, frame: AudioFrame, mixed: list[array.array[float]]) -> None:
        """Add a frame, and the mix that was made of it (or of one shortly before)."""
        count = len(frame.layout.channels)
        self.changed = self.changed or (self._heard and count != self.most)
        self.most, self._heard = max(self.most, count), True
        if count == 1:
            return
        kind = (frame.format.name, frame.sample_rate, frame.layout.name)
        if self._graph is None or kind != self._kind:
            self._graph, self._kind = _graph(frame, [("aformat", "sample_fmts=flt")]), kind
        self._graph.push(frame)
        for piece in _pull(self._graph, count):
            for channel in range(count):
                self._channels[channel] = self._channels.get(channel, 0.0) + _energy(piece[channel :: count * _STRIDE])
            self._count += len(piece[:: count * _STRIDE])
        for piece in mixed:
            looked_at = piece[::_STRIDE]
            self._mix, self._mix_count = self._mix + _energy(looked_at), self._mix_count + len(looked_at)

    def lost(self) -> tuple[int | None, float]:
        """Return the loudest channel and the decibels by which the mix is softer; None when that is not much."""
        if not self._channels or not self._mix_count:
            return None, 0.0
        loudest = max(self._channels, key=lambda channel: self._channels[channel])
        best, mix = self._channels[loudest] / self._count, self._mix / self._mix_count
        if math.sqrt(best) <= 1e-4 or not math.isfinite(best):
            return None, 0.0
        lost_db = 10 * math.log10(best / mix) if mix > 0 else math.inf
        return (loudest, lost_db) if lost_db > _LOST_DB else (None, 0.0)


def _graph(frame: AudioFrame, filters: list[tuple[str, str]]) -> Graph:
    from av.filter import Graph

    graph = Graph()
    nodes = [
        graph.add_abuffer(sample_rate=frame.sample_rate, format=frame.format.name, layout=frame.layout.name),
        *(graph.add(name, options) for name, options in filters),
        graph.add("abuffersink"),
    ]
    graph.link_nodes(*nodes).configure()
    return graph


def _pull(graph: Graph, channels: int = 1) -> list[array.array[float]]:
    """Return the packed floats that a graph has ready."""
    import av

    pieces: list[array.array[float]] = []
    while True:
        try:
            frame = graph.pull()
        except (av.BlockingIOError, av.EOFError):
            return pieces
        piece = array.array("f")
        piece.frombytes(bytes(frame.planes[0])[: frame.samples * channels * 4])  # type: ignore[union-attr]
        pieces.append(piece)


def _keep(sound: Sound, pieces: list[array.array[float]]) -> None:
    for piece in pieces:
        # What is not a number is silence: one such sample would make the whole clip useless.
        if not math.isfinite(sum(piece)):
            piece = array.array("f", (value if math.isfinite(value) else 0.0 for value in piece))
        sound.pieces.append(piece)
        sound.samples += len(piece)
        sound.peak = max(sound.peak, max(piece, default=0.0), -min(piece, default=0.0))


def _is_unordered(frame: AudioFrame) -> bool:
    """Return whether the file does not state its channel layout: FFmpeg then names it after the number of channels."""
    return "channels" in frame.layout.name


def _energy(samples: array.array[float]) -> float:
    return sum(map(float.__mul__, samples, samples))


def _db(level: float) -> float:
    return 20 * math.log10(level) if level > 0 else -math.inf


def _sixteen_bits(pieces: Iterable[array.array[float]], rate_hz: int) -> bytes:
    """Return floats as 16-bit little-endian integers, rounded to the nearest."""
    import av

    resampler = av.AudioResampler(format="s16", layout="mono", rate=rate_hz)
    made = array.array("h")
    for piece in filter(None, pieces):
        frame = av.AudioFrame(format="flt", layout="mono", samples=len(piece))
        frame.sample_rate = rate_hz
        frame.planes[0].update(piece.tobytes().ljust(frame.planes[0].buffer_size, b"\0"))
        for plain in resampler.resample(frame):
            made.frombytes(bytes(plain.planes[0])[: 2 * plain.samples])
    if sys.byteorder == "big":
        made.byteswap()
    return made.tobytes()


def _late(container: InputContainer, first: AudioFrame) -> list[str]:
    """Note that the sound of a file starts long after its picture does."""
    if first.time is None or container.start_time is None:
        return []
    late_s = first.time - container.start_time / 1e6
    return [f"its sound starts {late_s:.1f} s into the file; the clip begins there"] if late_s >= _LATE_S else []


def _changes(kinds: list[tuple[str, int, str]]) -> list[str]:
    """Note what changes on the way: the first kind of frame gives the clip its rate."""
    notes = []
    rates = list(dict.fromkeys(rate for _, rate, _ in kinds))
    if len(rates) > 1:
        notes.append(f"its rate changes on the way ({_listed(rates)} Hz); brought to one")
    layouts = list(dict.fromkeys(layout for _, _, layout in kinds))
    if len(layouts) > 1:
        notes.append(f"its channels change on the way ({_listed(layouts)}); mixed to one")
    return notes


def _listed(values: list[int] | list[str]) -> str:
    shown = ", ".join(map(str, values[:4]))
    return shown if len(values) <= 4 else f"{shown}, ..."


def _missing(data: bytes, container: InputContainer, stream: AudioStream, found_s: float) -> list[str]:
    """Note that a file ends before its own header says so."""
    stated_s = 0.0
    if data[:4] == b"RIFF":
        stated_s = _stated_riff(data, found_s)
    elif container.format.name in _STATE_LENGTH and stream.duration and stream.time_base:
        stated_s = float(stream.duration * stream.time_base)
    if stated_s - found_s <= max(0.5, 0.1 * stated_s):
        return []
    return [f"cut off: {found_s:.1f} s of the {stated_s:.1f} s that its header states are there"]


def _stated_riff(data: bytes, found_s: float) -> float:
    """Return how long a WAV is by the length of its samples; 0 when it was not known when the header was written."""
    at = 12
    while at + 8 <= len(data):
        name, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        there = len(data) - at - 8
        if name == b"data":
            return found_s * size / there if 0 < there < size < 0xFFFFFF00 else 0.0
        at += 8 + size + size % 2
    return 0.0
