"""The clip as the page shows it: its waveform, a loud moment, and its words where the text is known."""

from __future__ import annotations

import array
import itertools
import sys
import wave
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from faceorch.files import Refused, open_below

PARTS = 400  # bars of the waveform
_CLIP_BYTES = 600 * 48_000 * 2 + 4096  # the longest clip that a run takes
_TEXT_BYTES = 64 * 2**10
_STEP_S = 0.02
_QUIET = 0.12  # of the loudest step: below it nobody speaks
_FIRST_S = 0.3  # before it, networks are still leaving the portrait
_LOUD = 0.8  # of the loudest: there the mouth is open as well


class Word(Struct, frozen=True):
    """One word and when it is spoken, estimated."""

    text: str
    from_s: float
    to_s: float


class Sound(Struct, frozen=True):
    """What the page shows of a clip: `bars` are levels from 0 to 1, evenly over its time, `loud_s` a loud moment."""

    bars: tuple[float, ...]
    loud_s: float
    words: tuple[Word, ...] = ()

    @property
    def path(self) -> str:
        """The waveform as an SVG path, in a field of `PARTS` by 100."""
        return "".join(f"M{x}.5 {50 - 49 * bar:.0f}V{50 + 49 * bar:.0f}" for x, bar in enumerate(self.bars))


def read_sound(folder: Path, clip: str, text: str) -> Sound | None:
    """Read the clip of a run folder, and its text if that is there; None when the clip cannot be read.

    Both may be anybody's files: what is not what faceorch writes is passed over.
    """
    try:
        with open_below(folder, clip, limit=_CLIP_BYTES) as file, wave.open(file) as sound:
            if (sound.getnchannels(), sound.getsampwidth()) != (1, 2):
                return None
            rate = sound.getframerate()
            samples = array.array("h", sound.readframes(sound.getnframes()))
    except (Refused, OSError, EOFError, ValueError, wave.Error):
        return None
    if sys.byteorder == "big":
        samples.byteswap()
    step = max(1, int(rate * _STEP_S))
    levels = [_peak(samples[at : at + step]) for at in range(0, len(samples), step)]
    if not levels or not max(levels):
        return None
    return Sound(
        bars=_bars(levels),
        loud_s=_loud(levels),
        words=spread_words(_read_text(folder, text), levels),
    )


def _peak(samples: array.array[int]) -> int:
    return max(max(samples), -min(samples))


def _bars(levels: Sequence[int]) -> tuple[float, ...]:
    top, count = max(levels), min(PARTS, len(levels))
    edges = [len(levels) * part // count for part in range(count + 1)]
    drawn = [max(levels[first:last]) / top for first, last in itertools.pairwise(edges)]
    # A short clip has fewer levels than bars.
    return tuple(drawn[part * count // PARTS] for part in range(PARTS))


def _loud(levels: Sequence[int]) -> float:
    """Return the middle of the first loud fifth of a second, at which the mouth is open.

    The first, since all frames of a video that come before it may have to be decoded.
    """
    width = round(0.2 / _STEP_S)
    first = round(_FIRST_S / _STEP_S) if len(levels) > 2 * _FIRST_S / _STEP_S else 0
    sums = [sum(levels[at : at + width]) for at in range(first, max(first + 1, len(levels) - width))]
    least = _LOUD * max(sums)
    loud = next(at for at, level in enumerate(sums) if level >= least)
    return (first + loud + width / 2) * _STEP_S


def _read_text(folder: Path, name: str) -> list[str]:
    try:
        with open_below(folder, name, limit=_TEXT_BYTES) as file:
            return file.read().decode("utf-8").split()
    except (Refused, OSError, UnicodeDecodeError):
        return []


def spread_words(words: Sequence[str], levels: Sequence[int]) -> tuple[Word, ...]:
    """Spread words over the steps in which somebody speaks, each as long as its letters ask for.

    An estimate: it is right about where sentences are and wrong by a word here and there.
    """
    quiet = _QUIET * max(levels, default=0)
    spoken = [at for at, level in enumerate(levels) if level > quiet]
    letters = sum(len(word) + 1 for word in words)
    if not spoken or not words:
        return ()
    found, done = [], 0
    for word in words:
        first = spoken[done * len(spoken) // letters]
        done += len(word) + 1
        last = spoken[min(len(spoken), done * len(spoken) // letters) - 1]
        found.append(Word(word, first * _STEP_S, max(last, first) * _STEP_S + _STEP_S))
    return tuple(found)
