"""Files: written by rename, so that a name always stands for a whole file; hashed in one way; taken from others in one.

What a runner leaves may be a link, a pipe, or another file of the user under a second name. `take` is the only way in.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Literal, TextIO, TypeAlias

from faceorch.errors import OutputError
from faceorch.paths import ENV_HOME, home

_PIECE_BYTES = 1 << 20
HOME_REMEDY = f"set {ENV_HOME} to a folder that you may write to"
NewFile: TypeAlias = "tempfile._TemporaryFileWrapper[bytes]"
# Never through a link, never waiting for the other end of a pipe.
_CAREFULLY = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


HALF_MADE = ".faceorch-"  # how the names of what is not whole yet begin


class Refused(Exception):
    """A file is not what it should be; the message names it and says why in one line."""


class Held(Exception):
    """Another process holds a folder."""


@contextlib.contextmanager
def held(folder: Path) -> Iterator[bool]:
    """Hold a folder (or file) against other processes; `Held` when one has it. Yields whether the lock is real.

    The lock is on the folder itself and ends with the process, whatever happens. A file system that has no locks gives
    none.
    """
    real = True
    handle = os.open(folder, os.O_RDONLY | _CAREFULLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Held(f"{folder} is in use") from error
        except OSError as error:
            if error.errno not in (errno.EBADF, errno.EINVAL, errno.ENOLCK, errno.ENOTSUP):
                raise
            real = False
        yield real
    finally:
        os.close(handle)


@contextlib.contextmanager
def scratch(prefix: str, parent: Path | None = None) -> Iterator[Path]:
    """Make a folder for scratch files that is gone afterwards, by default among the system's temporary ones.

    What faceorchs that were killed have left of the same prefix goes first: the folders of this user that nobody holds.
    """
    parent = Path(tempfile.gettempdir()) if parent is None else parent
    clear(parent, prefix)
    with contextlib.ExitStack() as stack:
        folder = _hold_new(prefix, parent, stack)
        try:
            yield folder
        finally:
            with contextlib.suppress(OSError):
                remove(folder)


def _hold_new(prefix: str, parent: Path, stack: contextlib.ExitStack) -> Path:
    """Make a folder that is held until `stack` ends."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        with contextlib.suppress(Held, FileNotFoundError):  # another faceorch was quicker, and took it for a dead one's
            stack.enter_context(held(folder))
            if folder.is_dir():
                return folder


def clear(parent: Path, prefix: str = HALF_MADE) -> None:
    """Remove the files and folders of this user whose names begin with `prefix` and that nobody holds: of the killed.

    Of names that are not hidden only folders go. Where there are no locks, nothing does.
    """
    for old in parent.glob(f"{prefix}*"):
        with contextlib.suppress(OSError, Held):
            found = old.lstat()
            ours = stat.S_ISDIR(found.st_mode) or (stat.S_ISREG(found.st_mode) and prefix.startswith("."))
            if ours and found.st_uid == os.geteuid():
                with held(old) as real:
                    if real:
                        remove(old)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file as 64 hex digits."""
    with path.open("rb") as file:
        return sha256_of_file(file)


def sha256_of_file(file: BinaryIO) -> str:
    """Return the SHA-256 of what is left to read of an open file, as 64 hex digits."""
    digest = hashlib.sha256()
    while block := file.read(_PIECE_BYTES):
        digest.update(block)
    return digest.hexdigest()


@contextlib.contextmanager
def replacing(path: Path, remedy: str = "free some space, or choose another place") -> Iterator[NewFile]:
    """Yield a new file that takes the place of `path` once it is whole; an exception leaves all as it was.

    It may be written to directly or by its name. `OutputError` when the disk is full or read-only.
    """
    try:
        with _held_file(path.parent) as file:
            try:
                yield file
                file.flush()
                os.fchmod(file.fileno(), 0o666 & ~umask())
                os.replace(file.name, path)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}", remedy) from error


def _held_file(parent: Path) -> NewFile:
    """Make a file that is held until it is closed; what the killed have left half written beside it goes."""
    clear(parent)
    while True:
        file = tempfile.NamedTemporaryFile(prefix=HALF_MADE, dir=parent, delete=False)  # noqa: SIM115
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(file, fcntl.LOCK_EX)
        if os.fstat(file.fileno()).st_nlink:
            return file
        file.close()  # another faceorch was quicker, and took it for a dead one's


def write_atomically(path: Path, data: bytes) -> None:
    """Write `data` to `path` by rename within its folder; `OutputError` when the disk is full or read-only."""
    with replacing(path, "free some space, or choose another --out") as file:
        file.write(data)


def check_home() -> None:
    """Raise `OutputError` when faceorch's own folder cannot be made or written to."""
    problem = home_problem()
    if problem:
        raise OutputError(f"cannot write to faceorch's own folder {home()}: {problem}", HOME_REMEDY)


