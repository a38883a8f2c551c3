"""Text -> a speech clip: edge-tts where there is a network, espeak-ng (inside its wheel) where there is none."""

from __future__ import annotations

import array
import asyncio
import ctypes
import importlib
import io
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from faceorch.errors import SpeechError
from faceorch.files import scratch
from faceorch.media.clip import LoadedClip
from faceorch.words import near

RATE_HZ = 24_000
DEFAULT_VOICE = "en-US-GuyNeural"
OFFLINE_VOICE = "en-us"
LONGEST_TEXT = 20_000
ANSWER_S = 15.0  # the service's first byte normally comes within a second
_BLOCK_S = 0.01
_QUIET = 200  # of 32768: -44 dBFS, between the pauses of synthesisers and their faintest consonants
_PAUSE_S = 0.12
_LOOK_BACK_S = 2.5
_FADE_S = 0.02
_OBJECT = re.compile(r" ?(?:ssl:)?<[^<>]* object at 0x[0-9a-f]+>")  # aiohttp prints its TLS settings
_VOICES = "check --voice: faceorch speak --list-voices"


class Unreachable(SpeechError):
    """The speech service does not answer."""


class Engine(Protocol):
    """One synthesiser."""

    name: str

    def voices(self) -> list[str]:
        """Return the names of its voices."""

    def synthesise(self, text: str, voice: str) -> tuple[bytes, int]:
        """Return mono 16-bit little-endian samples and their rate in Hz."""


def _package(name: str) -> Any:
    """Import the package of an engine; `SpeechError` says what installs it when it is not there."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = name.replace("_", "-")
        raise SpeechError(
            f"{package} is not installed: speech is an extra", "pip install 'faceorch[speech]'"
        ) from error


class EdgeTts:
    """Microsoft Edge's read-aloud voices, over the network."""

    name = "edge-tts"

    def voices(self) -> list[str]:
        """Return the voices of the service."""
        edge_tts = _package("edge_tts")

        async def ask() -> list[Any]:
            return list(await asyncio.wait_for(edge_tts.list_voices(), ANSWER_S))

        return sorted(str(voice["ShortName"]) for voice in _asked(ask))

    def synthesise(self, text: str, voice: str) -> tuple[bytes, int]:
        """Return the service's speech; raise `Unreachable` if it does not respond, `SpeechError` if it refuses."""
        edge_tts = _package("edge_tts")

        async def ask() -> bytes:
            stream = edge_tts.Communicate(text, voice).stream()
            pieces = []
            try:
                while True:
                    # Every chunk has its own patience: the library's own time-outs do not cover the handshake.
                    chunk = await asyncio.wait_for(anext(stream), ANSWER_S)
                    if chunk["type"] == "audio":
                        pieces.append(chunk["data"])
            except StopAsyncIteration:
                return b"".join(pieces)

        return decode(_asked(ask))


def _asked(ask: Callable[[], Any]) -> Any:
    """Run one request to the service and tell its failures apart."""
    import aiohttp
    from edge_tts.exceptions import EdgeTTSException, NoAudioReceived

    try:
        return asyncio.run(ask())
    except NoAudioReceived as error:
        raise SpeechError("the speech service sent no sound", _VOICES) from error
    except (ValueError, TypeError) as error:
        raise SpeechError(
            f"the speech service refuses: {error}", "check --voice: faceorch speak --list-voices"
        ) from error
    except (aiohttp.ClientError, OSError, asyncio.TimeoutError, EdgeTTSException) as error:
        said = _OBJECT.sub("", str(error)).strip()
        reason = said.splitlines()[0] if said else "no answer"
        raise Unreachable(f"the speech service cannot be reached: {reason}", "use --engine espeak-ng") from error


