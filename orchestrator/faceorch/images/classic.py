"""Builds with the engine's classic builder, which every engine has."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from faceorch.engine.client import answers
from faceorch.errors import EngineError
from faceorch.images.options import BuildOptions
from faceorch.images.recipe import Recipe, labels_of

_KEPT_LINES = 60


def build(
    api: Any,
    recipe: Recipe,
    options: BuildOptions,
    arguments: Mapping[str, str],
    sources: Mapping[str, str],
    context: Path,
    log: Path,
    on_step: Callable[[str], None],
) -> list[str] | None:
    """Build `context`; return None, or the last lines of a failed build.

    `arguments` determine the image; `sources` only set where its parts come from.
    """
    import docker.errors

    tail: list[str] = []
    pending = ""  # the engine sends a step's output in pieces, not in lines
    with log.open("a", encoding="utf-8") as file:
        try:
            for entry in answers(lambda: _ask(api, recipe, options, {**sources, **arguments}, context)):
                text = str(entry["stream"]) if "stream" in entry else _status(entry)
                file.write(text)
                *lines, pending = (pending + text).split("\n")
                tail = [*tail, *lines][-_KEPT_LINES:]
                for part in lines:
                    if part.startswith("Step "):
                        on_step(part)
                if "error" in entry:
                    return tail
        except EngineError as error:
            if not isinstance(error.__cause__, docker.errors.APIError):
                raise
            # Refused before the first step: the base image is not available.
            file.write(f"{error.__cause__.explanation}\n")
            return [*tail, str(error.__cause__.explanation)]
    return None


def _ask(
    api: Any, recipe: Recipe, options: BuildOptions, arguments: Mapping[str, str], context: Path
) -> Iterator[dict[str, Any]]:
    built: Iterator[dict[str, Any]] = api.build(
        fileobj=_tar(context),
        custom_context=True,
        dockerfile=recipe.dockerfile,
        tag=recipe.tag,
        buildargs=dict(arguments),
        labels=labels_of(recipe, "classic"),
        nocache=options.no_cache,
        network_mode=options.network,
        rm=True,
        forcerm=True,
        decode=True,
    )
    return built


def _status(entry: dict[str, Any]) -> str:
    """Return the line of an entry that is not a step's output: an error, or the progress of a pull."""
    text = str(entry.get("error") or entry.get("status") or "")
    return f"{text}\n" if text else ""


def _tar(folder: Path) -> io.BytesIO:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path in sorted(folder.rglob("*")):
            tar.add(path, arcname=path.relative_to(folder).as_posix(), recursive=False, filter=_as_root)
    buffer.seek(0)
    return buffer


def _as_root(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = 0
    info.uname = info.gname = "root"
    return info
