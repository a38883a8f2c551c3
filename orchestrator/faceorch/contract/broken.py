"""The one form of what a network does not keep."""

from __future__ import annotations

from faceorch.errors import one_line


class Broken(Exception):
    """A part of the contract that is not kept: what was found and needed in one line, and what to do."""

    def __init__(self, found: str, remedy: str) -> None:
        super().__init__(one_line(found))
        self.remedy = one_line(remedy)


def need(kept: object, found: str, remedy: str) -> None:
    """Raise `Broken` unless `kept`."""
    if not kept:
        raise Broken(found, remedy)
