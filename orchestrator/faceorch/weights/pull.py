"""Downloads missing files into the store and links them into each network's folder, in parallel."""

from __future__ import annotations

import contextlib
import hashlib
import queue
import shutil
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct, field

from faceorch.errors import OutputError, WeightsError
from faceorch.weights.adopt import Folder
from faceorch.weights.download import Download, Got, Patience, Stopped, StoreFull, disk_error
from faceorch.weights.identify import describe_wrong
from faceorch.weights.manifest import File
from faceorch.weights.remote import Stated, ask_hub, make_remote, offline
from faceorch.weights.store import Seen, State, Store
from faceorch.words import plural, size

if TYPE_CHECKING:
    import requests

_SPARE_BYTES = 64 * 2**20
_JOIN_S = 3.0


class Wanted(Struct, frozen=True, kw_only=True):
    """A network, the files it needs now, and all paths in its manifest."""

    network: str
    files: tuple[File, ...]
    known: frozenset[str]


class Task(Struct):
    """One file to obtain: `files` are its entries in several manifests, `networks` the networks that need it."""

    files: list[File] = field(default_factory=list)
    networks: list[str] = field(default_factory=list)
    ready: bool = False
    sha256: str | None = None
    error: WeightsError | None = None

    @property
    def file(self) -> File:
        """The file's entry in the first manifest."""
        return self.files[0]

    @property
    def name(self) -> str:
        """Network and path, for display."""
        return f"{self.networks[0]}/{self.file.path}"


class PullObserver(Protocol):
    """Is told about progress, from several threads, one call at a time."""

    def started(self, tasks: Sequence[Task]) -> None:
        """The pull starts; some of the files may be in the store already."""

    def moved(self, task: Task, count: int) -> None:
        """Bytes of a file have been received, or (negative) discarded."""

    def note(self, task: Task, text: str) -> None:
        """One line about a file."""

    def ended(self, task: Task) -> None:
        """A file is complete, or has failed (`task.error`)."""


class PullOptions(Struct, frozen=True, kw_only=True):
    """How to pull."""

    mirrors: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None
    jobs: int = 4
    patience: Patience = field(default_factory=Patience)


def pull(wanted: Sequence[Wanted], store: Store, options: PullOptions, observer: PullObserver) -> list[Task]:
    """Obtain every wanted file and link it into the folders of its networks.

    One file's failure does not stop the others; the first failure is raised at the end. On `KeyboardInterrupt`, partial
    downloads are kept for the next pull.
    """
    store.make_folders()
    tasks = _tasks(wanted, store)
    _check_space(tasks, store)
    folder = None if options.folder is None else Folder(options.folder)
    _Pull(store, options, observer, folder).run(tasks)
    by_id = {file.id: task for task in tasks for file in task.files}
    for want in wanted:
        with store.locked(want.network):
            for file in want.files:
                sha256 = by_id[file.id].sha256
                if sha256 is not None:
                    store.link(want.network, file.path, sha256)
                for place, right in list(store.places(want.network, file)):
                    if right != sha256 and (right is None or not store.unchanged(right, place)):
                        place.unlink()  # a damaged repacked file, which a runner would load
            store.tidy(want.network, want.known)
    failed = [task for task in tasks if task.error is not None]
    if failed:
        first = failed[0].error
        assert first is not None
        more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
        raise WeightsError(f"{failed[0].name}: {first.message}{more}", first.remedy) from first
    return tasks


def _tasks(wanted: Sequence[Wanted], store: Store) -> list[Task]:
    """Return one task per distinct file, the largest first because it takes longest."""
    tasks: dict[str, Task] = {}
    for want in wanted:
        for file in want.files:
            task = tasks.setdefault(file.id, Task())
            task.files.append(file)
            task.networks.append(want.network)
            found = store.find(want.network, file)
            # A repacked file replaces the one it was made from.
            task.ready = task.ready or found.state is State.READY
            sha256 = store.sha256(file)
            if sha256 is not None and store.unchanged(sha256):
                task.ready, task.sha256 = True, sha256
    return sorted(tasks.values(), key=lambda task: -task.file.size)


