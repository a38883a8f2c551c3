"""Text and numbers that are not ours: what a runner says passes through here before it is shown or kept."""

from __future__ import annotations

import re
from typing import Any

from faceorch.errors import one_line

# What a terminal obeys: CSI sequences (colour, cursor), OSC and other strings (title, clipboard, links), single codes.
_ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b[ -/]*[0-~]"
)
LINE, SENTENCE, NAME = 64 * 2**10, 1000, 100  # characters
LARGEST = 2.0**63


def text(value: str, limit: int) -> str:
    """Return `value` as one line of at most `limit` characters that is safe to print and to store.

    Terminal sequences are gone; other control characters, and what is not a character, are shown escaped.
    """
    if len(value) <= limit and value.isprintable():
        return value
    plain = one_line(_ESCAPES.sub("", value.replace("\t", "    ")))
    return plain if len(plain) <= limit else f"{plain[: limit - 1]}\u2026"


def number(value: Any, *, least: float = 0.0) -> float | None:
    """Return `value` when it is a number of a sensible size and not below `least`, otherwise None."""
    good = isinstance(value, (int, float)) and not isinstance(value, bool) and least <= value <= LARGEST
    return float(value) if good else None
