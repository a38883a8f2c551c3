"""The store: every weight file once, under its hash, and a folder of hard links for each network.

blobs/<sha256>         complete, verified, read-only
checked/<sha256>.json  size, time stamp and inode at the last full verification
seen/<id>.json         hash and size found for a file whose manifest states no hash
partial/<id>           partial downloads, to be resumed
networks/<name>/...    the weights folder that a runner sees
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from enum import Enum
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from faceorch.errors import OutputError, WeightsError
from faceorch.files import sha256_of, write_atomically
from faceorch.owner import Owner
from faceorch.paths import absolute, home
from faceorch.weights.identify import describe_wrong
from faceorch.weights.manifest import File

ENV_STORE = "FACEORCH_WEIGHTS"
_WRITTEN_AFTER = timedelta(minutes=2)


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """A blob's state at its last full verification: while it is the same, the blob counts as unchanged.

    `boot` is the machine's boot id while the blob may only be in the page cache; None once it is known to be on disk.
    Before that, a power failure may leave a hole with the right name, size and time stamp.
    """

    size: int
    mtime_ns: int
    inode: int
    when: datetime
    boot: str | None = None


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """The hash and size found for a source without a stated hash; `how` is where they come from."""

    source: str
    sha256: str
    size: int
    revision: str | None
    how: str


_Note = TypeVar("_Note", Checked, Seen)


class State(str, Enum):
    """The state of a network's file, determined without reading it."""

    READY = "ready"
    MISSING = "missing"
    CHANGED = "changed"


class FileStatus(Struct, frozen=True):
    """One file of a network: its state, and the hash that it has or should have, if known."""

    file: File
    state: State
    sha256: str | None
    path: Path
    size: int


