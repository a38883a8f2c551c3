"""Both inputs of a run, each read by a child of faceorch's own while faceorch finds out what can run here.

They are anybody's files, and decoders are large programs in C: what makes one of them crash, or run for ever, ends a
child and not the run. It is also quicker: decoders and what they import wait for nothing of ours, nor for one another.
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
from typing import TYPE_CHECKING, Any

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
        self._portrait = _Child("portrait", image)
        try:
            self._clip = _Child("clip", audio)
        except BaseException:
            self._portrait.end()
            raise

    def __enter__(self) -> Reading:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._portrait.end()
        self._clip.end()

    def result(self) -> tuple[LoadedPortrait, LoadedClip]:
        """Return both, once; `InputError` says in one line why one cannot be used, the portrait first."""
        from faceorch.media.answers import ClipRead, PortraitRead
        from faceorch.media.clip import LoadedClip
        from faceorch.media.portrait import LoadedPortrait

        with self:
            portrait, png = self._portrait.answer(PortraitRead)
            clip, pcm = self._clip.answer(ClipRead)
        return (
            LoadedPortrait(source=self._portrait.path, png=png, **_without_size(portrait)),
            LoadedClip(source=self._clip.path, pcm=pcm, **_without_size(clip)),
        )


class _Child:
    """Reads the file at `path`, which is to be of one kind."""

    def __init__(self, kind: str, path: Path) -> None:
        self.path = path
        try:
            self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - until it is ended
        except OSError as error:  # every disk for such files is full
            raise InputError(f"{path} cannot be read: {error.strerror}", "free some space") from error
        try:
            order = json.dumps([kind, os.fspath(Path.cwd()), os.fspath(path)])
            # From the root: -m imports from the current folder first, and that may be anybody's.
            self._process = proc.start(
                [sys.executable, "-m", "faceorch.media.child"],
                env=proc.own_environment(),
                cwd=Path(os.sep),
                errors=self._errors,
            )
        except OSError as error:
            self._errors.close()
            message = f"{path} cannot be read: {error.strerror}"
            raise InputError(message, "try again, in a folder that is there") from error
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._pipes = (self._process.stdin, self._process.stdout)
        with contextlib.suppress(OSError):  # it has died: `answer` says so
            self._process.stdin.write(order.encode() + b"\n")

    def end(self) -> int:
        """End it, if it is still there; return its exit code."""
        self._process.kill()
        for pipe in self._pipes:
            pipe.close()
        self._errors.close()
        return self._process.wait()

    def answer(self, kind: type[Kind]) -> tuple[Kind, bytes]:
        """Return what it says about its file, with the bytes that follow; `InputError` when the file is refused."""
        from faceorch.media.answers import parse

        with open(self._pipes[1].fileno(), "rb", closefd=False) as said:
            answer = parse(said.readline(_HEAD_BYTES), kind)
            data = b"" if answer is None else said.read(answer.bytes)
        if answer is not None and len(data) == answer.bytes:
            return answer, data
        # It has died, or tells what ours never do.
        self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, self._errors.tell() - _HEAD_BYTES))
        why = proc.last_line(self._errors.read())
        how = _how(self.end()) + (f": {why}" if why else "")
        raise InputError(f"{self.path} cannot be decoded: {how}", "save it anew, as PNG or as WAV")


def _without_size(answer: PortraitRead | ClipRead) -> dict[str, Any]:
    return {name: getattr(answer, name) for name in answer.__struct_fields__ if name != "bytes"}


def _how(code: int) -> str:
    """Return how a child has ended."""
    if code >= 0:
        return f"its decoder ended with exit code {code}"
    with contextlib.suppress(ValueError):
        return f"its decoder was ended by {signal.Signals(-code).name}"
    return f"its decoder was ended by signal {-code}"
