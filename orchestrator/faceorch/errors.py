"""Every error a user can meet: one line, one remedy, one exit code.

Anything that is not a `UserError` is a bug of faceorch (exit code 70, traceback in a log file whose path is shown).
"""

from __future__ import annotations


def one_line(text: str) -> str:
    """Return `text` as one printable line: control characters (newlines in file names, escapes) shown escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


class UserError(Exception):
    """Something the user can fix. `message` says what was found and what is needed, `remedy` what to do."""

    exit_code = 2

    def __init__(self, message: str, remedy: str = "") -> None:
        self.message, self.remedy = one_line(message), one_line(remedy)
        super().__init__(self.message)

    @property
    def told(self) -> str:
        """The error, and on a second line the remedy if there is one."""
        return f"error: {self.message}" + (f"\n  try: {self.remedy}" if self.remedy else "")


class InputError(UserError):
    """The portrait, the clip or a setting cannot be used."""

    exit_code = 3


class OutputError(UserError):
    """The output folder cannot be written, or is full."""

    exit_code = 4


class ManifestError(UserError):
    """A network.yaml is wrong."""

    exit_code = 5


class CannotRun(UserError):
    """A network was named that this host cannot run, or no network can run here."""

    exit_code = 6


class RunFolderError(UserError):
    """A run folder is missing, unreadable, in use by another process, or does not fit the request."""

    exit_code = 7


class VenvError(UserError):
    """A network's Python environment cannot be made."""

    exit_code = 8


class SpeechError(UserError):
    """Speech cannot be synthesised."""

    exit_code = 9


class WeightsError(UserError):
    """Weights cannot be had, are wrong, or are not there."""

    exit_code = 14


class EngineError(UserError):
    """The container engine cannot be reached or refused the request."""

    exit_code = 10


class BuildError(UserError):
    """An image cannot be built."""

    exit_code = 11
