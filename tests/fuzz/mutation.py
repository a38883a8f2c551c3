"""Small good inputs, damaged in the ways in which files and values get damaged."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import strategies as st

# What stands where something sensible is expected.
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([10**400, -1, 2**63, 0, 1e999, -math.inf, math.nan, 1e-320]),
    st.floats(),
    st.text(max_size=30),
    st.sampled_from(
        ["", "\ud800", "\x1b]0;title\x07", "../../etc/passwd", "/dev/zero", "a" * 5000, "\0", "nan", "=cmd()"]
    ),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=5), st.integers(), max_size=3),
)


@st.composite
def damaged_bytes(draw: st.DrawFn, seeds: list[bytes]) -> bytes:
    """Return one of `seeds` with a few bytes changed, cut out, put in, said twice, or with its end cut off."""
    data = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        match draw(st.sampled_from(["set", "flip", "cut", "drop", "add", "twice", "size"])):
            case "set":
                data[at : at + 1] = bytes([draw(st.integers(0, 255))])
            case "flip" if data:
                data[at] ^= 1 << draw(st.integers(0, 7))
            case "cut":
                del data[at:]
            case "drop":
                del data[at : at + draw(st.integers(1, 64))]
            case "add":
                data[at:at] = draw(st.binary(max_size=16))
            case "twice":
                data[at:at] = data[at : at + draw(st.integers(1, 256))]
            case "size":
                data[at : at + 4] = draw(
                    st.sampled_from([b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff", b"\0\0\0\x01"])
                )
    return bytes(data)


@st.composite
def damaged_value(draw: st.DrawFn, seed: Any) -> Any:
    """Return JSON like `seed` with one to three of its values replaced, removed or moved."""
    value = _copy(seed)
    for _ in range(draw(st.integers(1, 2))):
        places = list(_places(value))
        if not places:
            return draw(ODD)
        holder, key = draw(st.sampled_from(places))
        match draw(st.sampled_from(["replace", "replace", "replace", "remove", "swap", "add"])):
            case "replace":
                holder[key] = draw(ODD)
            case "remove":
                del holder[key]
            case "swap":
                other, place = draw(st.sampled_from(places))
                holder[key] = _copy(other[place])
            case "add" if isinstance(holder, dict):
                holder[draw(st.text(max_size=8))] = draw(ODD)
    return value


def _places(value: Any) -> Any:
    """Yield every place in a value as what holds it and its key there."""
    if isinstance(value, dict | list):
        for key in list(value) if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from _places(value[key])


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(inner) for key, inner in value.items()}
    return [_copy(inner) for inner in value] if isinstance(value, list) else value
