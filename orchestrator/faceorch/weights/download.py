"""Downloads one file over HTTP: resumes, retries, and hashes while receiving. Partial downloads are kept."""

from __future__ import annotations

import errno
import hashlib
import os
import queue
import random
import re
import threading
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urlsplit

from msgspec import Struct

from faceorch import __version__
from faceorch.errors import WeightsError, one_line
from faceorch.weights.identify import HEAD_BYTES, identify

if TYPE_CHECKING:
    import requests

# Hashing may lag behind receiving by 32 MiB. Smaller pieces or a shorter queue cost a third of the rate on loopback
# (benchmarks/download.py). On a slow connection, a read still returns what has arrived.
_PIECE_BYTES = 1 << 20
_QUEUED_PIECES = 32
_LONGEST_WAIT_S = 120.0
# A connection slower than this counts as stalled: a new one may be faster.
_SLOWEST_BYTES_PER_S = 1024


class Remote(Struct, frozen=True, kw_only=True):
    """The address of a file, and what is known about it. `size` is exact or None."""

    url: str
    size: int | None = None
    sha256: str | None = None
    token: str | None = None
    repo: str | None = None


class Patience(Struct, frozen=True, kw_only=True):
    """How long to wait, and how often to retry; `tries` counts only attempts that received nothing.

    `clock` measures the rate of a body.
    """

    connect_s: float = 10.0
    stall_s: float = 30.0
    tries: int = 5
    first_wait_s: float = 1.0
    clock: Callable[[], float] = time.monotonic


class StoreFull(WeightsError):
    """The disk is full: no other file would fit either."""


class Stopped(Exception):
    """The download was cancelled from outside."""


class _Again(Exception):
    """A transient failure; `wait_s` is the wait that the server asked for."""

    def __init__(self, reason: str, wait_s: float | None = None) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


class Got(Struct, frozen=True):
    """A complete file: `part` holds `size` bytes with this hash."""

    sha256: str
    size: int


