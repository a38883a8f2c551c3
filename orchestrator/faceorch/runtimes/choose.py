"""Which runtimes a run may use, in order of preference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from faceorch.errors import EngineError
from faceorch.record.request import RuntimeChoice
from faceorch.runtimes import Runtime
from faceorch.runtimes.docker import DockerRuntime
from faceorch.runtimes.venv import VenvRuntime


def make_runtimes(
    choice: RuntimeChoice, pythons: Mapping[str, str], use_images: Mapping[str, str]
) -> dict[str, Runtime]:
    """Return the runtimes to try, in order of preference; the engine is asked already."""
    runtimes: dict[str, Runtime] = {}
    if choice in ("auto", "docker"):
        runtimes["docker"] = docker = DockerRuntime(use_images)
        docker.ask()
    if choice in ("auto", "venv"):
        runtimes["venv"] = VenvRuntime({name: Path(python) for name, python in pythons.items()})
    return runtimes


def sweep(runtimes: Mapping[str, Runtime]) -> Iterator[str]:
    """Remove what dead owners left behind; yields one line per thing removed."""
    for runtime in runtimes.values():
        try:
            yield from runtime.sweep()
        except EngineError as error:  # what can run without it does
            yield f"leftovers in the container engine stay: {error.message}"
