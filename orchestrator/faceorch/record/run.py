"""The record: every fact of a run, the content of `run.json`.

docs/reference/run-json.md describes it; docs/reference/schema/run-2.json is the JSON Schema generated from here.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, field

from faceorch.record.claims import Claims
from faceorch.record.judgement import Box, Judge, Judgement
from faceorch.record.kinds import JobStatus, RunStatus
from faceorch.record.reason import Reason
from faceorch.record.request import REFERENCE, Request

SCHEMA = 2


class _Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One object of run.json."""


Bytes = Annotated[int, Meta(ge=0)]
Seconds = Annotated[float, Meta(ge=0)]
Sha256 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


class Measured(_Record, frozen=True):
    """A number and how it was measured; `value` is null when it could not be, and `note` then says why."""

    value: float | None
    unit: str
    method: Annotated[
        str,
        Meta(
            description="wall_clock, runner, allocator, getrusage, per_process, device_delta, device, energy_counter, "
            "power_integral, docker_stats, cgroup, process_tree, proc_stat, psi, unavailable "
            "(docs/reference/measurements.md)"
        ),
    ]
    note: str = ""


class Sampled(_Record, frozen=True):
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


class PortraitRecord(_Record, frozen=True):
    """The normalised portrait that every network saw."""

    file: Annotated[str, Meta(description="path relative to the run folder")]
    source: Annotated[str, Meta(description="path as the user gave it")]
    source_sha256: Sha256
    sha256: Annotated[Sha256, Meta(description="of the normalised file")]
    width: Annotated[int, Meta(gt=0, description="pixels")]
    height: Annotated[int, Meta(gt=0, description="pixels")]
    notes: list[str] = []


class ClipRecord(_Record, frozen=True):
    """The normalised clip that every network heard."""

    file: str
    source: str
    source_sha256: Sha256
    sha256: Annotated[Sha256, Meta(description="of the samples (16-bit little-endian PCM), not of the file")]
    duration_s: Seconds
    sample_rate_hz: Annotated[int, Meta(gt=0)]
    notes: list[str] = []


class Inputs(_Record, frozen=True):
    """What went in."""

    portrait: PortraitRecord
    clip: ClipRecord


class Gpu(_Record, frozen=True):
    """One GPU of the host."""

    index: int
    uuid: str
    name: str
    memory_bytes: Bytes
    compute_capability: str


class Engine(_Record, frozen=True):
    """The container engine."""

    name: str
    version: str
    api: str


class Host(_Record, frozen=True):
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


class ForeignProcess(_Record, frozen=True):
    """A process on a job's GPU that was not the job's."""

    pid: int
    memory_bytes: Bytes | None
    before: Annotated[bool, Meta(description="it was there before the job began")]


class GpuUse(_Record, frozen=True):
    """What a job did on one GPU."""

    uuid: str
    index: int
    name: str
    exclusive: Annotated[bool | None, Meta(description="nobody else used it meanwhile; null: nobody can tell")]
    vram_peak_bytes: Measured
    energy_wh: Measured
    note: Annotated[str, Meta(description="why it was not exclusive, or why nobody can tell")] = ""
    foreign: list[ForeignProcess] = []
    sampled: dict[str, Sampled] = {}
    throttled: Annotated[dict[str, float], Meta(description="reason -> share of the samples of animate, 0 to 1")] = {}


class Environment(_Record, frozen=True):
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


class Upstream(_Record, frozen=True):
    """Code of others that the environment holds."""

    url: str
    commit: str
    licence: str


class WeightFile(_Record, frozen=True):
    """One weight file that a job used, verified."""

    path: Annotated[str, Meta(description="below the network's weights folder")]
    bytes: Bytes
    sha256: Sha256
    licence: str
    commercial: Annotated[bool | None, Meta(description="does the licence allow commercial use? null: unclear")]


class AppliedPatch(_Record, frozen=True):
    """A change that the image makes to upstream's code."""

    name: str
    file: Annotated[str, Meta(description="path below the folder of the checkouts")]
    reason: str


class Parity(_Record, frozen=True):
    """How far a network's frames are those of the code that its authors published, as its folder states it."""

    device: str
    frames: Annotated[int, Meta(ge=0, description="that were compared")]
    equal: Annotated[int, Meta(ge=0, description="of them, byte for byte")]
    worst: Annotated[float, Meta(ge=0, description="largest difference of a byte, of 255")]
    weights: Annotated[str, Meta(description="which weights both sides had")] = ""
    differences: Annotated[list[str], Meta(description="what is different on purpose")] = []


class About(_Record, frozen=True):
    """What a network's folder says of it, when the run was planned."""

    approach: str
    licence: Annotated[str, Meta(description="of code and weights together, in words")]
    homepage: str | None = None
    paper: str | None = None
    head_motion: Annotated[str | None, Meta(description="declared, not measured")] = None
    eye_blinks: Annotated[str | None, Meta(description="declared, not measured")] = None
    parity: Parity | None = None


