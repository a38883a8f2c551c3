"""What the end of a runner means: a reason with a remedy. Pure."""

from __future__ import annotations

import signal

from faceorch.networks.discover import Network
from faceorch.record.kinds import OutcomeKind
from faceorch.record.reason import Reason
from faceorch.runs.transcript import RunnerError
from faceorch.runtimes import Exit
from faceorch_runner import ErrorKind


def explain_error(error: RunnerError, network: Network) -> Reason:
    """Return the reason that a runner's error event means."""
    if "No space left on device" in error.message:
        remedy = "free some space, or choose another --out"
        return Reason(kind=OutcomeKind.DISK_FULL, found=error.message, remedy=remedy)
    return Reason(kind=OutcomeKind(error.kind.value), found=error.message, remedy=_remedy(error.kind, network))


def _remedy(kind: ErrorKind, network: Network) -> str:
    name = network.name
    match kind:
        case ErrorKind.BAD_INPUT:
            return f"see what it takes: faceorch networks {name}"
        case ErrorKind.NO_FACE:
            return "use a portrait with one clear face that looks at the camera"
        case ErrorKind.MISSING_WEIGHT:
            return f"get its weights: faceorch weights pull {name}"
        case ErrorKind.GPU_OUT_OF_MEMORY:
            return "end other programs on the GPU, or choose a smaller size"
        case ErrorKind.OUT_OF_MEMORY:
            return "end other programs, or use a shorter clip or a smaller portrait"
        case ErrorKind.UNSUPPORTED_GPU:
            return f"build it for this GPU: faceorch build {name}"
        case ErrorKind.TIMEOUT:
            return "give it longer with --timeout, or choose cheaper settings"
        case ErrorKind.CRASH:
            return "see its log"


def explain_timeout(limit_s: float, stage: str) -> Reason:
    """Return the reason of a runner that was ended because its time was over."""
    return Reason(
        kind=OutcomeKind.TIMEOUT,
        found=f"not finished after {limit_s:g} s (in stage '{stage or 'start'}')",
        remedy="give it longer with --timeout, or choose cheaper settings",
    )


def explain_exit(exit_: Exit, network: Network, *, in_container: bool) -> Reason:
    """Return the reason of a runner that ended without a word."""
    if exit_.oom_killed:
        limit = f"{network.manifest.needs.ram_gb:g} GB"
        return Reason(
            kind=OutcomeKind.OUT_OF_MEMORY,
            found=f"it used more memory than its limit of {limit} and was killed",
            remedy="use a shorter clip or a smaller portrait",
        )
    if exit_.signal == signal.SIGKILL:
        return Reason(
            kind=OutcomeKind.KILLED,
            found="it was killed (signal 9), by someone or by the system for want of memory",
            remedy="see the system's log (dmesg); end other programs",
        )
    if exit_.signal is not None:
        return _crash(f"it crashed in native code ({_signal_name(exit_.signal)})")
    if exit_.code == 0:
        return _crash("it ended before it was done and without saying why")
    if in_container and exit_.code in (126, 127):
        return Reason(
            kind=OutcomeKind.START_FAILED,
            found=f"its image cannot be started (exit code {exit_.code})",
            remedy=f"faceorch build {network.name}",
        )
    return _crash(f"it ended with exit code {exit_.code} and without saying why")


def _crash(found: str) -> Reason:
    return Reason(kind=OutcomeKind.CRASH, found=found, remedy="see its log")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
