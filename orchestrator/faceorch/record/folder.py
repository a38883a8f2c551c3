"""The run folder on disk, and `run.json` in it: written by rename, so that what is there can always be read."""

from __future__ import annotations

import contextlib
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
from faceorch.files import Held, Refused, clear, held, open_below, sha256_of_file, write_atomically
from faceorch.record.kinds import JobStatus
from faceorch.record.run import SCHEMA, Run, Video
from faceorch.record.schemas import published
from faceorch.record.upgrade import upgrade
from faceorch.untrusted import SENTENCE, text

FILE_NAME = "run.json"
RECORD_BYTES = 64 * 2**20  # a thousand repetitions take a tenth of it
_RUN = msgspec.json.Decoder(Run)
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
        try:
            with held(self.path):
                for folder in (self.path, self.inputs, *(self.job_folder(job.network) for job in self.run.jobs)):
                    if not folder.is_symlink():
                        clear(folder)  # of what a faceorch that was killed has half made
                yield
        except Held:
            raise RunFolderError(f"{self.path} is in use by another faceorch", "wait for it to end") from None

    def holds(self, video: Video) -> bool:
        """Return whether a video is still there as it was recorded."""
        try:
            with open_below(self.path, video.file, limit=video.bytes) as file:
                return sha256_of_file(file) == video.sha256
        except (Refused, OSError):
            return False

    def save(self) -> None:
        """Write run.json by rename; `InvalidRecord`, and nothing is written, when it could not be loaded again."""
        self.run.updated = now()
        try:
            text = msgspec.json.format(msgspec.json.encode(self.run), indent=2)
            _RUN.decode(text)  # ranges and lengths are checked here only
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
            with open_below(folder, FILE_NAME, limit=RECORD_BYTES) as opened:
                raw = json.loads(opened.read(RECORD_BYTES).decode("utf-8"))
        except Refused as error:
            raise RunFolderError(f"{folder} is not a run folder: {error}", _WHERE) from error
        except OSError as error:
            raise RunFolderError(f"{folder} is not a run folder: {error.strerror}: {FILE_NAME}", _WHERE) from error
        except (ValueError, RecursionError) as error:
            raise RunFolderError(f"{file} is not JSON: {text(str(error), SENTENCE)}", _WHERE) from error
        found = raw.get("schema") if isinstance(raw, dict) else None
        if found not in (1, SCHEMA):
            raise RunFolderError(
                f"{file} has schema {found!r}, this faceorch reads 1 to {SCHEMA}", "use the faceorch that wrote it"
            )
        try:
            run = msgspec.convert(upgrade(raw), Run)
            _check(run)
        except Exception as error:  # an upgrade stumbles over what was never a record in as many ways as there are
            raise RunFolderError(f"{file} is damaged: {text(str(error), SENTENCE)}", _WHERE) from error
        return cls(folder, run)


def _check(run: Run) -> None:
    """Raise `ValueError` for what a record's types allow and no faceorch writes."""
    names = [job.network for job in run.jobs]
    if not names or len(set(names)) < len(names):
        raise ValueError("its jobs are not one per network")
    for name in names:
        if not name.isprintable() or "/" in name or name in ("", ".", "..", "inputs"):
            raise ValueError(f"{name[:100]!r} is not the name of a network")
    for job in run.jobs:
        if job.status is JobStatus.DONE and job.video is None:
            raise ValueError(f"{job.network} is done and has no video")


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