class Download:
    """One download into the file `part`, which may already contain the beginning."""

    def __init__(
        self,
        remote: Remote,
        part: Path,
        session: requests.Session,
        *,
        patience: Patience,
        stop: threading.Event,
        moved: Callable[[int], None],
        note: Callable[[str], None],
    ) -> None:
        self._remote, self._part, self._session, self._patience = remote, part, session, patience
        self._stop, self._moved, self._note = stop, moved, note
        self._have = 0
        self._total: int | None = remote.size
        self._etag: str | None = None

    def run(self) -> Got:
        """Download the whole file and return it; `moved` is told the bytes received, as a negative number if discarded.

        Raises `WeightsError` with a one-line message, or `Stopped`.
        """
        tries = 0
        try:
            with self._part.open("ab", buffering=0) as file, _Hasher() as self._hasher:
                self._continue_from(file)
                while not self._complete():
                    before = self._have
                    try:
                        self._attempt(file)
                    except _Again as again:
                        tries = 1 if self._have > before else tries + 1
                        if tries >= self._patience.tries:
                            raise self._give_up(str(again)) from again
                        self._wait(again, tries)
                return Got(self._hasher.finish(), self._have)
        except OSError as error:
            raise disk_error(error, self._part) from error

    def _complete(self) -> bool:
        return self._total is not None and self._have == self._total

    def _continue_from(self, file: IO[bytes]) -> None:
        """Hash what an earlier attempt left; start again if it cannot be the beginning of this file."""
        size = os.fstat(file.fileno()).st_size
        if self._total is not None and size > self._total:
            self._restart(file)
            return
        with self._part.open("rb") as old:
            while piece := old.read(_PIECE_BYTES):
                if self._stop.is_set():
                    raise Stopped
                self._take(piece)

    def _take(self, piece: bytes) -> None:
        self._hasher.add(piece)
        self._have += len(piece)
        self._moved(len(piece))

    def _restart(self, file: IO[bytes]) -> None:
        file.truncate(0)
        self._hasher.reset()
        self._moved(-self._have)
        self._have = 0

    def _attempt(self, file: IO[bytes]) -> None:
        import requests
        import urllib3

        if self._stop.is_set():
            raise Stopped
        headers = {"Accept-Encoding": "identity", "User-Agent": f"faceorch/{__version__}"}
        if self._have:
            headers["Range"] = f"bytes={self._have}-"
            if self._remote.sha256 is None and self._etag is not None:
                headers["If-Range"] = self._etag  # with a known hash, that decides; validators differ between mirrors
        try:
            with self._session.get(
                self._remote.url,
                headers=headers,
                auth=self._authorise,
                stream=True,
                timeout=(self._patience.connect_s, self._patience.stall_s),
            ) as response:
                if self._begin(response, file):
                    self._body(response, file)
        except requests.exceptions.SSLError as error:
            raise WeightsError(
                f"{self._host()}: {_cause(error)}", "name your certificate authorities in REQUESTS_CA_BUNDLE"
            ) from error
        except requests.exceptions.ProxyError as error:
            raise WeightsError(
                f"the proxy fails: {_cause(error)}", "fix HTTPS_PROXY, HTTP_PROXY or NO_PROXY"
            ) from error
        except (requests.exceptions.InvalidURL, requests.exceptions.TooManyRedirects) as error:
            raise WeightsError(f"{self._remote.url}: {_cause(error)}", "fix the address, or use --mirror") from error
        except (requests.exceptions.Timeout, urllib3.exceptions.TimeoutError) as error:
            raise _Again(f"no response for {self._patience.stall_s:g} s") from error
        except urllib3.exceptions.ProtocolError as error:
            of = "" if self._total is None else f" of {self._total}"
            raise _Again(f"truncated after {self._have}{of} bytes") from error
        except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError) as error:
            raise _Again(_cause(error)) from error

    def _authorise(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the token. It overrides ~/.netrc, and requests drops it on a redirect to another host."""
        if self._remote.token is not None:
            request.headers["Authorization"] = f"Bearer {self._remote.token}"
        return request

    def _begin(self, response: requests.Response, file: IO[bytes]) -> bool:
        """Check the head of the response; return whether to read its body."""
        status = response.status_code
        if status == 206:
            found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
            if found is None or int(found[1]) != self._have:
                self._restart(file)
                raise _Again(f"not the range that was requested: {response.headers.get('Content-Range')!r}")
            self._length(None if found[2] == "*" else int(found[2]), response)
            return True
        if status == 200:
            if self._have:
                self._note("the server cannot resume; starting again")
                self._restart(file)
            length = response.headers.get("Content-Length")
            plain = response.headers.get("Content-Encoding", "identity") == "identity"
            self._length(int(length) if plain and length is not None and length.isdecimal() else None, response)
            self._etag = response.headers.get("ETag")
            return True
        if status == 416:
            total = response.headers.get("Content-Range", "").rpartition("/")[2]
            if total.isdecimal() and int(total) == self._have:
                self._total = self._have
                return False
            self._restart(file)
            raise _Again("the partial download is longer than the file")
        if status in (408, 425, 429) or status >= 500:
            raise _Again(f"HTTP {status} {response.reason}", _retry_after(response.headers.get("Retry-After")))
        raise self._refused(status, response)

    def _length(self, total: int | None, response: requests.Response) -> None:
        """Compare the length that the server states with the expected one."""
        if total is None:
            return
        if self._remote.size is not None and total != self._remote.size:
            head = b"" if self._have else response.raw.read(HEAD_BYTES, decode_content=True)
            what = identify(head, self._remote.url) or f"{total} bytes, {self._remote.size} needed"
            raise WeightsError(f"{self._remote.url} is not the expected file: {what}", _WRONG_FILE)
        self._total = total

    def _body(self, response: requests.Response, file: IO[bytes]) -> None:
        raw: Any = response.raw
        decode = response.headers.get("Content-Encoding", "identity") != "identity"
        clock = self._patience.clock
        since_s, since = clock(), self._have
        while piece := raw.read1(_PIECE_BYTES, decode_content=decode):
            if self._stop.is_set():
                raise Stopped
            if self._have == 0 and (what := identify(piece[:HEAD_BYTES], self._remote.url)) is not None:
                raise WeightsError(f"{self._remote.url} is not the expected file: {what}", _WRONG_FILE)
            if self._total is not None and self._have + len(piece) > self._total:
                self._restart(file)
                raise WeightsError(f"{self._remote.url} is longer than {self._total} bytes", _WRONG_FILE)
            view = memoryview(piece)
            while view:
                view = view[file.write(view) or 0 :]
            self._take(piece)
            passed_s = clock() - since_s
            if passed_s > self._patience.stall_s:
                if self._have - since < passed_s * _SLOWEST_BYTES_PER_S:
                    raise _Again(f"only {self._have - since} bytes in {passed_s:.0f} s")
                since_s, since = clock(), self._have
        if self._total is None:
            self._total = self._have  # the body ended properly, by the rules of HTTP
        elif self._have < self._total:
            raise _Again(f"truncated after {self._have} of {self._total} bytes")

    def _wait(self, again: _Again, tries: int) -> None:
        pause_s = self._patience.first_wait_s * 2 ** (tries - 1) * random.uniform(0.75, 1.25)
        if again.wait_s is not None:
            if again.wait_s > _LONGEST_WAIT_S:
                raise WeightsError(
                    f"{self._host()} asks to wait {again.wait_s:.0f} s ({again})", "run the same command again later"
                )
            pause_s = max(pause_s, again.wait_s)
        self._note(f"{again}; trying again in {pause_s:.0f} s")
        if self._stop.wait(pause_s):
            raise Stopped

    def _give_up(self, reason: str) -> WeightsError:
        return WeightsError(
            f"{self._remote.url}: {reason}, {self._patience.tries} times in a row",
            "check the network and the proxy (HTTPS_PROXY); the same command continues the download",
        )

    def _refused(self, status: int, response: requests.Response) -> WeightsError:
        why = response.headers.get("X-Error-Message") or response.reason
        remedy = "check whether it has moved; or use a mirror (--mirror), or files from elsewhere (--from DIR)"
        if status in (401, 403) and self._remote.repo is not None:
            page = f"https://huggingface.co/{self._remote.repo}"
            remedy = f"accept its terms at {page}, then set HF_TOKEN (or: hf auth login)"
        elif status in (401, 403):
            remedy = "check the proxy and the address; a login for this host can be in ~/.netrc"
        return WeightsError(f"{self._remote.url}: HTTP {status} {one_line(why)}", remedy)

    def _host(self) -> str:
        return urlsplit(self._remote.url).netloc


_WRONG_FILE = "try another --mirror, or files from elsewhere (--from DIR)"


class _Hasher:
    """SHA-256 in a separate thread, so that hashing and receiving overlap."""

    def __init__(self) -> None:
        self._queue: queue.Queue[bytes | None] = queue.Queue(_QUEUED_PIECES)
        self._digest = hashlib.sha256()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> _Hasher:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()

    def _work(self) -> None:
        while (piece := self._queue.get()) is not None:
            self._digest.update(piece)
            self._queue.task_done()

    def add(self, piece: bytes) -> None:
        self._queue.put(piece)

    def reset(self) -> None:
        self._queue.join()
        self._digest = hashlib.sha256()

    def finish(self) -> str:
        self._queue.join()
        return self._digest.hexdigest()


def _retry_after(text: str | None) -> float | None:
    """Return the seconds that a Retry-After header asks for."""
    if text is None:
        return None
    try:
        return float(text)
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return None


def _cause(error: BaseException) -> str:
    """Return the innermost reason in a chain of wrapped network errors, which is the most specific."""
    while isinstance(inner := (getattr(error, "reason", None) or next(iter(error.args), None)), BaseException):
        error = inner
    text = next((str(part) for part in reversed(error.args) if isinstance(part, str)), str(error))
    return one_line(re.sub(r"^\[Errno \d+\] ", "", text.rpartition(": ")[2]) or type(error).__name__)


def disk_error(error: OSError, part: Path) -> Exception:
    """Return what to raise for a file system error while writing `part`: a one-line error, or the error itself."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreFull(
            f"no space left in {part.parent.parent}",
            "free some space (faceorch weights rm --unused), or choose another --dir; partial downloads are kept",
        )
    if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
        return WeightsError(f"cannot write to {part.parent}: {error.strerror}", "choose another --dir")
    return error
