"""Reads both inputs of a run in a process of its own: whoever starts it is `faceorch.runs.reading`.

It imports little, since somebody waits for it. stdin: one line of JSON, `[folder, image, audio]`, and then nothing for
as long as anybody waits. stdout, for the portrait and then for the clip: one line of JSON, and after it as many bytes
as that says.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faceorch.errors import InputError
from faceorch.media.portrait import LoadedPortrait, read_portrait
from faceorch.proc import limit

if TYPE_CHECKING:
    from faceorch.media.clip import LoadedClip

_MEMORY_BYTES = 16 * 2**30  # the largest file that is read, decoded, and then some
_CPU_S = 600


def main() -> None:
    """Read what stdin names."""
    limit(memory_bytes=_MEMORY_BYTES, cpu_s=_CPU_S)
    folder, image, audio = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_leave_with_owner, daemon=True).start()
    _import_for_the_portrait()
    threading.Thread(target=_import_for_the_clip, daemon=True).start()
    os.chdir(folder)  # only now: what is imported does not come from there
    _answer(_portrait, Path(image))
    _answer(_clip, Path(audio))


def _import_for_the_portrait() -> None:
    from PIL import Image

    Image.preinit()  # its decoders


def _import_for_the_clip() -> None:
    """Import what the clip needs while the portrait is decoded and encoded, which leaves Python's lock to others."""
    for name in ("av", "faceorch.media.clip"):
        importlib.import_module(name)


def _leave_with_owner() -> None:
    """End when whoever asked has died, or waits no more: then nobody holds the other end of stdin."""
    os.read(sys.stdin.fileno(), 1)
    os._exit(1)


def _answer(read: Callable[[Path], tuple[dict[str, Any], bytes]], path: Path) -> None:
    try:
        said, data = read(path)
    except InputError as error:
        said, data = {"type": "refused", "message": error.message, "remedy": error.remedy}, b""
    sys.stdout.buffer.write(json.dumps(said).encode() + b"\n" + data)
    sys.stdout.buffer.flush()


def _portrait(path: Path) -> tuple[dict[str, Any], bytes]:
    return _said("portrait", read_portrait(path), "png")


def _clip(path: Path) -> tuple[dict[str, Any], bytes]:
    from faceorch.media.clip import read_clip

    return _said("clip", read_clip(path), "pcm")


def _said(kind: str, loaded: LoadedPortrait | LoadedClip, content: str) -> tuple[dict[str, Any], bytes]:
    """Return what was read in two parts: everything but its `content` and its path, and the content."""
    known = loaded._asdict()
    data: bytes = known.pop(content)
    del known["source"]
    return {"type": kind, "bytes": len(data), **known}, data


if __name__ == "__main__":
    main()