def _check_space(tasks: Sequence[Task], store: Store) -> None:
    """Check that the disk has space for the missing files, before anything starts."""
    missing = [task for task in tasks if not task.ready]
    needed = 0
    for task in missing:
        sha256 = store.sha256(task.file)
        have = 0
        for path in (store.partial(task.file), *([store.blob(sha256)] if sha256 else [])):
            with contextlib.suppress(OSError):
                have = max(have, path.stat().st_size)
        needed += max(0, task.file.size - have)
    free = shutil.disk_usage(store.root).free
    if missing and needed + _SPARE_BYTES > free:
        raise WeightsError(
            f"{store.root} has {size(free)} free, {size(needed + _SPARE_BYTES)} needed "
            f"for {plural(len(missing), 'file')}",
            "free some space (faceorch weights rm), choose another --dir, or name fewer networks",
        )


class _Pull:
    def __init__(self, store: Store, options: PullOptions, observer: PullObserver, folder: Folder | None) -> None:
        self._store, self._options, self._folder = store, options, folder
        self._observer, self._lock = observer, threading.Lock()
        self._stop = threading.Event()
        self._bug: BaseException | None = None

    def run(self, tasks: Sequence[Task]) -> None:
        self._observer.started(tasks)
        waiting: queue.SimpleQueue[Task] = queue.SimpleQueue()
        for task in tasks:
            if task.ready:
                self._observer.ended(task)
            else:
                waiting.put(task)
        # Daemons: a thread on a dead connection must not keep Ctrl-C from ending the program.
        workers = [
            threading.Thread(target=self._work, args=(waiting,), daemon=True)
            for _ in range(min(self._options.jobs, len(tasks)))
        ]
        for worker in workers:
            worker.start()
        try:
            for worker in workers:
                while worker.is_alive():
                    worker.join(0.2)
        except BaseException:
            self._stop.set()
            for worker in workers:
                worker.join(_JOIN_S)
            raise
        if self._bug is not None:
            raise self._bug

    def _work(self, waiting: queue.SimpleQueue[Task]) -> None:
        import requests

        with requests.Session() as session:
            while not self._stop.is_set():
                try:
                    task = waiting.get_nowait()
                except queue.Empty:
                    return
                try:
                    task.sha256 = self._obtain(task, session)
                    for network, file in zip(task.networks, task.files, strict=True):
                        self._store.link(network, file.path, task.sha256)  # a linked blob is not collected
                except WeightsError as error:
                    task.error = error
                except Stopped:
                    return
                except BaseException as error:
                    self._bug = error
                    self._stop.set()
                    return
                with self._lock:
                    self._observer.ended(task)
                if isinstance(task.error, StoreFull):
                    self._stop.set()

    def _note(self, task: Task, text: str) -> None:
        with self._lock:
            self._observer.note(task, text)

    def _moved(self, task: Task, count: int) -> None:
        with self._lock:
            self._observer.moved(task, count)

    @contextlib.contextmanager
    def _alone(self, task: Task) -> Iterator[None]:
        """Hold the file's lock; wait while another process holds it."""
        told = False
        while True:
            with contextlib.ExitStack() as stack:
                try:
                    stack.enter_context(self._store.locked(task.file.id, wait=False))
                except WeightsError:
                    if not told:
                        self._note(task, "another faceorch is downloading it; waiting")
                        told = True
                else:
                    yield
                    return
            if self._stop.wait(0.3):
                raise Stopped

    def _obtain(self, task: Task, session: requests.Session) -> str:
        """Download a file into the store, verify it, and return its hash."""
        try:
            with self._alone(task):
                sha256 = self._store.sha256(task.file)
                if sha256 is not None and self._store.has(sha256, task.file.exact_size):
                    self._moved(task, self._store.blob(sha256).stat().st_size)
                    return sha256
                if self._folder is not None and (adopted := self._adopt(task, sha256, self._folder)) is not None:
                    return adopted
                return self._download(task, session)
        except OutputError as error:
            raise WeightsError(error.message, error.remedy) from error
        except OSError as error:
            raise disk_error(error, self._store.partial(task.file)) from error

    def _adopt(self, task: Task, sha256: str | None, folder: Folder) -> str | None:
        file, stated = task.file, None
        if sha256 is None and file.source.repo is not None and not offline():
            with contextlib.suppress(WeightsError):
                stated = ask_hub(file.source, self._options.mirrors)
        part = self._store.partial(file).with_suffix(".adopt")
        try:
            got = folder.copy(
                file,
                part,
                sha256=sha256 or (stated.sha256 if stated else None),
                moved=lambda count: self._moved(task, count),
                note=lambda text: self._note(task, text),
            )
            if got is None:
                self._note(task, f"not in {folder.path}")
                return None
            vouched = stated is not None and (stated.sha256 or stated.git_sha1 == _git_sha1(part))
            self._keep(task, file, part, Got(got, part.stat().st_size), stated, "hub" if vouched else "adopted")
        finally:
            part.unlink(missing_ok=True)
        return got

    def _download(self, task: Task, session: requests.Session) -> str:
        """Download the file from its sources in turn: manifests may name several for the same hash."""
        if offline():
            raise WeightsError("not in the store, and HF_HUB_OFFLINE forbids downloads", "unset it, or use --from DIR")
        *others, last = {file.source.key: file for file in task.files}.values()
        for file in others:
            try:
                return self._download_from(task, file, session)
            except StoreFull:
                raise
            except WeightsError as error:
                self._note(task, f"{error.message}; trying another source")
        return self._download_from(task, last, session)

    def _download_from(self, task: Task, file: File, session: requests.Session) -> str:
        seen, stated = self._store.seen(file), None
        sha256, size = self._store.sha256(file), file.exact_size
        revision = file.source.revision or (seen.revision if seen else None)
        if sha256 is None and file.source.repo is not None:
            stated = ask_hub(file.source, self._options.mirrors)
            sha256, size, revision = stated.sha256, size or stated.size, revision or stated.revision
        elif seen is not None:
            size = seen.size
        remote = make_remote(file, sha256, size, revision, self._options.mirrors)
        part = self._store.partial(file)
        while True:
            resumed = part.exists() and part.stat().st_size > 0
            got = Download(
                remote,
                part,
                session,
                patience=self._options.patience,
                stop=self._stop,
                moved=lambda count: self._moved(task, count),
                note=lambda text: self._note(task, text),
            ).run()
            wrong = _wrong(part, got, sha256, stated, size)
            if wrong is None:
                break
            part.unlink()
            self._moved(task, -got.size)
            if not resumed:
                raise WeightsError(f"{remote.url} is not the expected file: {wrong}", _ELSEWHERE)
            self._note(task, f"the partial download was {wrong}; starting again")
        vouched = stated is not None and (stated.sha256 or stated.git_sha1)
        self._keep(task, file, part, got, stated, "hub" if vouched else "first download")
        return got.sha256

    def _keep(self, task: Task, file: File, part: Path, got: Got, stated: Stated | None, how: str) -> None:
        """Move a verified file into the store. A hash that no manifest states is saved first, in case of a kill."""
        if self._store.sha256(file) is None:
            revision = file.source.revision or (stated.revision if stated else None)
            seen = Seen(source=file.source.key, sha256=got.sha256, size=got.size, revision=revision, how=how)
            self._store.remember(file, seen)
            if how != "hub":
                self._note(task, f"no hash is stated for it; accepted as downloaded (sha256 {got.sha256})")
        self._store.take(part, got.sha256)


def _wrong(part: Path, got: Got, sha256: str | None, stated: Stated | None, size: int | None) -> str | None:
    if sha256 is not None:
        if got.sha256 == sha256:
            return None
        return describe_wrong(part, size=size, sha256=sha256, found_sha256=got.sha256)
    if stated is not None and stated.git_sha1 is not None and _git_sha1(part) != stated.git_sha1:
        return "not what the hub states"
    return None


def _git_sha1(path: Path) -> str:
    """Return git's blob hash of a file."""
    digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size)
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


_ELSEWHERE = "try another --mirror, or files from elsewhere (--from DIR)"
