"""What is shared says nothing of the machine's folders: paths are cut down to their last part."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from faceorch.record.folder import RunFolder

# Folders that are the same everywhere, or exist in containers only.
_EVERYWHERE = "opt|usr|lib|lib64|bin|etc|dev|proc|sys|job|out|weights"
_UNIX = re.compile(rf"(?<![\w.:/\\…])(?:~[\w.-]*|/(?!(?:{_EVERYWHERE})/)[^\s/\"'<>|:;,()]+)(?:/[^\s/\"'<>|:;,()]+)+")
_WINDOWS = re.compile(r"(?<!\w)[A-Za-z]:\\(?:[^\s\\\"'<>|:;,()]+\\)*[^\s\\\"'<>|:;,()]+")

Share = Callable[[str], str]


def sharing(folder: RunFolder) -> Share:
    """Return a function that takes the paths of this machine, and those that the run names, out of a text."""
    request, inputs = folder.run.request, folder.run.inputs
    named = [request.portrait, request.clip, inputs.portrait.source, inputs.clip.source, request.weights or ""]
    named += [*request.pythons.values(), os.fspath(folder.path), os.path.realpath(folder.path)]
    paths = sorted({path for path in named if path.count("/") > 1 or "\\" in path}, key=len, reverse=True)
    home = os.fspath(Path.home())

    def share(text: str) -> str:
        if "/" not in text and "\\" not in text:
            return text
        for path in paths:
            text = text.replace(path, _last(path))
        if home != "/":
            text = text.replace(f"{home}/", "~/")
        return _WINDOWS.sub(lambda found: _last(found[0]), _UNIX.sub(lambda found: _last(found[0]), text))

    return share


def _last(path: str) -> str:
    parts = re.split(r"[/\\]", path.rstrip("/\\"))
    return f"…/{parts[-1]}"


def share_json(data: Any, share: Share) -> Any:
    """Return JSON data with `share` applied to every text in it."""
    if isinstance(data, str):
        return share(data)
    if isinstance(data, list):
        return [share_json(item, share) for item in data]
    if isinstance(data, dict):
        return {key: share_json(value, share) for key, value in data.items()}
    return data


def dump(data: Any) -> bytes:
    """Return JSON as it is written to files."""
    return (json.dumps(data, indent=1, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")
