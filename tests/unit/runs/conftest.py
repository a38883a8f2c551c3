"""A listener that counts repetitions."""

from __future__ import annotations

from faceorch.runs.events import Event, RepetitionStarted


class Counting:
    """Keeps the repetitions that it hears of."""

    def __init__(self) -> None:
        self.repetitions: list[str] = []

    def __call__(self, event: Event) -> None:
        if isinstance(event, RepetitionStarted):
            self.repetitions.append(f"{event.network}: {event.name}")