def home_problem() -> str:
    """Return why nothing can be written to faceorch's own folder; empty when all is well. Makes the folder."""
    folder = home()
    if any(part.startswith("~") for part in folder.parts):  # what no shell and no system has resolved
        return "nobody's home folder is known by that name"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(prefix=HALF_MADE, dir=folder):
            pass
    except OSError as error:
        return error.strerror or str(error)
    return ""


def umask() -> int:
    """Return the bits that this process takes from the modes of new files."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def open_below(root: Path, name: str, *, limit: int) -> BinaryIO:
    """Open the regular file `name` below the folder `root` for reading, without following a link on the way.

    `root` itself is trusted. `Refused` when it is something else, cannot be read, or has more than `limit` bytes.
    """
    parts = PurePosixPath(name).parts
    plain = PurePosixPath(*parts).name
    if not parts or name != "/".join(parts) or ".." in parts or name.startswith("/") or "\0" in name:
        raise Refused(f"{name!r} is not a plain relative path")
    try:
        folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for part in parts[:-1]:
                inner = os.open(part, _FOLDER, dir_fd=folder)
                os.close(folder)
                folder = inner
            _check_kind(plain, os.stat(parts[-1], dir_fd=folder, follow_symlinks=False), limit)
            file = os.open(parts[-1], os.O_RDONLY | _CAREFULLY, dir_fd=folder)
        finally:
            os.close(folder)
    except FileNotFoundError as error:
        raise Refused(f"{plain} does not exist") from error
    except OSError as error:
        raise Refused(f"{plain} cannot be opened: {error.strerror}") from error
    try:
        _check_kind(plain, os.fstat(file), limit)  # again: the name may have got another meaning in between
        return os.fdopen(file, "rb")
    except BaseException:
        os.close(file)
        raise


def _check_kind(name: str, found: os.stat_result, limit: int) -> None:
    if stat.S_ISLNK(found.st_mode):
        raise Refused(f"{name} is a link")
    if stat.S_ISDIR(found.st_mode):
        raise Refused(f"{name} is a folder")
    if not stat.S_ISREG(found.st_mode):
        raise Refused(f"{name} is not a regular file")
    if found.st_size > limit:
        raise Refused(f"{name} has {found.st_size} bytes, {limit} at most are taken")


def take(root: Path, name: str, target: Path, *, limit: int) -> int:
    """Copy the file `name`, left below the folder `root` by somebody else, to `target`; return its size in bytes.

    `target` is a new file with mode 0644, whatever the original's. `Refused` when the original cannot be opened as
    `open_below` does, has a second name (it may be any file of the user), or changes its size meanwhile.
    """
    with open_below(root, name, limit=limit) as source:
        found = os.fstat(source.fileno())
        if found.st_nlink > 1:
            raise Refused(f"{PurePosixPath(name).name} is a second name (hard link) of another file")
        target.unlink(missing_ok=True)
        new = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _CAREFULLY, 0o600)
        try:
            copied = _copy(source.fileno(), new, found.st_size)
            if not copied == found.st_size == os.fstat(source.fileno()).st_size:
                raise Refused(f"{PurePosixPath(name).name} changed while it was copied")
            os.fchmod(new, 0o644)
        except BaseException:
            target.unlink(missing_ok=True)
            raise
        finally:
            os.close(new)
    return copied


def _copy(source: int, target: int, size: int) -> int:
    """Copy at most `size` bytes, within the kernel where it can (some file systems then share the blocks)."""
    done = 0
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # two file systems, or one that cannot: the rest is copied by hand
            while done < size and (count := os.copy_file_range(source, target, size - done)):
                done += count
    while done < size and (piece := os.read(source, min(_PIECE_BYTES, size - done))):
        while piece:
            count = os.write(target, piece)
            piece, done = piece[count:], done + count
    return done


_DEEPEST = 100  # folders within folders


def excess(folder: Path, *, most_bytes: int, most_entries: int) -> str:
    """Return what there is too much of below a folder that somebody else fills; empty while it is within the limits."""
    taken = entries = 0
    waiting = [(os.fspath(folder), 0)]
    while waiting:
        path, depth = waiting.pop()
        if depth > _DEEPEST:
            return f"more than {_DEEPEST} folders within folders"
        with contextlib.suppress(OSError), os.scandir(path) as found:  # it changes while it is looked at
            for entry in found:
                entries += 1
                with contextlib.suppress(OSError):
                    taken += entry.stat(follow_symlinks=False).st_blocks * 512
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append((entry.path, depth + 1))
                if entries > most_entries:
                    return f"more than {most_entries:,} files and folders"
    return f"more than {most_bytes / 2**30:g} GiB" if taken > most_bytes else ""


def open_own(path: Path, mode: Literal["w", "a"]) -> TextIO:
    """Open a text file of ours for writing; what else has its name (a link, a pipe, a folder) is removed first."""
    with contextlib.suppress(FileNotFoundError):
        found = path.lstat()
        if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
            remove(path)
    return open(path, mode, encoding="utf-8", opener=lambda name, flags: os.open(name, flags | _CAREFULLY, 0o666))


def own_folder(path: Path) -> None:
    """Make a folder if it is not there; what else has its name (a link to another folder) is removed first."""
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISDIR(path.lstat().st_mode):
            path.unlink()
    path.mkdir(exist_ok=True)


def remove(path: Path) -> None:
    """Remove a file, a link, or a folder with all that is in it, if it is there. Links are not followed.

    Unlike `shutil.rmtree`, at any depth, and also what its owner may not enter; unlike the cleaning up of
    `tempfile.TemporaryDirectory`, without changing the mode of what a link points to (CVE-2023-6597).
    """
    try:
        if not stat.S_ISDIR(path.lstat().st_mode):
            path.unlink()
            return
    except FileNotFoundError:
        return
    with _entered(path) as top:
        waiting = _thin_out(top, top)
        while waiting:
            name = waiting.pop()
            with _entered(Path(name), top) as inner:
                waiting += _thin_out(inner, top)
            os.rmdir(name, dir_fd=top)
    path.rmdir()


def _thin_out(folder: int, top: int) -> list[str]:
    """Remove all but the folders in `folder`; return what those are called in `top` afterwards.

    They are moved up: a path of any length is never walked, and no more than two folders are open at once.
    """
    moved = []
    for name in os.listdir(folder):
        if not stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            os.unlink(name, dir_fd=folder)
        elif folder == top:
            moved.append(name)
        else:
            _let_in(name, folder)  # a folder that may not be written into cannot be moved either
            fresh = os.urandom(16).hex()
            os.rename(name, fresh, src_dir_fd=folder, dst_dir_fd=top)
            moved.append(fresh)
    return moved


@contextlib.contextmanager
def _entered(path: Path, parent: int | None = None) -> Iterator[int]:
    """Open a folder, after seeing to it that its owner may read and change it."""
    _let_in(os.fspath(path), parent)
    folder = os.open(path, _FOLDER, dir_fd=parent)
    try:
        yield folder
    finally:
        os.close(folder)


def _let_in(name: str, parent: int | None) -> None:
    """Let the owner of a folder do everything in it; whatever prevents that shows when the folder is used next."""
    with contextlib.suppress(OSError):
        if sys.platform != "linux":
            os.chmod(name, 0o700, dir_fd=parent, follow_symlinks=False)
            return
        # What may not be read can be changed only by a name, and this name means: this folder, and not a link.
        folder = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        try:
            Path(f"/proc/self/fd/{folder}").chmod(0o700)
        finally:
            os.close(folder)


@contextlib.contextmanager
def empty_folder(folder: Path) -> Iterator[Path]:
    """Make a folder that is empty, and is gone afterwards."""
    remove(folder)
    folder.mkdir()
    try:
        yield folder
    finally:
        with contextlib.suppress(OSError):
            remove(folder)
