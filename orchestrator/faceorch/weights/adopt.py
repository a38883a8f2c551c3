"""`--from DIR`: copies weights that the user already has into the store, after verification."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from faceorch.errors import WeightsError
from faceorch.weights.identify import HEAD_BYTES, describe_wrong, identify
from faceorch.weights.manifest import File

_PIECE_BYTES = 1 << 20


class Folder:
    """The files below a folder of the user. Links are followed, so that a huggingface_hub cache works too."""

    def __init__(self, path: Path) -> None:
        if not path.is_dir():
            raise WeightsError(f"--from {path} is not a folder", "name the folder that contains the files")
        self.path = path
        self._files = list(_files(path))

    def candidates(self, file: File) -> list[Path]:
        """Return the files that may be `file`, best match first: by path, by name, by size."""
        wanted = {PurePosixPath(file.path).parts, PurePosixPath(file.source.file or file.path).parts}
        names = {parts[-1] for parts in wanted} | {(file.source.url or "").rpartition("/")[2]}

        def rank(path: Path, size: int) -> int | None:
            if any(path.parts[-len(parts) :] == parts for parts in wanted):
                return 0
            if path.name in names:
                return 1
            return 2 if size == file.exact_size else None

        ranked = [(rank(path, size), path) for path, size in self._files]
        return [path for _, path in sorted((r, p) for r, p in ranked if r is not None)]

    def copy(
        self,
        file: File,
        target: Path,
        *,
        sha256: str | None,
        moved: Callable[[int], None],
        note: Callable[[str], None],
    ) -> str | None:
        """Copy the first candidate that is `file` to `target` and return its hash; None if there is none.

        Without a `sha256` to compare with, a file is accepted by its name unless its content is clearly not that.
        """
        size = file.exact_size
        for path in self.candidates(file):
            found = path.stat().st_size
            named = path.name == PurePosixPath(file.path).name
            with path.open("rb") as opened:
                what = identify(opened.read(HEAD_BYTES), path.name) if found else "empty (0 bytes)"
            if what is None and size is not None and found != size:
                what = f"truncated: {found} of {size} bytes" if found < size else f"{found} bytes, {size} needed"
            if what is not None or (sha256 is None and not named):
                if named:
                    note(f"{path} is not used: {what}")
                continue
            got = _copy(path, target, moved)
            if sha256 is None or got == sha256:
                return got
            moved(-found)
            if named:
                note(f"{path} is not used: {describe_wrong(path, size=size, sha256=sha256, found_sha256=got)}")
            target.unlink()
        return None


def _files(folder: Path) -> Iterator[tuple[Path, int]]:
    for parent, _, names in os.walk(folder):
        for name in names:
            path = Path(parent, name)
            try:
                found = path.stat()
            except OSError:
                continue  # a dangling link, or not readable for this user
            if stat.S_ISREG(found.st_mode):
                yield path, found.st_size


def _copy(source: Path, target: Path, moved: Callable[[int], None]) -> str:
    digest = hashlib.sha256()
    with source.open("rb") as old, target.open("wb") as new:
        while piece := old.read(_PIECE_BYTES):
            new.write(piece)
            digest.update(piece)
            moved(len(piece))
    return digest.hexdigest()
