"""Builds with BuildKit, through the Docker CLI's buildx plugin."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from faceorch import proc
from faceorch.engine.client import endpoint
from faceorch.images.options import BuildOptions
from faceorch.images.recipe import Recipe, labels_of

if TYPE_CHECKING:
    import subprocess

_STEP = re.compile(r"#\d+ (\[[^\]]*\d+/\d+\] .*|exporting .*)")


def build(
    recipe: Recipe,
    options: BuildOptions,
    arguments: Mapping[str, str],
    sources: Mapping[str, str],
    context: Path,
    log: Path,
    on_step: Callable[[str], None],
    on_process: Callable[[subprocess.Popen[str]], None],
) -> list[str] | None:
    """Build `context`; return None, or the last lines of a failed build.

    `arguments` determine the image; `sources` only set where its parts come from.
    """
    # Only the builder `default`, the engine's own, sees the engine's images and so the network's base.
    words = ["docker", "--host", endpoint(), "buildx", "build", "--builder", "default"]
    words += ["--progress", "plain", "--load", "--file", str(context / recipe.dockerfile), "--tag", recipe.tag]
    for key, value in arguments.items():
        words += ["--build-arg", f"{key}={value}"]
    for key in sources:  # by name only: a mirror's address may contain a password, and the command is logged
        words += ["--build-arg", key]
    for key, value in labels_of(recipe, "buildx").items():
        words += ["--label", f"{key}={value}"]
    words += ["--no-cache"] if options.no_cache else []
    words += ["--network", options.network] if options.network else []

    def line(text: str) -> None:
        if found := _STEP.match(text):
            on_step(found[1])

    done = proc.run([*words, str(context)], log=log, env={**os.environ, **sources}, on_line=line, on_start=on_process)
    return None if done.code == 0 else list(done.tail)
