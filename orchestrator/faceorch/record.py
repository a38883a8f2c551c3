"""The run folder and `run.json`: every fact of a run, written by rename as it becomes known.

`docs/run-folder.md` describes the folder, `docs/schema/run-1.json` is the JSON Schema that is generated from here.
"""

from __future__ import annotations

import json
import os
import re
import shlex
from datetime import datetime, timezone
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, field

from faceorch.errors import RunFolderError
from faceorch.files import sha256_of, write_atomically
from faceorch.schemas import published

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
    UNSUPPORTED_DRIVER = "unsupported_driver"
    NO_GPU_ACCESS = "no_gpu_access"
    TOO_LITTLE_MEMORY = "too_little_memory"


class _Record(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One object of run.json."""


Bytes = Annotated[int, Meta(ge=0)]
Seconds = Annotated[float, Meta(ge=0)]
Price = Annotated[float, Meta(ge=0)]
Sha256 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


class Measured(_Record):
    """A number and how it was measured; `value` is null when it could not be, and `note` then says why."""

    value: float | None
    unit: str
    method: Annotated[
        str,
        Meta(
            description="wall_clock, runner, allocator, getrusage, per_process, device_delta, device, energy_counter, "
            "power_integral, docker_stats, cgroup, process_tree, unavailable (docs/measuring.md)"
        ),
    ]
    note: str = ""


class Sampled(_Record, kw_only=True):
    """How a quantity was spread over a job's time; every number is null when it could not be measured."""

    unit: str
    method: Annotated[str, Meta(description="as of a measured number")]
    note: str = ""
    samples: Annotated[int, Meta(ge=0)] = 0
    min: float | None = None
    mean: float | None = None
    p50: float | None = None
    p95: float | None = None
    max: float | None = None
    animate_mean: Annotated[float | None, Meta(description="mean from the job's begin to its finished file")] = None


class PortraitRecord(_Record):
    """The normalised portrait that every network saw."""

    file: Annotated[str, Meta(description="path relative to the run folder")]
    source: Annotated[str, Meta(description="path as the user gave it")]
    source_sha256: Sha256
    sha256: Annotated[Sha256, Meta(description="of the normalised file")]
    width: Annotated[int, Meta(gt=0, description="pixels")]
    height: Annotated[int, Meta(gt=0, description="pixels")]
    notes: list[str] = []


class ClipRecord(_Record):
    """The normalised clip that every network heard."""

    file: str
    source: str
    source_sha256: Sha256
    sha256: Annotated[Sha256, Meta(description="of the samples (16-bit little-endian PCM), not of the file")]
    duration_s: Seconds
    sample_rate_hz: Annotated[int, Meta(gt=0)]
    notes: list[str] = []


class Inputs(_Record):
    """What went in."""

    portrait: PortraitRecord
    clip: ClipRecord


class Gpu(_Record):
    """One GPU of the host."""

    index: int
    uuid: str
    name: str
    memory_bytes: Bytes
    compute_capability: str


class Engine(_Record):
    """The container engine."""

    name: str
    version: str
    api: str


class Host(_Record):
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


class ForeignProcess(_Record, kw_only=True):
    """A process on a job's GPU that was not the job's."""

    pid: int
    memory_bytes: Bytes | None
    before: Annotated[bool, Meta(description="it was there before the job began")]


class GpuUse(_Record, kw_only=True):
    """What a job did on one GPU."""

    uuid: str
    index: int
    name: str
    exclusive: Annotated[bool | None, Meta(description="nobody else used it meanwhile; null: nobody can tell")]
    note: Annotated[str, Meta(description="why it was not exclusive, or why nobody can tell")] = ""
    foreign: list[ForeignProcess] = []
    vram_peak_bytes: Measured
    energy_wh: Measured
    sampled: dict[str, Sampled] = {}
    throttled: Annotated[dict[str, float], Meta(description="reason -> share of the samples of animate, 0 to 1")] = {}


class Options(_Record):
    """What the user asked for, in full: enough to do it again."""

    networks: Annotated[list[str], Meta(description="named networks; empty: every one that can run")]
    runtime: Literal["auto", "docker", "venv"]
    gpus: str
    seed: int
    timeout_s: Seconds | None
    base: Annotated[str | None, Meta(description="--base; null: the first of a network's own that covers the GPUs")] = (
        None
    )
    settings: Annotated[dict[str, dict[str, Any]], Meta(description="network -> setting -> value, as given")] = {}
    pythons: Annotated[dict[str, str], Meta(description="--python NETWORK=PATH")] = {}
    images: Annotated[dict[str, str], Meta(description="--use-image NETWORK=REF")] = {}
    repeat: Annotated[int, Meta(ge=1, description="repetitions that count")] = 1
    warmup: Annotated[int, Meta(ge=0, description="repetitions before them that do not count")] = 0
    price_per_kwh: Price | None = None
    price_per_gpu_hour: Price | None = None
    currency: Annotated[str, Meta(description="of the prices, as given")] = ""
    timeline: Literal["parquet", "csv"] = "parquet"
    weights: Annotated[str | None, Meta(description="--weights DIR")] = None


class Environment(_Record):
    """What the runner ran in."""

    runtime: Literal["docker", "venv"]
    identity: Annotated[
        str, Meta(description="image id or hash of the lock; for a given environment its path or reference")
    ]
    name: Annotated[str, Meta(description="image tag or folder")]
    given: Annotated[bool, Meta(description="true: brought by the user, not built by faceorch")] = False
    base: str | None = None
    builder: Annotated[str | None, Meta(description="what built the image: buildx or classic")] = None
    python: str | None = None
    note: str = ""


class Upstream(_Record):
    """Code of others that the environment holds."""

    url: str
    commit: str
    licence: str


class WeightFile(_Record):
    """One weight file that a job used, verified."""

    path: Annotated[str, Meta(description="below the network's weights folder")]
    bytes: Bytes
    sha256: Sha256
    licence: str
    commercial: Annotated[bool | None, Meta(description="does the licence allow commercial use? null: unclear")]


class AppliedPatch(_Record):
    """A change that the image makes to upstream's code."""

    name: str
    file: Annotated[str, Meta(description="path below the folder of the checkouts")]
    reason: str


class Times(_Record):
    """Where the wall-clock time of one job went, in seconds; null where it was not reached.

    `start_s` from the request to the runner's first word, `import_s` loading code, `check_s` looking at the inputs,
    `setup_s` loading models, `animate_s` everything from the job's begin to its finished file, of which `encode_s` was
    spent waiting for the encoder; `stop_s` from the runner's last word to a clean end; `total_s` all of it.
    """

    prepare_s: Annotated[Seconds | None, Meta(description="building the environment, first time only")] = None
    synthetic_s: Annotated[Seconds | None, Meta(description="making stand-in weights, in smoke runs only")] = None
    start_s: Seconds | None = None
    import_s: Seconds | None = None
    check_s: Seconds | None = None
    setup_s: Seconds | None = None
    animate_s: Seconds | None = None
    first_frame_s: Annotated[Seconds | None, Meta(description="from the job's begin to its first frame")] = None
    encode_s: Seconds | None = None
    stop_s: Seconds | None = None
    total_s: Seconds | None = None
    stages: Annotated[dict[str, Seconds], Meta(description="the network's own stages within animate_s")] = {}


class Video(_Record):
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


class Repetition(_Record, kw_only=True):
    """One of several times that a job was done from beginning to end."""

    number: Annotated[int, Meta(ge=1, description="among the warm-ups, or among those that count")]
    warmup: bool
    started: datetime
    times: Times
    compute_s_per_video_s: float | None = None
    metrics: dict[str, Measured] = {}
    sampled: dict[str, Sampled] = {}
    gpus: list[GpuUse] = []
    video_sha256: Sha256
    notes: list[str] = []


class Spread(_Record, kw_only=True):
    """One figure over the repetitions that count."""

    unit: str
    count: Annotated[int, Meta(ge=1)]
    min: float
    median: float
    max: float
    spread: Annotated[float | None, Meta(description="(max - min) / median; null when the median is 0")] = None
    outliers: Annotated[list[int], Meta(description="numbers of the repetitions that lie apart")] = []


class Job(_Record):
    """One network's part of the run.

    Of several repetitions, `times`, `metrics`, `sampled` and `gpus` are those of one: the one nearest to the median.
    """

    network: str
    title: str
    status: JobStatus
    kind: Annotated[OutcomeKind | None, Meta(description="why it failed or was skipped")] = None
    reason: Annotated[str | None, Meta(description="one line; present when failed or skipped")] = None
    remedy: Annotated[str | None, Meta(description="one line; present when failed or skipped")] = None
    seed: int = 0
    settings: Annotated[dict[str, Any], Meta(description="every setting with its value")] = {}
    environment: Environment | None = None
    upstream: list[Upstream] = []
    weights: list[WeightFile] = []
    patches: list[AppliedPatch] = []
    caveats: Annotated[
        list[str], Meta(description="what the settings mean for the video, as the network's manifest says")
    ] = []
    attempt: int = 0
    started: datetime | None = None
    finished: datetime | None = None
    exit_code: int | None = None
    times: Times = field(default_factory=Times)
    compute_s_per_video_s: Annotated[float | None, Meta(description="animate_s / duration of the video")] = None
    metrics: dict[str, Measured] = {}
    sampled: Annotated[dict[str, Sampled], Meta(description="the container's or the processes' use of the host")] = {}
    gpus: list[GpuUse] = []
    timeline: Annotated[str | None, Meta(description="every sample; path relative to the run folder")] = None
    repetitions: Annotated[list[Repetition], Meta(description="empty when the job was done once")] = []
    repetition: Annotated[int | None, Meta(description="the one that the figures above are of")] = None
    spreads: dict[str, Spread] = {}
    video: Video | None = None
    notes: list[str] = []
    log: Annotated[str | None, Meta(description="path relative to the run folder")] = None
    log_tail: Annotated[list[str], Meta(description="last lines of the log of a failed job")] = []


class Run(_Record, kw_only=True):
    """One `faceorch run`: the content of run.json."""

    schema: Literal[1] = 1
    faceorch: Annotated[str, Meta(description="version")]
    id: str
    status: RunStatus
    created: datetime
    updated: datetime
    command: Annotated[list[str], Meta(description="the command line that started it")] = []
    synthetic: Annotated[
        Literal["tiny", "full"] | None,
        Meta(description="made by `faceorch smoke` with stand-in weights of these dimensions; null for real weights"),
    ] = None
    options: Options
    host: Host
    inputs: Inputs
    jobs: list[Job]

    def job(self, network: str) -> Job:
        """Return the job of `network`."""
        return next(job for job in self.jobs if job.network == network)


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

    def holds(self, video: Video) -> bool:
        """Say whether a video is still there as it was recorded."""
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
        if found != SCHEMA:
            raise RunFolderError(
                f"{file} has schema {found!r}, this faceorch reads {SCHEMA}", "use the faceorch that wrote it"
            )
        try:
            return cls(folder, msgspec.convert(raw, Run))
        except msgspec.ValidationError as error:
            raise RunFolderError(f"{file} is damaged: {error}", _WHERE) from error


_WHERE = "name a folder that `faceorch run` made, such as results/20260131-120000-face-clip"


def resume_command(folder: Path) -> str:
    """Return the command that finishes a run, for a shell in any folder."""
    return shlex.join(["faceorch", "run", "--resume", os.fspath(folder.absolute())])


def new_run_id(portrait: Path, clip: Path, when: datetime) -> str:
    """Return a folder name that sorts by time and can be recognised: `<time>-<slug>`."""
    slug = re.sub(r"[^a-z0-9]+", "-", f"{portrait.stem}-{clip.stem}".lower()).strip("-")[:40].strip("-")
    return f"{when.astimezone():%Y%m%d-%H%M%S}-{slug or 'run'}"


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of run.json."""
    return published(Run, SCHEMA_ID)