class Store:
    """A folder of weights. Several processes may use it at the same time."""

    def __init__(self, root: Path | None = None) -> None:
        given = os.environ.get(ENV_STORE)
        self.root = absolute(root or given or home() / "weights")

    # -- places

    def blob(self, sha256: str) -> Path:
        """Return the path of the blob with this hash, whether it exists or not."""
        return self.root / "blobs" / sha256

    def partial(self, file: File) -> Path:
        """Return the path of the partial download."""
        return self.root / "partial" / file.id

    def view(self, network: str) -> Path:
        """Return the weights folder of a network."""
        return self.root / "networks" / network

    def make_folders(self) -> None:
        """Create the store's folders; raise `WeightsError` if that fails."""
        try:
            for name in ("blobs", "checked", "seen", "partial", "networks", "locks"):
                (self.root / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WeightsError(f"cannot write to {self.root}: {error.strerror}", "choose another --dir") from error

    @contextlib.contextmanager
    def locked(self, name: str, *, wait: bool = True) -> Iterator[None]:
        """Lock one file or one network's folder. Others wait; with `wait=False` they get an error.

        The lock is reentrant: it excludes other threads and processes, not the thread that holds it.
        """
        import filelock

        lock = filelock.FileLock(self.root / "locks" / f"{name}.lock", is_singleton=True)
        try:
            lock.acquire(timeout=-1 if wait else 0)
        except filelock.Timeout:
            raise WeightsError(f"{self.root} is in use by another faceorch", "wait for it to end") from None
        try:
            yield
        finally:
            lock.release()

    # -- hashes that no manifest states

    def seen(self, file: File) -> Seen | None:
        """Return what was found for the source of `file` earlier."""
        return _read(self.root / "seen" / f"{file.id}.json", Seen)

    def remember(self, file: File, seen: Seen) -> None:
        """Write down what was found for the source of `file`."""
        _write(self.root / "seen" / f"{file.id}.json", seen)

    def sha256(self, file: File) -> str | None:
        """Return the hash that `file` must have; None if it is not known yet."""
        if file.sha256 is not None:
            return file.sha256
        seen = self.seen(file)
        return None if seen is None else seen.sha256

    # -- blobs

    def unchanged(self, sha256: str, path: Path | None = None) -> bool:
        """Return whether the blob (or a link to it) is as it was at its last verification, without reading it."""
        checked = _read(self.root / "checked" / f"{sha256}.json", Checked)
        try:
            found = (path or self.blob(sha256)).stat()
        except OSError:
            return False
        if checked is None or checked.boot not in (None, Owner.me().machine):
            return False
        return (found.st_size, found.st_mtime_ns, found.st_ino) == (checked.size, checked.mtime_ns, checked.inode)

    def settle(self, sha256: str) -> None:
        """Make sure that a verified blob is on disk, unless that is known.

        Not for a new blob: the kernel writes it back within half a minute, and after that this call costs nothing.
        """
        note = self.root / "checked" / f"{sha256}.json"
        checked = _read(note, Checked)
        if checked is None or checked.boot is None or datetime.now(timezone.utc) - checked.when < _WRITTEN_AFTER:
            return
        with contextlib.suppress(OSError, OutputError):  # the store is read-only now: a later call does it
            with self.blob(sha256).open("rb") as file:
                os.fsync(file.fileno())
            _write(note, replace(checked, boot=None))

    def verify(self, sha256: str, path: Path | None = None, size: int | None = None) -> str | None:
        """Read the whole blob (or a link to it) and return what is wrong with it; None if it is right."""
        path = path or self.blob(sha256)
        note = self.root / "checked" / f"{sha256}.json"
        try:
            before = path.stat()
            found = sha256_of(path)
        except FileNotFoundError:
            return "missing"
        except OSError as error:
            return f"not readable: {error.strerror}"
        if found != sha256:
            note.unlink(missing_ok=True)
            return describe_wrong(path, size=size, sha256=sha256, found_sha256=found)
        self._note(sha256, before)
        return None

    def has(self, sha256: str, size: int | None = None) -> bool:
        """Return whether the blob exists and is right, by its last verification or by reading it; remove a bad one."""
        if self.unchanged(sha256):
            return True
        wrong = self.verify(sha256, size=size)
        if wrong is not None and wrong != "missing":
            self.blob(sha256).unlink(missing_ok=True)
        return wrong is None

    def take(self, part: Path, sha256: str) -> Path:
        """Move a complete, verified file into the store by rename; an existing blob with the same content is kept."""
        blob = self.blob(sha256)
        with self.locked(sha256):
            if self.unchanged(sha256):
                part.unlink()  # the existing one is not replaced: another process may be linking to it
            else:
                part.chmod(0o444)
                os.replace(part, blob)
                self._note(sha256, blob.stat())
        return blob

    def _note(self, sha256: str, found: os.stat_result) -> None:
        checked = Checked(
            size=found.st_size,
            mtime_ns=found.st_mtime_ns,
            inode=found.st_ino,
            when=datetime.now(timezone.utc),
            boot=Owner.me().machine,
        )
        _write(self.root / "checked" / f"{sha256}.json", checked)

    # -- the networks' folders

    def link(self, network: str, path: str, sha256: str) -> None:
        """Link the blob into the network's folder."""
        blob, place = self.blob(sha256), self.view(network) / path
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):
                if place.samefile(blob):
                    return
            temporary = place.with_name(f".{place.name}.{os.getpid()}")
            temporary.unlink(missing_ok=True)
            os.link(blob, temporary)
            os.replace(temporary, place)
        except OSError as error:
            if error.errno == errno.ENOENT and not blob.exists():
                raise WeightsError(f"{path} was removed meanwhile", "run the same command again") from error
            if error.errno in (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS):
                message = f"the file system of {self.root} does not support hard links"
                raise WeightsError(message, "choose another --dir (or FACEORCH_WEIGHTS) on another one") from error
            raise

    def tidy(self, network: str, keep: set[str] | frozenset[str]) -> None:
        """Remove files that are not in the network's manifest: some networks load every file in their folder."""
        view = self.view(network)
        for path in sorted(view.rglob("*"), reverse=True):
            if path.is_dir() and not path.is_symlink():
                with contextlib.suppress(OSError):
                    path.rmdir()
            elif path.relative_to(view).as_posix() not in keep:
                path.unlink(missing_ok=True)

    def find(self, network: str, file: File) -> FileStatus:
        """Return the state of one file without reading it, from its size, time stamp and inode."""
        for place, sha256 in self.places(network, file):
            ready = sha256 is not None and self.unchanged(sha256, place)
            state = State.READY if ready else State.CHANGED
            return FileStatus(file, state, sha256, place, place.stat().st_size if ready else file.size)
        return FileStatus(file, State.MISSING, self.sha256(file), self.view(network) / file.path, file.size)

    def places(self, network: str, file: File) -> Iterator[tuple[Path, str | None]]:
        """Yield a file's paths with their required hashes: repacked first, as a runner does, then the original."""
        forms = [(file.convert.path, self.converted(file))] if file.convert is not None else []
        for path, sha256 in (*forms, (file.path, self.sha256(file))):
            if (self.view(network) / path).exists():
                yield self.view(network) / path, sha256

    # -- removing

    def remove(self, network: str) -> None:
        """Remove the network's folder; the blobs stay until `collect`."""
        with self.locked(network, wait=False):
            self.tidy(network, set())
            with contextlib.suppress(OSError):
                self.view(network).rmdir()

    def collect(self, *, partial: bool) -> tuple[int, int]:
        """Remove blobs that no network links, and partial downloads if `partial`; return count and bytes."""
        count = freed = 0
        for folder in ("blobs", *(["partial"] if partial else [])):
            for path in sorted((self.root / folder).glob("*")):
                found = path.lstat()
                if stat.S_ISDIR(found.st_mode):
                    continue  # scratch files of a conversion, which the next one clears
                if folder == "blobs" and found.st_nlink > 1:
                    continue
                with contextlib.suppress(WeightsError), self.locked(path.name, wait=False):
                    if folder == "blobs" and path.stat().st_nlink > 1:  # linked meanwhile
                        continue
                    path.unlink(missing_ok=True)
                    (self.root / "checked" / f"{path.name}.json").unlink(missing_ok=True)
                    count, freed = count + 1, freed + found.st_size
        return count, freed

    # -- repacked files

    def converted(self, file: File) -> str | None:
        """Return the hash of the repacked form of `file`; None if there is none."""
        found = self._conversion(file)
        return None if found is None else found.sha256

    def remember_converted(self, file: File, made: Seen) -> None:
        """Write down the repacked form of `file`."""
        _write(self._conversion_path(file), made)

    def _conversion(self, file: File) -> Seen | None:
        return _read(self._conversion_path(file), Seen)

    def _conversion_path(self, file: File) -> Path:
        assert file.convert is not None
        original = self.sha256(file) or file.id
        form = f"{'half' if file.convert.half else 'same'}-{file.convert.key or 'all'}".replace("/", "_")
        return self.root / "seen" / f"{original}.{form}.json"


def _read(path: Path, kind: type[_Note]) -> _Note | None:
    """Return a note; None if it is absent or damaged: then the file must be read again."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _write(path: Path, note: Checked | Seen) -> None:
    write_atomically(path, msgspec.json.encode(note) + b"\n")