class Times(_Record, frozen=True):
    """Where the wall-clock time of one job went, in seconds; null where it was not reached.

    `start_s` from the request to the runner's first word, `import_s` loading code, `check_s` looking at the inputs,
    `setup_s` loading models, `animate_s` everything from the job's begin to its finished file, of which `encode_s` was
    spent waiting for the encoder; `stop_s` from the runner's last word to a clean end; `total_s` all of it, but with
    --repeat one repetition alone, without what was done once before all of them (`prepare_s`, `synthetic_s`).
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


class Video(_Record, frozen=True):
    """A finished video, probed by the host; where the face is was told by the network that made it."""

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
    marks: Annotated[list[str], Meta(description="what in the file says that it was made by AI")] = []
    boxes: Annotated[dict[str, Box], Meta(description="face, eyes, mouth: where they are in its first frame")] = {}
    portrait_boxes: Annotated[dict[str, Box], Meta(description="and where the network found them in the portrait")] = {}


class Repetition(_Record, frozen=True):
    """One of several times that a job was done from beginning to end."""

    number: Annotated[int, Meta(ge=1, description="among the warm-ups, or among those that count")]
    warmup: bool
    started: datetime
    times: Times
    video_sha256: Sha256
    compute_s_per_video_s: float | None = None
    metrics: dict[str, Measured] = {}
    sampled: dict[str, Sampled] = {}
    gpus: list[GpuUse] = []
    notes: list[str] = []


class Spread(_Record, frozen=True):
    """One figure over the repetitions that count."""

    unit: str
    count: Annotated[int, Meta(ge=1)]
    min: float
    median: float
    max: float
    spread: Annotated[float | None, Meta(description="(max - min) / median; null when the median is 0")] = None
    outliers: Annotated[list[int], Meta(description="numbers of the repetitions that lie apart")] = []


class Judging(_Record, frozen=True):
    """How the videos of a run were judged, after the last of them was made."""

    environment: Environment | None = None
    self_check: Annotated[str, Meta(description="what the judge's check of itself found, in one line")] = ""
    reason: Annotated[Reason | None, Meta(description="why there is no judgement; null when there is")] = None
    notes: list[str] = []


class Job(_Record, frozen=True):
    """One network's part of the run.

    Of several repetitions, `times`, `metrics`, `sampled` and `gpus` are those of one: the one nearest to the median.
    """

    network: str
    title: str
    status: JobStatus
    reason: Annotated[Reason | None, Meta(description="why it failed or was skipped; null otherwise")] = None
    seed: int = 0
    settings: Annotated[dict[str, Any], Meta(description="every setting with its value")] = {}
    about: Annotated[About | None, Meta(description="null in records before there was this")] = None
    environment: Environment | None = None
    upstream: list[Upstream] = []
    weights: list[WeightFile] = []
    patches: list[AppliedPatch] = []
    caveats: Annotated[
        list[str], Meta(description="what the settings mean for the video, as the network's manifest says")
    ] = []
    claims: Annotated[Claims | None, Meta(description="what is published of its motion")] = None
    source: Annotated[
        str | None, Meta(description="of a video made elsewhere: its path as given; null: it was made here")
    ] = None
    resumed: Annotated[int, Meta(ge=0, description="how often it was taken up again")] = 0
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
    judgement: Annotated[Judgement | None, Meta(description="what the judge found in its video")] = None
    log: Annotated[str | None, Meta(description="path relative to the run folder")] = None
    log_tail: Annotated[list[str], Meta(description="last lines of the log of a failed job")] = []


class Run(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One `faceorch run`: the content of run.json."""

    schema: Literal[2] = 2
    faceorch: Annotated[str, Meta(description="version")]
    id: str
    status: RunStatus
    created: datetime
    updated: datetime
    request: Request
    host: Host
    inputs: Inputs
    jobs: list[Job]
    judging: Annotated[Judging | None, Meta(description="null: nobody was asked to judge")] = None

    @property
    def synthetic(self) -> bool:
        """Whether it was made with stand-in weights, by `faceorch smoke`."""
        return self.request.stand_in is not None

    @property
    def reference(self) -> Job | None:
        """The job that holds the real footage; None when there is none."""
        if self.request.reference is None:
            return None
        return next((job for job in self.jobs if job.network == REFERENCE), None)

    @property
    def judges(self) -> list[Judge]:
        """The different judges whose findings it holds: those of two are not compared."""
        found: list[Judge] = []
        for job in self.jobs:
            if job.judgement is not None and job.judgement.judge not in found:
                found.append(job.judgement.judge)
        return found

    def job(self, network: str) -> Job:
        """Return the job of `network`."""
        return next(job for job in self.jobs if job.network == network)

    def put(self, job: Job) -> None:
        """Put `job` in the place of what was known of its network's job before."""
        self.jobs = [job if known.network == job.network else known for known in self.jobs]
