"""Closed sets of the record: the states of a run and of a job, and why a job failed or was skipped."""

from __future__ import annotations

from enum import Enum


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
    """Why a job failed or was skipped. The first eight come from the runner (docs/reference/runner-contract.md)."""

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
    NOT_BUILT = "not_built"
    NO_ENGINE = "no_engine"
    NO_GPU = "no_gpu"
    NO_PYTHON = "no_python"
    UNSUPPORTED_DRIVER = "unsupported_driver"
    NO_GPU_ACCESS = "no_gpu_access"
    TOO_LITTLE_MEMORY = "too_little_memory"
