"""JSON Schemas of what machines read, from the classes that write it."""

from __future__ import annotations

import inspect
from typing import Any

import msgspec


def published(kind: type[msgspec.Struct], identity: str) -> dict[str, Any]:
    """Return the JSON Schema of `kind`, the same on every Python: 3.13 cuts the indentation of docstrings."""
    schema = _clean(msgspec.json.schema(kind))
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": identity, **schema}


def _clean(value: Any) -> Any:
    if isinstance(value, list):
        return [_clean(item) for item in value]
    if isinstance(value, dict):
        return {
            key: inspect.cleandoc(item) if key == "description" and isinstance(item, str) else _clean(item)
            for key, item in value.items()
        }
    return value
