"""Explains the output of a failed build: one table of patterns and remedies."""

from __future__ import annotations

import re
from pathlib import Path

from faceorch.errors import BuildError
from faceorch.images.options import BUILD_NETWORK

_LAST_LINES = 20


class Failed(BuildError):
    """A build that failed; `tail` holds the last lines of its output."""

    def __init__(self, message: str, remedy: str, tail: tuple[str, ...]) -> None:
        super().__init__(message, remedy)
        self.tail = tail


# Regular expression in a failed build's output -> remedy. The first row that matches counts.
_FREE = "free some disk space: faceorch clean, docker system prune"
_GONE = "the base image is no longer in its registry: name a mirror of it with --base-image"
_REFUSED = "the registry refused the base image: docker login, or name a mirror of it with --base-image"
_CHANGED = "a package differs from the locked one: a mirror or a proxy modifies packages"
_OFFLINE = f"containers have no network while building: try {BUILD_NETWORK}=host, or set HTTPS_PROXY"
_UNREACHABLE = "the registry cannot be reached: check the network, or name a mirror of the base with --base-image"
_UNTRUSTED = "a proxy signs downloads: pass its certificate authority with --ca-bundle"
_NO_PACKAGES = "packages cannot be downloaded: check the network, UV_DEFAULT_INDEX, FACEORCH_APT_MIRROR, HTTPS_PROXY"
REMEDIES = (
    ("no space left on device", _FREE),
    ("No space left on device", _FREE),
    ("manifest unknown", _GONE),
    ("not found: manifest", _GONE),
    ("sha256:[0-9a-f]+: not found", _GONE),
    ("pull access denied", _REFUSED),
    ("[Uu]nauthorized|no basic auth credentials", _REFUSED),
    ("toomanyrequests", "the registry limits downloads: docker login, wait, or name a mirror with --base-image"),
    ("DO NOT MATCH THE HASHES", _CHANGED),
    ("Hash mismatch", _CHANGED),
    ("CERTIFICATE_VERIFY_FAILED", _UNTRUSTED),
    ("invalid peer certificate", _UNTRUSTED),
    (
        "clone-upstream: commit",
        "check the network, or set FACEORCH_UPSTREAM_MIRROR to a server that has the repository",
    ),
    ("patches do not fit", "update faceorch: its patches were written for another commit of the upstream code"),
    ("Temporary failure in name resolution", _OFFLINE),
    ("Temporary failure resolving", _OFFLINE),
    ("dns error", _OFFLINE),
    ("dial tcp", _UNREACHABLE),
    ("Could not connect to|Failed to fetch|NewConnectionError|error sending request", _NO_PACKAGES),
    ("No matching distribution found", _NO_PACKAGES),
    ("i/o timeout", _UNREACHABLE),
)


# Lines that builders add around the output of a failed step.
_NOISE = re.compile(
    r"The command '.*' returned a non-zero code|Removing intermediate container|\s*--->"
    r"|(#\d+ )?ERROR: (failed to solve: )?(process|executor failed running)|executor failed running"
    r"|-{6,}$|\s*>\s*\[|\S*Dockerfile:\d+$|\s*\d+ \||View build details:"
    r"|#\d+ (\[internal\]|building with|transferring|resolve|sha256:|extracting|CACHED|DONE)"
)
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")  # the classic builder resets the colour of stderr in its next message
_PREFIX = re.compile(r"^(#\d+ (ERROR: )?)?(\d+\.\d+ )?")
_SUMMARY = "ERROR: failed to solve: "  # BuildKit repeats its error after this


def explain(name: str, tail: list[str], log: Path) -> Failed:
    """Return the error for the last lines of a failed build."""
    # BuildKit repeats the output of the failed step below a separator.
    tail = [_COLOUR.sub("", line) for line in tail]
    once = tail[: tail.index("------")] if "------" in tail else tail
    lines = [_PREFIX.sub("", line.rstrip()) for line in once if line.strip() and not _NOISE.match(line)]
    if any(not line.startswith(_SUMMARY) for line in lines):
        lines = [line for line in lines if not line.startswith(_SUMMARY)]
    text = "\n".join(tail)
    remedy = next((remedy for sign, remedy in REMEDIES if re.search(sign, text)), f"see {log}")
    last = lines[-1].strip() if lines else "no output"
    return Failed(f"{name} was not built: {last[:300]}", remedy, tuple(lines[-_LAST_LINES:]))
