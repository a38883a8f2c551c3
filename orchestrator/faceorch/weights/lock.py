"""`faceorch weights lock`: fills in a manifest's missing hashes, sizes and revisions in place; comments are kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml
from msgspec import Struct

from faceorch.errors import OutputError, WeightsError
from faceorch.files import write_atomically
from faceorch.networks.discover import Network
from faceorch.weights.manifest import FILE_NAME, File, load_weights
from faceorch.weights.remote import ask_hub, offline
from faceorch.weights.store import Store


class Locked(Struct, frozen=True):
    """What was found for a file of the manifest; if nothing was, all fields but `reason` are None."""

    file: File
    sha256: str | None = None
    size: int | None = None
    revision: str | None = None
    how: str = ""
    reason: str = ""


def lock(network: Network, store: Store, mirrors: Mapping[str, str], *, write: bool = True) -> list[Locked]:
    """Fill in what is missing in `network`'s manifest; return one entry per incomplete file."""
    weights = load_weights(network)
    if weights is None:
        return []
    found = {i: _look(file, store, mirrors) for i, file in enumerate(weights.files) if _is_open(file)}
    path = network.folder / FILE_NAME
    text = path.read_text("utf-8")
    edited = _apply(text, {i: f for i, f in found.items() if not f.reason})
    if write and edited != text:
        try:
            write_atomically(path, edited.encode())
        except OutputError as error:
            raise WeightsError(error.message, "run it in a checkout of faceorch that you can write to") from error
        load_weights(network)
    return list(found.values())


def _is_open(file: File) -> bool:
    return file.sha256 is None or file.exact_size is None or (file.source.repo is not None and not file.source.revision)


def _look(file: File, store: Store, mirrors: Mapping[str, str]) -> Locked:
    """Return what the hub states, or else what earlier downloads found; the two must agree."""
    seen, stated, reason = store.seen(file), None, "pull it first"
    if file.source.repo is not None and not offline():
        try:
            stated = ask_hub(file.source, mirrors)
        except WeightsError as error:
            reason = f"{error.message}; and not pulled yet"
    if stated is not None and stated.sha256 is not None:
        for known, whose in ((file.sha256, "the manifest"), (seen.sha256 if seen else None, "an earlier download")):
            if known is not None and known != stated.sha256:
                raise WeightsError(
                    f"{file.path}: the hub states sha256 {stated.sha256}, {whose} {known}",
                    "find out which one is right before you use either",
                )
        return Locked(file, stated.sha256, stated.size, file.source.revision or stated.revision, "the hub's metadata")
    if seen is not None:
        revision = file.source.revision or seen.revision or (stated.revision if stated else None)
        return Locked(file, seen.sha256, seen.size, revision, seen.how)
    if file.sha256 is not None and stated is not None:
        return Locked(file, file.sha256, stated.size, file.source.revision or stated.revision, "the hub's metadata")
    if file.sha256 is not None and store.unchanged(file.sha256):
        return Locked(file, file.sha256, store.blob(file.sha256).stat().st_size, file.source.revision, "a download")
    return Locked(file, reason=reason)


def _apply(text: str, found: Mapping[int, Locked]) -> str:
    """Return the manifest's text with the values inserted."""
    # The pure Python loader, because its marks count characters of the text.
    root = yaml.compose(text, yaml.SafeLoader)
    entries = _value(root, "files").value
    edits: list[tuple[int, int, str]] = []
    for index, locked in found.items():
        entry = entries[index]
        for key, value in (("sha256", locked.sha256), ("size", locked.size)):
            if value is not None:
                edits.append(_replace(_value(entry, key), str(value)))
        exact = _value(entry, "size_exact")
        if exact is not None and locked.size is not None:
            edits.append(_replace(exact, "true"))
        if locked.revision is not None and locked.file.source.revision is None:
            edits.append(_revision(_value(entry, "source"), locked.revision))
    for start, end, value in sorted(edits, reverse=True):
        text = text[:start] + value + text[end:]
    return text


def _replace(node: Any, value: str) -> tuple[int, int, str]:
    return node.start_mark.index, node.end_mark.index, value


def _revision(source: Any, revision: str) -> tuple[int, int, str]:
    there = _value(source, "revision")
    if there is not None:
        return _replace(there, revision)
    key, repo = next((k, v) for k, v in source.value if k.value == "repo")
    end = repo.end_mark.index
    separator = ", " if source.flow_style else "\n" + " " * key.start_mark.column
    return end, end, f"{separator}revision: {revision}"


def _value(node: Any, key: str) -> Any:
    return next((value for name, value in node.value if name.value == key), None)
