"""Recipe -> image: with BuildKit if the Docker CLI has buildx, else with the engine's classic builder."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from faceorch.engine.client import asked, new_client
from faceorch.files import scratch
from faceorch.images import buildx, classic
from faceorch.images.failures import explain
from faceorch.images.options import PROXIES, BuildOptions
from faceorch.images.recipe import Recipe

if TYPE_CHECKING:
    import subprocess


def build(
    recipe: Recipe,
    options: BuildOptions,
    *,
    log: Path,
    on_step: Callable[[str], None] = lambda _: None,
    on_process: Callable[[subprocess.Popen[str]], None] = lambda _: None,
) -> str:
    """Build the image and return its id. `Failed` has the last lines and a remedy; `log` has the whole output.

    A network's parent must exist. `on_process` gets the process that must be ended to cancel the build.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    log.unlink(missing_ok=True)
    # Builds run in parallel, and a client is not thread-safe: each build has its own.
    with _staged(recipe, options) as context, new_client() as api:
        arguments, sources = _arguments(recipe, options)
        if options.builder == "buildx":
            tail = buildx.build(recipe, options, arguments, sources, context, log, on_step, on_process)
        else:
            tail = classic.build(api, recipe, options, arguments, sources, context, log, on_step)
        if tail is not None:
            raise explain(recipe.name, tail, log)
        with asked():
            return str(api.inspect_image(recipe.tag)["Id"])  # type: ignore[no-untyped-call]


@contextmanager
def _staged(recipe: Recipe, options: BuildOptions) -> Iterator[Path]:
    """Copy the build context to a temporary folder, so that both builders see the same bytes, modes and times."""
    with scratch("faceorch-build-") as folder:
        for relative, path in recipe.files:
            target = folder / relative
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
        if options.ca_bundle and recipe.network is None:
            (folder / "base" / "ca-bundle.pem").write_bytes(options.ca_bundle)
        for path in [folder, *folder.rglob("*")]:
            path.chmod(0o755 if path.is_dir() or _is_program(path) else 0o644)
            os.utime(path, (0, 0))
        yield folder


def _is_program(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"#!"


def _arguments(recipe: Recipe, options: BuildOptions) -> tuple[dict[str, str], dict[str, str]]:
    """Return the build arguments that determine the image, and those that only set where its parts come from."""
    text = dict(recipe.files)[recipe.dockerfile].read_text("utf-8")
    declared = set(re.findall(r"^ARG (\w+)", text, flags=re.MULTILINE))
    # Builders accept the proxy variables without an ARG and keep them out of the image's history.
    sources = {k: v for k, v in options.sources.items() if k in declared or k.upper() in PROXIES}
    return {k: v for k, v in recipe.arguments.items() if k in declared}, sources
