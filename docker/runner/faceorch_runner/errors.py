"""The closed set of ways in which a job can fail, as the runner reports them."""

from __future__ import annotations

from enum import Enum


class ErrorKind(str, Enum):
    """Kinds carried by the `error` event."""

    BAD_INPUT = "bad_input"
    NO_FACE = "no_face"
    MISSING_WEIGHT = "missing_weight"
    GPU_OUT_OF_MEMORY = "gpu_out_of_memory"
    OUT_OF_MEMORY = "out_of_memory"
    UNSUPPORTED_GPU = "unsupported_gpu"
    TIMEOUT = "timeout"
    CRASH = "crash"


class RunnerError(Exception):
    """An expected failure: one line that says what was found and what is needed."""

    kind = ErrorKind.CRASH


class BadInput(RunnerError):
    """The portrait, the clip or a setting cannot be used by this network."""

    kind = ErrorKind.BAD_INPUT


class NoFace(RunnerError):
    """No usable face in the portrait."""

    kind = ErrorKind.NO_FACE


class MissingWeight(RunnerError):
    """A weight file is absent or unreadable."""

    kind = ErrorKind.MISSING_WEIGHT


class UnsupportedGpu(RunnerError):
    """The GPU cannot run this environment's kernels."""

    kind = ErrorKind.UNSUPPORTED_GPU


class JobFileError(RunnerError):
    """The job file does not follow the contract."""

    kind = ErrorKind.BAD_INPUT


# Sentences that the frameworks print, and what they mean. Class names changed between releases
# (torch.cuda.OutOfMemoryError became torch.OutOfMemoryError), the sentences did not.
_SENTENCES = (
    ("CUDA out of memory", ErrorKind.GPU_OUT_OF_MEMORY),
    ("CUDNN_STATUS_ALLOC_FAILED", ErrorKind.GPU_OUT_OF_MEMORY),
    ("CUBLAS_STATUS_ALLOC_FAILED", ErrorKind.GPU_OUT_OF_MEMORY),
    ("no kernel image is available for execution", ErrorKind.UNSUPPORTED_GPU),
    ("not enough memory: you tried to allocate", ErrorKind.OUT_OF_MEMORY),
    ("Cannot allocate memory", ErrorKind.OUT_OF_MEMORY),
)


def one_line(error: BaseException) -> str:
    """Return what an error says in one line; with the name of its kind, unless it was expected."""
    text = (str(error).strip() or type(error).__name__).splitlines()[0]
    return text if isinstance(error, RunnerError) else f"{type(error).__name__}: {text}"


def classify(error: BaseException) -> ErrorKind:
    """Return the kind of any exception that reached the runner."""
    if isinstance(error, RunnerError):
        return error.kind
    if isinstance(error, MemoryError):
        return ErrorKind.OUT_OF_MEMORY
    text = str(error)
    return next((kind for sentence, kind in _SENTENCES if sentence in text), ErrorKind.CRASH)
