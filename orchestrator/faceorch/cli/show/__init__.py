"""How a run in progress is shown: a live table on a terminal, plain lines elsewhere, JSON lines for machines."""

from __future__ import annotations

import os
import sys
from types import TracebackType

import click

from faceorch.runs.events import Event


class Display:
    """A listener that may hold the terminal while its context lasts."""

    def __call__(self, event: Event) -> None:
        """Show `event`."""
        raise NotImplementedError

    def __enter__(self) -> Display:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


class Lines(Display):
    """Prints lines, for as long as somebody takes them: a run goes on without its reader."""

    _gone = False

    def print(self, line: str) -> None:
        """Print one line; after the reader has left (`| head`), or the file's disk is full, nothing more."""
        if self._gone:
            return
        try:
            click.echo(line)
        except OSError:
            self._gone = True


def make_display(*, as_json: bool, quiet: bool) -> Display:
    """Return the display that fits the options and the terminal."""
    if as_json:
        from faceorch.cli.show.json import JsonLines

        return JsonLines()
    if quiet or not sys.stdout.isatty() or os.environ.get("TERM", "dumb") in ("dumb", "unknown"):
        from faceorch.cli.show.plain import PlainLines

        return PlainLines(quiet=quiet)
    from faceorch.cli.show.table import LiveTable

    return LiveTable()
