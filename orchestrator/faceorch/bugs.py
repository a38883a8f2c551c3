"""The log of a bug of faceorch: what a report of it needs."""

from __future__ import annotations

import platform
import sys
import tempfile
import traceback
from pathlib import Path

from faceorch import __version__
from faceorch.errors import one_line
from faceorch.paths import home


def describe(error: BaseException) -> str:
    """Return the error in one line."""
    lines = str(error).splitlines()
    return one_line(f"{type(error).__name__}: {lines[0] if lines else ''}"[:500])


def details(error: BaseException) -> str:
    """Return all that a report needs: versions, the command line, the traceback."""
    trace = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    return f"faceorch {__version__}\nPython {sys.version}\n{platform.platform()}\n{' '.join(sys.argv)}\n\n{trace}"


def write_log(error: BaseException, *folders: Path) -> Path | None:
    """Write the log of a bug and return its path, None when it can be written nowhere.

    It lies in the first of `folders`, faceorch's own and the system's temporary one that can hold it.
    """
    data = details(error).encode("utf-8", "backslashreplace")
    for folder in (*folders, home() / "bugs", Path(tempfile.gettempdir())):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(prefix="bug-", suffix=".log", dir=folder, delete=False) as file:
                file.write(data)
        except OSError:
            continue
        return Path(file.name)
    return None
