"""The store: every weight file once, under its hash; per network a folder of hard links as the network wants them.

blobs/<sha256>         whole, verified, read-only
checked/<sha256>.json  size, time stamp and inode at the last full verification
seen/<id>.json         what was found for a file whose manifest states no hash
partial/<id>           downloads under way; resumed
networks/<name>/...    what a runner sees as its weights folder
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from enum import Enum
from pathlib import Path
from typing import TypeVar

import filelock
import msgspec

from faceorch.errors import OutputError, WeightsError
from faceorch.files import sha256_of, write_atomically
from faceorch.owner import Owner
from faceorch.paths import home
from faceorch.weights.identify import describe_wrong
from faceorch.weights.manifest import File

ENV_STORE = "FACEORCH_WEIGHTS"
_WRITTEN_AFTER = timedelta(minutes=2)


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """A blob at its last full verification: as long as these hold, it is taken to be unchanged.

    `boot` is the boot of the machine in whose memory it was verified; None once it is known to be on the disk. Until
    then a power cut may leave a hole under the right name, size and time stamp.
    """

    size: int
    mtime_ns: int
    inode: int
    when: datetime
    boot: str | None = None


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What a source without a stated hash turned out to hold; `how` says who vouches for it."""

    source: str
    sha256: str
    size: int
    revision: str | None
    how: str


_Note = TypeVar("_Note", Checked, Seen)


class State(str, Enum):
    """How a file of a network stands, judged without reading it."""

    READY = "ready"
    MISSING = "missing"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Finding:
    """One file of a network: its state, and the hash that it has or should have, when known."""

    file: File
    state: State
    sha256: str | None
    path: Path
    size: int


