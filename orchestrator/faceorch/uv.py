"""uv, which builds the networks' environments and their locks: where it is, and what it says when it fails."""

from __future__ import annotations

import os
import shutil

from faceorch import proc
from faceorch.errors import VenvError
from faceorch.paths import home

# What a shell with another environment says to uv.
_NOT_PASSED_ON = {"VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME"}


def find_uv() -> str:
    """Return the path of uv; `VenvError` when it is not installed."""
    import uv

    try:
        return str(uv.find_uv_bin())
    except FileNotFoundError:
        found = shutil.which("uv")
    if found is None:
        raise VenvError("uv is not installed", "pip install uv")
    return found


def uv_environment() -> dict[str, str]:
    """Return this process's environment without what would make uv work in another one."""
    return {name: value for name, value in os.environ.items() if name not in _NOT_PASSED_ON}


def cause(done: proc.Completed) -> str:
    """Return the line that says most: uv explains in a tree whose last lines are hints."""
    lines = [line.strip(" \u00d7\u2570\u2500\u25b6\u2502\u251c") for line in done.tail if line.strip()]
    causes = [line for line in lines if not line.startswith("hint")]
    return (causes or lines or ["no output"])[-1][:300]


def remedy(done: proc.Completed, otherwise: str) -> str:
    """Return what helps against a full disk or an index that cannot be reached, or `otherwise`."""
    text = "\n".join(done.tail)
    if "No space left" in text:
        return f"free some space in {home()}, or point FACEORCH_HOME at a larger disk"
    if any(word in text for word in ("dns error", "Failed to fetch", "error sending request", "Could not connect")):
        return "check the network, the proxy (HTTPS_PROXY) and the package index (UV_DEFAULT_INDEX), then run again"
    return otherwise