class EspeakNg:
    """espeak-ng, from the library and data inside the espeakng-loader wheel; the C API is speak_lib.h."""

    name = "espeak-ng"
    # Somewhat slower, lower and livelier than its defaults (175 words a minute, 50, 50): a newsreader's manner.
    _WORDS_PER_MINUTE, _PITCH, _RANGE = 160, 42, 60

    def voices(self) -> list[str]:
        """Return the language codes that it speaks."""
        espeakng_loader = _package("espeakng_loader")

        languages = set()
        for path in (Path(espeakng_loader.get_data_path()) / "lang").rglob("*"):
            if path.is_file():
                for line in path.read_text("utf-8", "replace").splitlines():
                    word, _, rest = line.partition(" ")
                    if word == "language" and rest.split():
                        languages.add(rest.split()[0].lower())
        return sorted(languages)

    def synthesise(self, text: str, voice: str) -> tuple[bytes, int]:
        """Speak `text`; `SpeechError` when there is no such voice."""
        espeakng_loader = _package("espeakng_loader")

        with scratch("faceorch-speech-") as folder:
            # The library keeps its data path in 160 characters: a link makes any path short enough.
            data = folder / "d"
            data.symlink_to(espeakng_loader.get_data_path())
            return self._speak(ctypes.CDLL(espeakng_loader.get_library_path()), str(data), text, voice)

    def _speak(self, library: ctypes.CDLL, data: str, text: str, voice: str) -> tuple[bytes, int]:
        synchronous, do_not_exit, utf8 = 2, 0x8000, 1
        rate, pitch, pitch_range = 1, 3, 4
        pieces: list[bytes] = []
        kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)

        def take(samples: Any, count: int, _events: Any) -> int:
            if samples and count > 0:
                pieces.append(ctypes.string_at(samples, count * 2))
            return 0

        callback = kind(take)
        rate_hz = library.espeak_Initialize(synchronous, 0, data.encode(), do_not_exit)
        if rate_hz <= 0:
            raise SpeechError(
                "espeak-ng does not start: its data cannot be read", "pip install --force-reinstall espeakng-loader"
            )
        try:
            library.espeak_SetSynthCallback(callback)
            if library.espeak_SetVoiceByName(voice.encode()) != 0:
                raise SpeechError(
                    f"espeak-ng has no voice {voice!r}{near(voice.lower(), self.voices())}",
                    "faceorch speak --engine espeak-ng --list-voices",
                )
            for parameter, value in ((rate, self._WORDS_PER_MINUTE), (pitch, self._PITCH), (pitch_range, self._RANGE)):
                library.espeak_SetParameter(parameter, value, 0)
            encoded = text.encode() + b"\0"
            library.espeak_Synth(encoded, ctypes.c_size_t(len(encoded)), 0, 0, 0, utf8, None, None)
            library.espeak_Synchronize()
        finally:
            library.espeak_Terminate()
        pcm = b"".join(pieces)
        return (pcm if sys.byteorder == "little" else _swapped(pcm)), int(rate_hz)


def speak(
    text: str,
    *,
    voice: str = DEFAULT_VOICE,
    engine: str = "auto",
    seconds: float | None = None,
    online: Engine | None = None,
    offline: Engine | None = None,
    note: Callable[[str], None] = lambda _: None,
) -> LoadedClip:
    """Return `text` spoken, 24 kHz mono; exactly `seconds` long when given (cut at a pause, or padded).

    `auto` takes edge-tts when it answers, otherwise espeak-ng, and says so through `note`.
    """
    text = " ".join(text.split())
    if not any(character.isalnum() for character in text):
        raise SpeechError("there is nothing to say: the text is empty", 'give --text "..." or --file')
    if len(text) > LONGEST_TEXT:
        raise SpeechError(f"the text has {len(text)} characters, at most {LONGEST_TEXT} allowed", "cut it into pieces")
    first, second = online or EdgeTts(), offline or EspeakNg()
    if engine == second.name:
        pcm, rate_hz = second.synthesise(text, OFFLINE_VOICE if voice == DEFAULT_VOICE else _offline_voice(voice))
    else:
        try:
            pcm, rate_hz = first.synthesise(text, voice)
        except Unreachable as error:
            if engine != "auto" or voice != DEFAULT_VOICE:
                raise
            note(f"{error.message}; speaking with {second.name} instead")
            pcm, rate_hz = second.synthesise(text, OFFLINE_VOICE)
    samples = _trimmed(_resampled(pcm, rate_hz))
    if not samples:
        raise SpeechError("the engine made no sound of this text", "try another text or voice")
    if seconds is not None:
        samples = fitted(samples, seconds)
    return LoadedClip(source=Path("text"), source_sha256="", pcm=_bytes(samples), sample_rate_hz=RATE_HZ, notes=())