class Store:
    """A folder of weights. Several processes may use it at once."""

    def __init__(self, root: Path | None = None) -> None:
        given = os.environ.get(ENV_STORE)
        self.root = (root or (Path(given).expanduser() if given else home() / "weights")).absolute()

    # -- places

    def blob(self, sha256: str) -> Path:
        """Path of the file with this hash, whether it is there or not."""
        return self.root / "blobs" / sha256

    def partial(self, file: File) -> Path:
        """Path of the download under way."""
        return self.root / "partial" / file.id

    def view(self, network: str) -> Path:
        """The weights folder of a network."""
        return self.root / "networks" / network

    def make_folders(self) -> None:
        """Make the store's folders; `WeightsError` when that fails."""
        try:
            for name in ("blobs", "checked", "seen", "partial", "networks", "locks"):
                (self.root / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WeightsError(f"cannot write to {self.root}: {error.strerror}", "choose another --dir") from error

    @contextlib.contextmanager
    def locked(self, name: str, *, wait: bool = True) -> Iterator[None]:
        """Hold one file or one network's folder; others wait, or are told when `wait` is False.

        Others are other threads and processes: the thread that holds it may hold it again.
        """
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
        """Return what the source of `file` was found to hold before."""
        return _read(self.root / "seen" / f"{file.id}.json", Seen)

    def remember(self, file: File, seen: Seen) -> None:
        """Write down what the source of `file` holds."""
        _write(self.root / "seen" / f"{file.id}.json", seen)

    def sha256(self, file: File) -> str | None:
        """Return the hash that `file` must have, None when nobody knows yet."""
        if file.sha256 is not None:
            return file.sha256
        seen = self.seen(file)
        return None if seen is None else seen.sha256

    # -- blobs

    def unchanged(self, sha256: str, path: Path | None = None) -> bool:
        """Say whether the blob (or a link to it) is what it was when it was last verified; reads nothing of it."""
        checked = _read(self.root / "checked" / f"{sha256}.json", Checked)
        try:
            found = (path or self.blob(sha256)).stat()
        except OSError:
            return False
        if checked is None or checked.boot not in (None, Owner.me().machine):
            return False
        return (found.st_size, found.st_mtime_ns, found.st_ino) == (checked.size, checked.mtime_ns, checked.inode)

    def settle(self, sha256: str) -> None:
        """See to it that a verified blob is on the disk, if nobody has.

        Not for one that has just come: by itself the system writes within half a minute, and then this costs nothing.
        """
        note = self.root / "checked" / f"{sha256}.json"
        checked = _read(note, Checked)
        if checked is None or checked.boot is None or datetime.now(timezone.utc) - checked.when < _WRITTEN_AFTER:
            return
        with contextlib.suppress(OSError, OutputError):  # a store that is read-only now: the next one will
            with self.blob(sha256).open("rb") as file:
                os.fsync(file.fileno())
            _write(note, msgspec.structs.replace(checked, boot=None))

    def verify(self, sha256: str, path: Path | None = None, size: int | None = None) -> str | None:
        """Read the whole blob (or a link to it); return what is wrong with it, None when nothing is."""
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
        """Say whether the blob is there and right: from the last verification, or by reading it. A wrong one goes."""
        if self.unchanged(sha256):
            return True
        wrong = self.verify(sha256, size=size)
        if wrong is not None and wrong != "missing":
            self.blob(sha256).unlink(missing_ok=True)
        return wrong is None

    def take(self, part: Path, sha256: str) -> Path:
        """Move a whole, verified file into the store, by rename; one with the same content that is there stays."""
        blob = self.blob(sha256)
        with self.locked(sha256):
            if self.unchanged(sha256):
                part.unlink()  # not put in its place: somebody may be linking to that one
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

    # -- the folders that networks see

    def link(self, network: str, path: str, sha256: str) -> None:
        """Put the blob where the network wants it."""
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
                message = f"the file system of {self.root} has no hard links"
                raise WeightsError(message, "choose another --dir (or FACEORCH_WEIGHTS) on another one") from error
            raise

    def tidy(self, network: str, keep: set[str] | frozenset[str]) -> None:
        """Remove what is in the network's folder and not in its manifest: some networks load all that they find."""
        view = self.view(network)
        for path in sorted(view.rglob("*"), reverse=True):
            if path.is_dir() and not path.is_symlink():
                with contextlib.suppress(OSError):
                    path.rmdir()
            elif path.relative_to(view).as_posix() not in keep:
                path.unlink(missing_ok=True)

    def find(self, network: str, file: File) -> Finding:
        """Judge one file of a network cheaply: size, time stamp and inode against the last full verification."""
        for place, sha256 in self.places(network, file):
            ready = sha256 is not None and self.unchanged(sha256, place)
            state = State.READY if ready else State.CHANGED
            return Finding(file, state, sha256, place, place.stat().st_size if ready else file.size)
        return Finding(file, State.MISSING, self.sha256(file), self.view(network) / file.path, file.size)

    def places(self, network: str, file: File) -> Iterator[tuple[Path, str | None]]:
        """Yield where a file lies and the hash it must have: repacked first, as a runner takes it, then as it came."""
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
        """Remove blobs that no network's folder holds, and downloads under way if `partial`; return count and bytes."""
        count = freed = 0
        for folder in ("blobs", *(["partial"] if partial else [])):
            for path in sorted((self.root / folder).glob("*")):
                found = path.stat()
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
        """Return the hash of the repacked form of `file`, None when there is none."""
        found = self._conversion(file)
        return None if found is None else found.sha256

    def remember_converted(self, file: File, made: Seen) -> None:
        """Write down what `file` was repacked to."""
        _write(self._conversion_path(file), made)

    def _conversion(self, file: File) -> Seen | None:
        return _read(self._conversion_path(file), Seen)

    def _conversion_path(self, file: File) -> Path:
        assert file.convert is not None
        original = self.sha256(file) or file.id
        form = f"{'half' if file.convert.half else 'same'}-{file.convert.key or 'all'}".replace("/", "_")
        return self.root / "seen" / f"{original}.{form}.json"


def _read(path: Path, kind: type[_Note]) -> _Note | None:
    """Return a note, None when it is absent or damaged: then nobody vouches, and the file is read again."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.DecodeError):
        return None


def _write(path: Path, note: Checked | Seen) -> None:
    write_atomically(path, msgspec.json.encode(note) + b"\n")
