"""The job file: what the host asks of a runner."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from .errors import JobFileError
from .video import THREADS, VideoWriter

SCHEMA = 1
_JOB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
LONGEST_S = 366 * 24 * 3600.0  # a year: what a timer takes


class Feed(str, Enum):
    """Where further jobs come from."""

    NONE = "none"
    STDIN = "stdin"


@dataclass(frozen=True)
class Job:
    """One portrait and one clip to animate.

    `portrait` is an 8-bit RGB PNG with orientation and transparency resolved, `audio` a mono 16-bit PCM WAV at the
    clip's own rate, `settings` has every default filled in, `work` is a scratch folder that is deleted afterwards.
    A `synthetic` job runs with stand-in weights, and its video says so. `label`: its video gets a visible one. `found`
    is what the network's `check` returned.
    """

    id: str
    portrait: Path
    audio: Path
    seed: int
    settings: Mapping[str, Any]
    work: Path
    timeout_s: float | None = None
    synthetic: bool = False
    label: bool = False
    found: Any = field(default=None, repr=False, compare=False)
    writers: list[VideoWriter] = field(default_factory=list, repr=False, compare=False)

    def to_json(self) -> dict[str, Any]:
        """Return the job as an entry of `jobs`, or as a line on stdin."""
        return {
            "id": self.id,
            "portrait": str(self.portrait),
            "audio": str(self.audio),
            "seed": self.seed,
            "settings": dict(self.settings),
            "timeout_s": self.timeout_s,
            **({"synthetic": True} if self.synthetic else {}),
            **({"label": True} if self.label else {}),
        }

    def video(self, width: int, height: int, fps: float, *, threads: int = THREADS) -> VideoWriter:
        """Return a writer of H.264 yuv420p with this job's audio; use it as a context manager.

        `width` and `height` are in pixels and even, `fps` in frames per second. Other encoder `threads` make another
        file, so they must not depend on the host.
        """
        marks = {"synthetic": self.synthetic, "label": self.label}
        writer = VideoWriter(self.work / "video.mp4", self.audio, width, height, fps, threads=threads, **marks)
        self.writers.append(writer)
        return writer


@dataclass(frozen=True)
class JobFile:
    """What `python -m faceorch_runner FILE` reads. All paths are those of the runner's own file system."""

    network: str
    code: Path
    weights: Path | None
    out: Path
    device: str
    feed: Feed
    jobs: tuple[Job, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the content of the job file."""
        return {
            "schema": SCHEMA,
            "network": self.network,
            "code": str(self.code),
            "weights": None if self.weights is None else str(self.weights),
            "out": str(self.out),
            "device": self.device,
            "feed": self.feed.value,
            "jobs": [job.to_json() for job in self.jobs],
        }

    @classmethod
    def from_json(cls, raw: object) -> JobFile:
        """Return the job file that `raw` describes; `JobFileError` when it is none."""
        fields, feed = job_file_fields(raw)
        out = Path(take(fields, "out", str))
        weights = take(fields, "weights", (str, type(None)))
        file = cls(
            network=take(fields, "network", str),
            code=Path(take(fields, "code", str)),
            weights=None if weights is None else Path(weights),
            out=out,
            device=take(fields, "device", str),
            feed=feed,
            jobs=tuple(job_from_json(entry, out) for entry in take(fields, "jobs", list)),
        )
        nothing_left(fields, "the job file")
        ids = [job.id for job in file.jobs]
        if len(ids) != len(set(ids)):
            raise JobFileError("two jobs have the same id")
        return file


def read_json(path: Path) -> object:
    """Return the content of a JSON file; `JobFileError` when it is none."""
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise JobFileError(f"{path}: {error}") from error


def job_from_json(raw: object, out: Path) -> Job:
    """Return the job that one entry of `jobs`, or one line on stdin, describes."""
    fields = json_object(raw, "a job")
    job_id = plain_id(take(fields, "id", str))
    timeout_s = fields.pop("timeout_s", None)
    number = isinstance(timeout_s, (int, float)) and not isinstance(timeout_s, bool)
    if timeout_s is not None and not (number and 0 < timeout_s <= LONGEST_S):
        raise JobFileError(f"'timeout_s' is not a number of seconds above 0, and {LONGEST_S:.0f} at most")
    synthetic, label = (fields.pop(name, False) is True for name in ("synthetic", "label"))
    job = Job(
        id=job_id,
        portrait=Path(take(fields, "portrait", str)),
        audio=Path(take(fields, "audio", str)),
        seed=take(fields, "seed", int),
        settings=take(fields, "settings", dict),
        work=out / f".{job_id}.part",
        timeout_s=None if timeout_s is None else float(timeout_s),
        synthetic=synthetic,
        label=label,
    )
    nothing_left(fields, f"job {job_id!r}")
    return job


def plain_id(name: str) -> str:
    """Return an id that can be the stem of a file's name; `JobFileError` when it cannot."""
    if not _JOB_ID.fullmatch(name):
        raise JobFileError(f"job id {name!r} is not a plain file name")
    return name


def job_file_fields(raw: object) -> tuple[dict[str, Any], Feed]:
    """Return the fields of a job file of this schema, without `schema` and `feed`, and its feed; or `JobFileError`."""
    fields = json_object(raw, "the job file")
    schema = fields.pop("schema", None)
    if schema != SCHEMA:
        raise JobFileError(f"the job file has schema {schema!r}, this runner reads schema {SCHEMA}")
    feed = take(fields, "feed", str)
    if feed not in {f.value for f in Feed}:
        raise JobFileError(f"'feed' is {feed!r}, 'none' or 'stdin' needed")
    return fields, Feed(feed)


def json_object(raw: object, what: str) -> dict[str, Any]:
    """Return the fields of a JSON object; `JobFileError` when `raw` is something else."""
    if not isinstance(raw, dict):
        raise JobFileError(f"{what} is not a JSON object")
    return dict(raw)


def take(fields: dict[str, Any], key: str, kind: type | tuple[type, ...]) -> Any:
    """Remove a field and return its value; `JobFileError` when it is missing or of another type."""
    if key not in fields:
        raise JobFileError(f"'{key}' is missing")
    value = fields.pop(key)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is int):
        raise JobFileError(f"'{key}' is {type(value).__name__}")
    return value


def nothing_left(fields: dict[str, Any], what: str) -> None:
    """Raise `JobFileError` when fields are left that nobody has taken."""
    if fields:
        raise JobFileError(f"{what} has unknown keys: {', '.join(sorted(fields))}")