def _offline_voice(voice: str) -> str:
    if voice.endswith("Neural"):
        raise SpeechError(
            f"{voice!r} is a voice of edge-tts, not of espeak-ng", "leave out --voice, or use one such as en-us"
        )
    return voice


def decode(data: bytes) -> tuple[bytes, int]:
    """Return mono samples and rate of compressed audio in memory."""
    import av

    if not data:
        raise SpeechError("the speech service sent no sound", "try again, or use --engine espeak-ng")
    with av.open(io.BytesIO(data)) as container:
        resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE_HZ)
        pieces = [
            bytes(out.planes[0])[: out.samples * 2]
            for frame in [*container.decode(audio=0), None]
            for out in resampler.resample(frame)
        ]
    return b"".join(pieces), RATE_HZ


def _resampled(pcm: bytes, rate_hz: int) -> array.array[int]:
    import av

    samples = array.array("h")
    if rate_hz == RATE_HZ:
        samples.frombytes(pcm)
        return samples
    frame = av.AudioFrame(format="s16", layout="mono", samples=max(1, len(pcm) // 2))
    frame.sample_rate = rate_hz
    frame.planes[0].update(pcm.ljust(frame.planes[0].buffer_size, b"\0"))
    resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE_HZ)
    for out in [*resampler.resample(frame), *resampler.resample(None)]:
        samples.frombytes(bytes(out.planes[0])[: out.samples * 2])
    return samples


def _quiet_blocks(samples: array.array[int]) -> list[bool]:
    size = round(_BLOCK_S * RATE_HZ)
    return [
        max(abs(min(block)), max(block)) < _QUIET
        for block in (samples[start : start + size] for start in range(0, len(samples), size))
    ]


def _trimmed(samples: array.array[int]) -> array.array[int]:
    """Cut silence off both ends, but for a breath of 0.1 s."""
    quiet = _quiet_blocks(samples)
    if all(quiet):
        return array.array("h")
    size, margin = round(_BLOCK_S * RATE_HZ), round(0.1 / _BLOCK_S)
    first = quiet.index(False)
    last = len(quiet) - 1 - quiet[::-1].index(False)
    return samples[max(0, first - margin) * size : (last + 1 + margin) * size]


def fitted(samples: array.array[int], seconds: float) -> array.array[int]:
    """Return exactly `seconds` of sound: longer speech ends at its last pause before that, shorter is padded."""
    wanted = round(seconds * RATE_HZ)
    cut = samples[:wanted]
    if len(samples) > wanted:
        size = round(_BLOCK_S * RATE_HZ)
        quiet = _quiet_blocks(cut)
        run = round(_PAUSE_S / _BLOCK_S)
        earliest = len(quiet) - round(_LOOK_BACK_S / _BLOCK_S)
        starts = [n for n in range(max(0, earliest), len(quiet) - run + 1) if all(quiet[n : n + run])]
        if starts:
            cut = cut[: (starts[-1] + run // 2) * size]
        fade = min(len(cut), round(_FADE_S * RATE_HZ))
        for n in range(fade):
            cut[-1 - n] = cut[-1 - n] * n // fade
    return cut + array.array("h", bytes(2 * (wanted - len(cut))))


def _bytes(samples: array.array[int]) -> bytes:
    return samples.tobytes() if sys.byteorder == "little" else _swapped(samples.tobytes())


def _swapped(pcm: bytes) -> bytes:
    samples = array.array("h")
    samples.frombytes(pcm)
    samples.byteswap()
    return samples.tobytes()
