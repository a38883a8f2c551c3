"""What a patch is, and how patches are applied to a folder of checkouts."""

from __future__ import annotations

import ast
import importlib.util
import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

# How a comment begins in the files that can be patched: the note that a file was changed is kept in the file itself,
# where whoever reads it sees it (and where licences such as Apache-2.0 want it), and makes a second run harmless.
_COMMENTS = {
    **dict.fromkeys((".py", ".pyx", ".yaml", ".yml", ".toml", ".cfg", ".ini", ".txt", ".sh"), "#"),
    **dict.fromkeys((".c", ".cc", ".cpp", ".cu", ".cuh", ".h", ".hpp", ".js"), "//"),
}


class PatchError(Exception):
    """A file is no longer what a patch expects."""


class Edit(Protocol):
    """One transformation of a file's text."""

    @property
    def expects(self) -> str:
        """What the edit must find, in words."""

    def apply(self, source: str) -> str:
        """Return the changed text; `PatchError` when the expectation does not hold."""


@dataclass(frozen=True, kw_only=True)
class Patch:
    """One named change of one file. `file` is relative to the folder that holds the network's checkouts."""

    name: str
    file: str
    reason: str
    edits: tuple[Edit, ...]

    def __post_init__(self) -> None:
        """Check that the patch can be applied and read later."""
        path = PurePosixPath(self.file)
        if path.is_absolute() or ".." in path.parts:
            raise ValueError(f"{self.name}: {self.file!r} must be relative to the folder of the checkouts")
        if path.suffix not in _COMMENTS:
            raise ValueError(f"{self.name}: no comment can be left in a {path.suffix or 'nameless'} file")
        if not self.reason.strip() or "\n" in self.reason or "\n" in self.name:
            raise ValueError(f"{self.name}: a patch says its reason in one line")
        if not self.edits:
            raise ValueError(f"{self.name}: a patch needs edits")

    @property
    def expects(self) -> tuple[str, ...]:
        """What its edits must find, in words."""
        return tuple(edit.expects for edit in self.edits)

    @property
    def note(self) -> str:
        """The line that the patch leaves at the end of a file that it changed."""
        return f"{_COMMENTS[PurePosixPath(self.file).suffix]} Changed by faceorch ({self.name}): {self.reason}"

    def is_applied(self, source: str) -> bool:
        """Return whether this patch has been applied to a file's text."""
        begin = self.note[: self.note.index(":") + 1]
        return any(line.startswith(begin) for line in source.splitlines())

    def apply(self, source: str) -> str:
        """Return the patched text (as it is when it carries the patch already); `PatchError` says what is missing."""
        if self.is_applied(source):
            return source
        newline = "\r\n" if "\r\n" in source else "\n"
        text = source.replace("\r\n", "\n")
        for edit in self.edits:
            text = edit.apply(text)
        if self.file.endswith(".py"):
            try:
                ast.parse(text)
            except SyntaxError as error:
                raise PatchError(f"the result is no Python: {error.msg} (line {error.lineno})") from error
        text = text + ("" if text.endswith("\n") or not text else "\n") + self.note + "\n"
        return text.replace("\n", newline)


@dataclass(frozen=True)
class Applied:
    """What became of a patch: `error` is None when its file now carries it."""

    patch: Patch
    changed: bool = False
    error: str | None = None


def apply_all(patches: Iterable[Patch], folder: Path) -> Iterator[Applied]:
    """Apply every patch below `folder`, one after the other, and say what became of each."""
    for patch in patches:
        try:
            yield Applied(patch, changed=_apply(patch, folder / patch.file))
        except PatchError as error:
            yield Applied(patch, error=str(error))


def _apply(patch: Patch, path: Path) -> bool:
    try:
        source = path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        raise PatchError("the file is not there") from None
    except UnicodeDecodeError as error:
        raise PatchError(f"the file is not UTF-8: {error}") from error
    result = patch.apply(source)
    if result == source:
        return False
    half_made = path.with_name(path.name + ".faceorch")
    half_made.write_bytes(result.encode("utf-8"))
    shutil.copymode(path, half_made)
    os.replace(half_made, path)
    return True


def load_patches(path: Path) -> tuple[Patch, ...]:
    """Return `PATCHES` of a patches.py; `ValueError` when it holds something else."""
    spec = importlib.util.spec_from_file_location("faceorch_patches_" + path.parent.name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    patches = getattr(module, "PATCHES", None)
    if not isinstance(patches, tuple) or not all(isinstance(patch, Patch) for patch in patches):
        raise ValueError(f"{path}: PATCHES must be a tuple of Patch")
    seen: set[tuple[str, str]] = set()
    for patch in patches:
        if (patch.name, patch.file) in seen:
            raise ValueError(f"{path}: two patches of {patch.file} are called {patch.name}")
        seen.add((patch.name, patch.file))
    return patches
