"""How each video was made: licences in plain words, parity with upstream, and the end of the log."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from faceorch import untrusted
from faceorch.files import Refused, open_below
from faceorch.record.run import Job, Parity
from faceorch.words import plural

_LOG_BYTES = 2**30
_TAIL_BYTES, _TAIL_LINES = 48 * 2**10, 200


class How(Struct, frozen=True):
    """One network's provenance, as far as it is not in the record in so many words."""

    job: Job
    licences: list[str]
    parity: str
    log: list[str]


def how(folder: Path, jobs: Sequence[Job]) -> list[How]:
    """Return the provenance of the networks that had an environment."""
    found = [job for job in jobs if job.environment is not None]
    return [
        How(
            job,
            licences(job),
            parity(job.about.parity) if job.about and job.about.parity else "",
            log_tail(folder, job),
        )
        for job in found
    ]


def licences(job: Job) -> list[str]:
    """Return in plain words what the licences of a network's code and weights allow."""
    said = [f"As its folder says: {job.about.licence}."] if job.about is not None else []
    forbidden = [f"{file.path} ({file.licence})" for file in job.weights if file.commercial is False]
    unclear = [f"{file.path} ({file.licence})" for file in job.weights if file.commercial is None]
    if forbidden:
        said.append(f"Not for commercial use, because of: {', '.join(forbidden)}.")
    if unclear:
        said.append(f"Whether commercial use is allowed is unclear for: {', '.join(unclear)}.")
    if job.weights and not forbidden and not unclear:
        said.append("None of the weights that it used is closed to commercial use.")
    return said


def parity(found: Parity) -> str:
    """Return how far a network's frames are upstream's, in a sentence."""
    equal = "all" if found.equal == found.frames else str(found.equal)
    same = f"{equal} of {plural(found.frames, 'frame')} are byte for byte those of upstream's code"
    if found.equal != found.frames:
        same += f", at most {found.worst:g} of 255 apart"
    weights = f", with {found.weights}" if found.weights else ""
    return f"{same} (on {found.device}{weights})"


def log_tail(folder: Path, job: Job) -> list[str]:
    """Return the last lines of a job's log, each safe to show; without a readable log, those that the record kept."""
    kept = [untrusted.text(line, untrusted.SENTENCE) for line in job.log_tail]
    if job.log is None:
        return kept
    try:
        with open_below(folder, job.log, limit=_LOG_BYTES) as file:
            end = file.seek(0, 2)
            file.seek(max(0, end - _TAIL_BYTES))
            lines = file.read(_TAIL_BYTES).decode("utf-8", "replace").splitlines()
    except (Refused, OSError):
        return kept
    lines = lines[1:] if end > _TAIL_BYTES else lines  # the first one is cut
    return [untrusted.text(line, untrusted.SENTENCE) for line in lines[-_TAIL_LINES:]]
