"""Strict reading of faceorch's YAML files: unknown keys are errors, reported in the terms of the YAML file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import yaml

from faceorch.errors import ManifestError
from faceorch.words import near

# libyaml's loader is ten times as fast; PyYAML may be installed without it.
YAML = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_Content = TypeVar("_Content", bound=msgspec.Struct)


class Model(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One object of such a file."""


def read_yaml(path: Path, kind: type[_Content], members: Mapping[str, Any] | None = None) -> _Content:
    """Read a YAML file strictly: unknown keys are errors, with the nearest known key.

    `members` has, for each key that holds an object with free names, the type of its values.
    """
    try:
        raw = yaml.load(path.read_text("utf-8"), YAML)
    except OSError as error:
        raise ManifestError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ManifestError(f"{path} is not UTF-8 text: byte {error.start}", "save it as UTF-8") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: a date that does not exist
        raise ManifestError(f"{path}: {' '.join(str(error).split())}") from error
    try:
        return msgspec.convert(raw, kind)
    except msgspec.ValidationError as error:
        raise ManifestError(f"{path}: {_describe(str(error), raw, kind, members or {})}") from error


def _describe(text: str, raw: Any, kind: type[msgspec.Struct], members: Mapping[str, Any]) -> str:
    """Return msgspec's error in the terms of the YAML file."""
    what, _, place = text.partition(" - at `$")
    where = place.rstrip("`").lstrip(".")
    for key, member in members.items():
        if where.startswith(f"{key}[...]"):  # msgspec does not name the member
            where = where.replace("[...]", f".{_wrong_member(raw[key], member)}", 1)
    if found := re.fullmatch(r"Object contains unknown field `(.+)`", what):
        key = found.group(1)
        return f"unknown key '{key}'{near(key, _keys(kind))}" + (f" in '{where}'" if where else "")
    if found := re.fullmatch(r"Object missing required field `(.+)`", what):
        return f"'{where}.{found.group(1)}' is missing" if where else f"'{found.group(1)}' is missing"
    return f"{where}: {what}" if where else what


def _wrong_member(values: Mapping[str, Any], kind: Any) -> str:
    for key, value in values.items():
        try:
            msgspec.convert(value, kind)
        except msgspec.ValidationError:
            return str(key)
    return "..."


def _keys(kind: type[msgspec.Struct]) -> set[str]:
    """Return every key that a file of this kind may contain, at any depth."""
    schema = msgspec.json.schema(kind)
    return {name for part in schema.get("$defs", {}).values() for name in part.get("properties", {})}
