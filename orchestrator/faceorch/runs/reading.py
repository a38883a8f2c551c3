"""Both inputs of a run, read by a child of faceorch's own while faceorch finds out what can run here.

They are anybody's files, and decoders are large programs in C: what makes one of them crash, or run for ever, ends the
child and not the run. It is also quicker: decoders and what they import wait for nothing of ours.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO

from faceorch import proc
from faceorch.errors import InputError

if TYPE_CHECKING:
    from faceorch.media.answers import ClipRead, Kind, PortraitRead
    from faceorch.media.clip import LoadedClip
    from faceorch.media.portrait import LoadedPortrait

_HEAD_BYTES = 2**20


class Reading:
    """A portrait and a clip that are being read and normalised; leaving its context ends what is still at it."""

    def __init__(self, image: Path, audio: Path) -> None:
        self._image, self._audio = image, audio
        try:
            self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - until it is ended
        except OSError as error:  # every disk for such files is full
            raise InputError(f"{image} and {audio} cannot be read: {error.strerror}", "free some space") from error
        try:
            order = json.dumps([os.fspath(path) for path in (Path.cwd(), image, audio)])
            # From the root: -m imports from the current folder first, and that may be anybody's.
            self._child = proc.start(
                [sys.executable, "-m", "faceorch.media.child"],
                env=proc.own_environment(),
                cwd=Path(os.sep),
                errors=self._errors,
            )
        except OSError as error:
            self._errors.close()
            message = f"{image} and {audio} cannot be read: {error.strerror}"
            raise InputError(message, "try again, in a folder that is there") from error
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._pipes = (self._child.stdin, self._child.stdout)
        with contextlib.suppress(OSError):  # it has died: `result` says so
            self._child.stdin.write(order.encode() + b"\n")

    def __enter__(self) -> Reading:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> int:
        """End the child, if it is still there; return its exit code."""
        self._child.kill()
        for pipe in self._pipes:
            pipe.close()
        self._errors.close()
        return self._child.wait()

    def result(self) -> tuple[LoadedPortrait, LoadedClip]:
        """Return both, once; `InputError` says in one line why one cannot be used."""
        from faceorch.media.answers import ClipRead, PortraitRead
        from faceorch.media.clip import LoadedClip
        from faceorch.media.portrait import LoadedPortrait

        with self, open(self._pipes[1].fileno(), "rb", closefd=False) as said:
            portrait, png = self._take(said, self._image, PortraitRead)
            clip, pcm = self._take(said, self._audio, ClipRead)
        return (
            LoadedPortrait(source=self._image, png=png, **_without_size(portrait)),
            LoadedClip(source=self._audio, pcm=pcm, **_without_size(clip)),
        )

    def _take(self, said: BinaryIO, path: Path, kind: type[Kind]) -> tuple[Kind, bytes]:
        """Return what the child says next, about the file at `path`, with the bytes that follow."""
        from faceorch.media.answers import parse

        answer = parse(said.readline(_HEAD_BYTES), kind)
        if answer is not None:
            data = said.read(answer.bytes)
            if len(data) == answer.bytes:
                return answer, data
        # It has died at this file, or tells what ours never do.
        self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, self._errors.tell() - _HEAD_BYTES))
        why = proc.last_line(self._errors.read())
        how = _how(self._end()) + (f": {why}" if why else "")
        raise InputError(f"{path} cannot be decoded: {how}", "save it anew, as PNG or as WAV")


def _without_size(answer: PortraitRead | ClipRead) -> dict[str, Any]:
    return {name: getattr(answer, name) for name in answer.__struct_fields__ if name != "bytes"}


def _how(code: int) -> str:
    """Return how a child has ended."""
    if code >= 0:
        return f"its decoder ended with exit code {code}"
    with contextlib.suppress(ValueError):
        return f"its decoder was ended by {signal.Signals(-code).name}"
    return f"its decoder was ended by signal {-code}"
