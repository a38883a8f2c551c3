"""Where SadTalker's own code lies: its checkout is on the Python path, and its package is called `src`."""

from __future__ import annotations

from pathlib import Path

import src


def config(name: str) -> Path:
    """Return the path of one of upstream's configuration files."""
    return Path(next(iter(src.__path__))) / "config" / name
