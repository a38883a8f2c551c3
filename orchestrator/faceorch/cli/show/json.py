"""A run as one JSON object per line, for machines: each is an event of runs/events.py."""

from __future__ import annotations

import msgspec

from faceorch.cli.show import Lines
from faceorch.runs.events import Event


class JsonLines(Lines):
    """Prints every event as it comes."""

    def __call__(self, event: Event) -> None:
        """Print `event`; what is not ASCII is escaped, so that any terminal and any pipe takes it."""
        text = msgspec.json.encode(event).decode("utf-8")
        self.print("".join(c if c.isascii() else _escaped(c) for c in text))


def _escaped(character: str) -> str:
    units = character.encode("utf-16-be")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))
