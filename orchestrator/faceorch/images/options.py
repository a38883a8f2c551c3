"""Build options from the command line and the environment; none of them changes the resulting image."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from msgspec import Struct, field

from faceorch import proc
from faceorch.errors import InputError

Builder = Literal["buildx", "classic"]

BUILD_NETWORK = "FACEORCH_BUILD_NETWORK"
# Build arguments that set where downloads come from, and the environment variables that set them, in order. They are
# not part of an image's identity, because packages and code are checked against hashes.
SOURCES: Mapping[str, tuple[str, ...]] = {
    "UV_DEFAULT_INDEX": ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL"),
    "APT_MIRROR": ("FACEORCH_APT_MIRROR",),
    "UPSTREAM_MIRROR": ("FACEORCH_UPSTREAM_MIRROR",),
}
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


class BuildOptions(Struct, frozen=True, kw_only=True):
    """How images are built; does not change the resulting images."""

    builder: Builder
    no_cache: bool = False
    ca_bundle: bytes = b""
    network: str | None = None
    sources: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls, *, builder: Builder | None = None, no_cache: bool = False, ca_bundle: Path | None = None
    ) -> BuildOptions:
        """Return the options, completed from the environment."""
        env = os.environ
        sources = {
            name: next(env[variable] for variable in variables if env.get(variable))
            for name, variables in SOURCES.items()
            if any(env.get(variable) for variable in variables)
        }
        for name in PROXIES:
            value = env.get(name) or env.get(name.lower())
            if value:
                sources[name] = sources[name.lower()] = value
        return cls(
            builder=builder or find_builder(),
            no_cache=no_cache,
            ca_bundle=_read_bundle(ca_bundle) if ca_bundle else b"",
            network=env.get(BUILD_NETWORK) or None,
            sources=sources,
        )


def _read_bundle(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"--ca-bundle {path}: {error.strerror}", "name a file with PEM certificates") from error
    if b"-----BEGIN CERTIFICATE-----" not in content:
        raise InputError(f"--ca-bundle {path} contains no PEM certificate", "name a file with PEM certificates")
    return content


def find_builder() -> Builder:
    """Return `buildx` if the Docker CLI has that plugin, else `classic` (the engine's own, through the SDK)."""
    if shutil.which("docker") is None:
        return "classic"
    try:
        found = proc.run(["docker", "buildx", "version"])
    except OSError:
        return "classic"
    return "buildx" if found.code == 0 else "classic"
