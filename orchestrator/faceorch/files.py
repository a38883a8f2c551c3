"""Files: written by rename, so that a name always stands for a whole file; hashed in one way."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from faceorch.errors import OutputError


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file as 64 hex digits."""
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def write_atomically(path: Path, data: bytes) -> None:
    """Write `data` to `path` by rename within its folder; `OutputError` when the disk is full or read-only."""
    try:
        fd, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(fd, "wb") as file:
                file.write(data)
            Path(name).chmod(0o666 & ~umask())
            os.replace(name, path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise OutputError(
            f"cannot write {path}: {error.strerror}", "free some space, or choose another --out"
        ) from error


def umask() -> int:
    """Return the bits that this process takes from the modes of new files."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


@contextlib.contextmanager
def empty_folder(folder: Path) -> Iterator[Path]:
    """Make a folder that is empty, and is gone afterwards."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
