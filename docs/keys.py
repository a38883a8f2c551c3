"""The reference of a YAML file: every key with its type, default, limits and meaning, from its JSON Schema."""

from __future__ import annotations

import json
from typing import Any

_TYPES = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false", "null": "null"}
_LIMITS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "above {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "below {}",
    "minItems": "at least {} of them",
    "minLength": "at least {} characters",
    "pattern": "matches `{}`",
}


def reference(name: str, schema: dict[str, Any], schema_file: str, introduction: str) -> str:
    """Return the page about the file `name`: one table for each object in it; `LookupError` for a key without words."""
    parts = [
        f"# {name}\n",
        f"Generated from the code by `make docs`; as a JSON Schema: [{schema_file.split('/')[-1]}]({schema_file}).\n",
        f"{introduction}\n",
    ]
    objects, first = schema["$defs"], schema["$ref"].split("/")[-1]
    places = _places(objects, first)
    for key, place in places.items():
        found = objects[key]
        parts.append(f"## {f'`{place}`' if place else 'The file'}\n")
        parts.append(f"{found['description']}\n")
        parts += ["| key | type | default | meaning |", "|---|---|---|---|"]
        parts += [_row(key, name, found) for name in found["properties"]]
        parts.append("")
    return "\n".join(parts).rstrip() + "\n"


def _places(objects: dict[str, Any], first: str) -> dict[str, str]:
    """Return where in the file each object stands, in reading order."""
    places = {first: ""}
    waiting = [first]
    while waiting:
        key = waiting.pop(0)
        for name, value in objects[key]["properties"].items():
            for inner, suffix in _references(value):
                if inner not in places:
                    kind = objects[inner]["properties"].get("type", {}).get("enum")
                    of_kind = f" with type: {kind[0]}" if kind else ""
                    places[inner] = f"{places[key]}.{name}{suffix}".lstrip(".") + of_kind
                    waiting.append(inner)
    return places


def _references(value: dict[str, Any], suffix: str = "") -> list[tuple[str, str]]:
    """Return the objects that a value may be or hold, each with how one gets there."""
    found = [(value["$ref"].split("/")[-1], suffix)] if "$ref" in value else []
    for inner in (*value.get("anyOf", ()), *value.get("allOf", ())):
        found += _references(inner, suffix)
    if "items" in value:
        found += _references(value["items"], f"{suffix}[]")
    if isinstance(value.get("additionalProperties"), dict):
        found += _references(value["additionalProperties"], f"{suffix}.NAME")
    return found


def _row(kind: str, name: str, found: dict[str, Any]) -> str:
    value = found["properties"][name]
    required = name in found.get("required", ())
    default = "**required**" if required else f"`{json.dumps(value.get('default'), ensure_ascii=False)}`"
    meaning = _description(value)
    if not meaning and _references(value):
        meaning = "see below"
    if not meaning and "enum" in value:
        meaning = "which kind it is"
    if not meaning:
        raise LookupError(f"{kind}.{name} has no Meta(description=...)")
    text = "; ".join([meaning, *_limits(value)])
    return f"| `{name}` | {_type(value)} | {default} | {text.replace('|', chr(92) + '|')} |"


def _description(value: dict[str, Any]) -> str:
    inner = (str(part.get("description", "")) for part in value.get("anyOf", ()))
    return str(value.get("description", "")) or next((text for text in inner if text), "")


def _limits(value: dict[str, Any]) -> list[str]:
    found = [text.format(value[key]) for key, text in _LIMITS.items() if key in value]
    for part in value.get("anyOf", ()):
        found += _limits(part)
    names = value.get("propertyNames", {}).get("pattern")
    return [*found, *([f"names match `{names}`"] if names else [])]


def _type(value: dict[str, Any]) -> str:
    if "enum" in value:
        return " or ".join(f"`{json.dumps(word) if not isinstance(word, str) else word}`" for word in value["enum"])
    if "anyOf" in value:
        return " or ".join(dict.fromkeys(_type(part) for part in value["anyOf"]))
    if "allOf" in value:
        return _type(value["allOf"][0])
    if "$ref" in value:
        return "object"
    if value.get("type") == "array":
        return f"list of {_type(value['items'])}" if "items" in value else "list"
    if value.get("type") == "object":
        return f"by name: {_type(value['additionalProperties'])}"
    return _TYPES[value["type"]]
