"""The run folder on disk, and `run.json` in it: written by rename, so that what is there can always be read."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import re
import shlex
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import msgspec

from faceorch.errors import RunFolderError
from faceorch.files import sha256_of, write_atomically
from faceorch.record.run import SCHEMA, Run, Video
from faceorch.record.schemas import published
from faceorch.record.upgrade import upgrade

FILE_NAME = "run.json"
SCHEMA_ID = f"urn:faceorch:run:{SCHEMA}"


def now() -> datetime:
    """Return the current time in UTC."""
    return datetime.now(timezone.utc)


class InvalidRecord(Exception):
    """The record holds what its own schema does not allow."""


class RunFolder:
    """A run's folder on disk."""

    def __init__(self, path: Path, run: Run) -> None:
        self.path, self.run = path, run

    @property
    def inputs(self) -> Path:
        """Folder of the normalised inputs."""
        return self.path / "inputs"

    def job_folder(self, network: str) -> Path:
        """Folder of one network's log, events and scratch files."""
        return self.path / network

    def video(self, network: str) -> Path:
        """Final path of one network's video."""
        return self.path / f"{network}.mp4"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder, so that two processes never work on one run; `RunFolderError` when another one has it.

        The lock is on the folder itself and ends with the process, whatever happens. A file system that has no locks
        gives none.
        """
        handle = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RunFolderError(f"{self.path} is in use by another faceorch", "wait for it to end") from None
            except OSError as error:
                if error.errno not in (errno.EBADF, errno.EINVAL, errno.ENOLCK, errno.ENOTSUP):
                    raise
            for left in self.path.glob(f".{FILE_NAME}.*"):  # half written by a faceorch that was killed
                left.unlink(missing_ok=True)
            yield
        finally:
            os.close(handle)

    def holds(self, video: Video) -> bool:
        """Return whether a video is still there as it was recorded."""
        try:
            return sha256_of(self.path / video.file) == video.sha256
        except OSError:
            return False

    def save(self) -> None:
        """Write run.json by rename; `InvalidRecord`, and nothing is written, when it could not be loaded again."""
        self.run.updated = now()
        try:
            text = msgspec.json.format(msgspec.json.encode(self.run), indent=2)
            msgspec.json.decode(text, type=Run)  # ranges and lengths are checked here only
        except (ValueError, TypeError, RecursionError) as error:
            raise InvalidRecord(str(error)) from error
        write_atomically(self.path / FILE_NAME, text + b"\n")

    @classmethod
    def load(cls, path: Path) -> RunFolder:
        """Open an existing run folder (or its run.json); `RunFolderError` when it holds no readable run."""
        path = path.absolute()  # what is mounted, recorded and printed must not depend on the current folder
        folder = path.parent if path.name == FILE_NAME else path
        file = folder / FILE_NAME
        try:
            raw = json.loads(file.read_text("utf-8"))
        except OSError as error:
            raise RunFolderError(f"{folder} is no run folder: {error.strerror}: {FILE_NAME}", _WHERE) from error
        except ValueError as error:
            raise RunFolderError(f"{file} is not JSON: {error}", _WHERE) from error
        found = raw.get("schema") if isinstance(raw, dict) else None
        if found not in (1, SCHEMA):
            raise RunFolderError(
                f"{file} has schema {found!r}, this faceorch reads 1 to {SCHEMA}", "use the faceorch that wrote it"
            )
        try:
            return cls(folder, msgspec.convert(upgrade(raw), Run))
        except (msgspec.ValidationError, AttributeError, KeyError, TypeError, ValueError) as error:
            raise RunFolderError(f"{file} is damaged: {error}", _WHERE) from error


_WHERE = "name a folder that `faceorch run` made, such as results/20260131-120000-face-clip"


def resume_command(folder: Path) -> str:
    """Return the command that finishes a run, for a shell in any folder."""
    return shlex.join(["faceorch", "run", "--resume", os.fspath(folder.absolute())])


def judge_command(folder: Path) -> str:
    """Return the command that judges the videos of a run, for a shell in any folder."""
    return shlex.join(["faceorch", "judge", os.fspath(folder.absolute())])


def new_run_id(portrait: Path, clip: Path, when: datetime) -> str:
    """Return a folder name that sorts by time and can be recognised: `<time>-<slug>`."""
    slug = re.sub(r"[^a-z0-9]+", "-", f"{portrait.stem}-{clip.stem}".lower()).strip("-")[:40].strip("-")
    return f"{when.astimezone():%Y%m%d-%H%M%S}-{slug or 'run'}"


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of run.json."""
    return published(Run, SCHEMA_ID)
