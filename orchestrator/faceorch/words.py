"""Sizes, durations, numbers, plurals and near misses in the words that people read: each in one way."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

NOT_AVAILABLE = "n/a"


def size(count: float | None) -> str:
    """Return bytes as text in decimal units, like those on the box of a disk or a GPU; `n/a` when unknown."""
    if count is None:
        return NOT_AVAILABLE
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count:.0f} B"


def duration(seconds: float | None) -> str:
    """Return seconds as text: `2.11 s`, `12.3 s`, `3:05 min`, `1:20 h`; `n/a` when unknown."""
    if seconds is None:
        return NOT_AVAILABLE
    if seconds < 10:
        return f"{seconds:.2f} s"
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d} min" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02d} h"


def number(value: float | None) -> str:
    """Return a number with three digits; `n/a` when unknown."""
    return NOT_AVAILABLE if value is None else f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def plural(count: int, one: str, many: str = "") -> str:
    """Return `1 file`, `3 files`."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def near(word: str, words: Iterable[str]) -> str:
    """Return ` (did you mean '...'?)` with the nearest of `words`, or nothing when none is near."""
    found = difflib.get_close_matches(word, list(words), n=1)
    return f" (did you mean '{found[0]}'?)" if found else ""
