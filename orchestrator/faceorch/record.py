"""The run folder and `run.json`: every fact of a run, written by rename as it becomes known.

`docs/run-folder.md` describes the folder, `docs/schema/run-1.json` is the JSON Schema that is generated from here.
"""

from __future__ import annotations

import json
import re
from datetime import datetime, timezone
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from faceorch.errors import RunFolderError
from faceorch.files import write_atomically

SCHEMA = 1
FILE_NAME = "run.json"
SCHEMA_ID = "urn:faceorch:run:1"


class RunStatus(str, Enum):
    """State of a whole run."""

    RUNNING = "running"
    DONE = "done"
    INTERRUPTED = "interrupted"


class JobStatus(str, Enum):
    """State of one job; a run that has ended holds only the last three."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"


class OutcomeKind(str, Enum):
    """Why a job failed or was skipped. The first eight come from the runner (docs/contract.md)."""

    BAD_INPUT = "bad_input"
    NO_FACE = "no_face"
    MISSING_WEIGHT = "missing_weight"
    GPU_OUT_OF_MEMORY = "gpu_out_of_memory"
    OUT_OF_MEMORY = "out_of_memory"
    UNSUPPORTED_GPU = "unsupported_gpu"
    TIMEOUT = "timeout"
    CRASH = "crash"
    BROKEN_VIDEO = "broken_video"
    KILLED = "killed"
    START_FAILED = "start_failed"
    DISK_FULL = "disk_full"
    INTERRUPTED = "interrupted"
    NOT_AVAILABLE = "not_available"
    NOT_SELECTED = "not_selected"
    NOT_BUILT = "not_built"
    NO_ENGINE = "no_engine"
    NO_GPU = "no_gpu"
    NO_PYTHON = "no_python"


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", use_enum_values=False, validate_assignment=True)


Bytes = Annotated[int, Field(ge=0)]
Seconds = Annotated[float, Field(ge=0)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Measured(_Model):
    """A number and how it was measured; `value` is null when it could not be, and `note` then says why."""

    value: float | None
    unit: str
    method: str = Field(description="wall_clock, runner, allocator, getrusage, per_process, device_delta, unavailable")
    note: str = ""


class PortraitRecord(_Model):
    """The normalised portrait that every network saw."""

    file: str = Field(description="path relative to the run folder")
    source: str = Field(description="path as the user gave it")
    source_sha256: Sha256
    sha256: Sha256 = Field(description="of the normalised file")
    width: int = Field(gt=0, description="pixels")
    height: int = Field(gt=0, description="pixels")
    notes: list[str] = []


class ClipRecord(_Model):
    """The normalised clip that every network heard."""

    file: str
    source: str
    source_sha256: Sha256
    sha256: Sha256 = Field(description="of the samples (16-bit little-endian PCM), not of the file")
    duration_s: Seconds
    sample_rate_hz: int = Field(gt=0)
    notes: list[str] = []


class Inputs(_Model):
    """What went in."""

    portrait: PortraitRecord
    clip: ClipRecord


class Gpu(_Model):
    """One GPU of the host."""

    index: int
    uuid: str
    name: str
    memory_bytes: Bytes
    compute_capability: str


class Engine(_Model):
    """The container engine."""

    name: str
    version: str
    api: str


class Host(_Model):
    """The machine that ran the jobs."""

    os: str
    kernel: str
    cpu: str
    cores: int
    memory_bytes: Bytes
    python: str
    driver: str | None = None
    gpus: list[Gpu] = []
    engine: Engine | None = None


class Options(_Model):
    """What the user asked for, in full: enough to do it again."""

    networks: list[str] = Field(description="named networks; empty: every one that can run")
    runtime: Literal["auto", "docker", "venv"]
    gpus: str
    seed: int
    timeout_s: Seconds | None
    settings: dict[str, dict[str, Any]] = Field(default={}, description="network -> setting -> value, as given")
    pythons: dict[str, str] = Field(default={}, description="--python NETWORK=PATH")
    images: dict[str, str] = Field(default={}, description="--use-image NETWORK=REF")


class Environment(_Model):
    """What the runner ran in."""

    runtime: Literal["docker", "venv"]
    identity: str = Field(description="image id or hash of the lock; for a given environment its path or reference")
    name: str = Field(description="image tag or folder")
    given: bool = Field(default=False, description="true: brought by the user, not built by faceorch")
    base: str | None = None
    python: str | None = None
    note: str = ""


class Upstream(_Model):
    """Code of others that the environment holds."""

    url: str
    commit: str
    licence: str


class Times(_Model):
    """Where the wall-clock time of one job went, in seconds; null where it was not reached.

    `start_s` from the request to the runner's first word, `import_s` loading code, `check_s` looking at the inputs,
    `setup_s` loading models, `animate_s` everything from the job's begin to its finished file, of which `encode_s` was
    spent waiting for the encoder; `stop_s` from the runner's last word to a clean end; `total_s` all of it.
    """

    prepare_s: Seconds | None = Field(default=None, description="building the environment, first time only")
    start_s: Seconds | None = None
    import_s: Seconds | None = None
    check_s: Seconds | None = None
    setup_s: Seconds | None = None
    animate_s: Seconds | None = None
    first_frame_s: Seconds | None = Field(default=None, description="from the job's begin to its first frame")
    encode_s: Seconds | None = None
    stop_s: Seconds | None = None
    total_s: Seconds | None = None
    stages: dict[str, Seconds] = Field(default={}, description="the network's own stages within animate_s")


class Video(_Model):
    """A finished video, probed by the host."""

    file: str
    width: int
    height: int
    fps: float
    frames: int
    duration_s: Seconds
    codec: str
    pixel_format: str
    audio_codec: str | None
    bytes: Bytes
    sha256: Sha256


class Job(_Model):
    """One network's part of the run."""

    network: str
    title: str
    status: JobStatus
    kind: OutcomeKind | None = Field(default=None, description="why it failed or was skipped")
    reason: str | None = Field(default=None, description="one line; present when failed or skipped")
    remedy: str | None = Field(default=None, description="one line; present when failed or skipped")
    seed: int = 0
    settings: dict[str, Any] = Field(default={}, description="every setting with its value")
    environment: Environment | None = None
    upstream: list[Upstream] = []
    attempt: int = 0
    started: datetime | None = None
    finished: datetime | None = None
    exit_code: int | None = None
    times: Times = Times()
    compute_s_per_video_s: float | None = Field(default=None, description="animate_s / duration of the video")
    metrics: dict[str, Measured] = {}
    video: Video | None = None
    notes: list[str] = []
    log: str | None = Field(default=None, description="path relative to the run folder")
    log_tail: list[str] = Field(default=[], description="last lines of the log of a failed job")


class Run(_Model):
    """One `faceorch run`: the content of run.json."""

    schema_: Literal[1] = Field(default=1, alias="schema")
    faceorch: str = Field(description="version")
    id: str
    status: RunStatus
    created: datetime
    updated: datetime
    command: list[str] = Field(default=[], description="the command line that started it")
    options: Options
    host: Host
    inputs: Inputs
    jobs: list[Job]

    model_config = ConfigDict(extra="forbid", validate_assignment=True, populate_by_name=True)

    def job(self, network: str) -> Job:
        """Return the job of `network`."""
        return next(job for job in self.jobs if job.network == network)


def now() -> datetime:
    """Return the current time in UTC."""
    return datetime.now(timezone.utc)


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

    def save(self) -> None:
        """Write run.json by rename."""
        self.run.updated = now()
        text = self.run.model_dump_json(indent=2, by_alias=True)
        write_atomically(self.path / FILE_NAME, text.encode() + b"\n")

    @classmethod
    def load(cls, path: Path) -> RunFolder:
        """Open an existing run folder (or its run.json); `RunFolderError` when it holds no readable run."""
        folder = path.parent if path.name == FILE_NAME else path
        file = folder / FILE_NAME
        try:
            raw = json.loads(file.read_text("utf-8"))
        except OSError as error:
            raise RunFolderError(f"{folder} is no run folder: {error.strerror}: {FILE_NAME}", _WHERE) from error
        except ValueError as error:
            raise RunFolderError(f"{file} is not JSON: {error}", _WHERE) from error
        found = raw.get("schema") if isinstance(raw, dict) else None
        if found != SCHEMA:
            raise RunFolderError(
                f"{file} has schema {found!r}, this faceorch reads {SCHEMA}", "use the faceorch that wrote it"
            )
        try:
            return cls(folder, Run.model_validate(raw))
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            raise RunFolderError(f"{file} is damaged: {place}: {first['msg']}", _WHERE) from error


_WHERE = "name a folder that `faceorch run` made, such as results/20260131-120000-face-clip"


def new_run_id(portrait: Path, clip: Path, when: datetime) -> str:
    """Return a folder name that sorts by time and can be recognised: `<time>-<slug>`."""
    slug = re.sub(r"[^a-z0-9]+", "-", f"{portrait.stem}-{clip.stem}".lower()).strip("-")[:40].strip("-")
    return f"{when.astimezone():%Y%m%d-%H%M%S}-{slug or 'run'}"


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of run.json."""
    schema = Run.model_json_schema(by_alias=True, mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": SCHEMA_ID, **schema}
