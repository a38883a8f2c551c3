"""The header of a safetensors file, read strictly: names, types and shapes, without the tensors themselves.

The `safetensors` package needs NumPy to read a header, which the host does not need otherwise. The format is simple:
8 bytes of length, JSON of that length, then the data without gaps or overlaps.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from msgspec import Struct

# The format allows 100 MB; ten thousand tensors need about one.
_HEADER_BYTES = 16 * 2**20
_LENGTH_BYTES = 8
_DIMENSIONS = 64
_SHOWN = 80  # characters of a name in a message
_METADATA = "__metadata__"
_FIELDS = {"dtype", "shape", "data_offsets"}
_FLOATING = {"F8_E4M3": 1, "F8_E5M2": 1, "F16": 2, "BF16": 2, "F32": 4, "F64": 8}
_BYTES = {
    **_FLOATING,
    "BOOL": 1,
    "U8": 1,
    "I8": 1,
    "U16": 2,
    "I16": 2,
    "U32": 4,
    "I32": 4,
    "U64": 8,
    "I64": 8,
    "C64": 8,
}


class Invalid(Exception):
    """A file is not safetensors, or does not hold the expected tensors; the message is one line on why."""


class Tensor(Struct, frozen=True):
    """One tensor as the header describes it."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int

    @property
    def floating(self) -> bool:
        """Whether its values are floating-point numbers."""
        return self.dtype in _FLOATING


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file, at least one; raise `Invalid` if it breaks the format's rules."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
        if size < _LENGTH_BYTES or length > size - _LENGTH_BYTES:
            raise Invalid("it is not safetensors: it ends within its header")
        if length > _HEADER_BYTES:
            raise Invalid(f"its header has {length} bytes; at most {_HEADER_BYTES} are read")
        header = _parse(file.read(length))
    header.pop(_METADATA, None)
    if not header:
        raise Invalid("it holds no tensors")
    tensors = {name: _tensor(name, entry, size) for name, entry in header.items()}
    reached = 0
    for name, tensor in sorted(tensors.items(), key=lambda item: (item[1].begin, item[1].end)):
        if tensor.begin != reached:
            raise Invalid(f"the data of {name[:_SHOWN]!r} does not start where the data before it ends")
        reached = tensor.end
    if reached != size - _LENGTH_BYTES - length:
        raise Invalid("its tensors do not cover its data")
    return tensors


def _parse(header: bytes) -> dict[str, Any]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ValueError("a name occurs twice")
        return found

    try:
        raw = json.loads(header.decode("utf-8"), object_pairs_hook=unique)
        if not isinstance(raw, dict):
            raise ValueError("it is not an object")
        for name in raw:
            name.encode("utf-8")  # half a surrogate pair cannot be encoded
    except (ValueError, RecursionError) as error:
        raise Invalid(f"it is not safetensors: its header: {str(error)[:100]}") from error
    return raw


def _tensor(name: str, entry: Any, size: int) -> Tensor:
    if not isinstance(entry, dict) or entry.keys() != _FIELDS:
        raise Invalid(f"{name[:_SHOWN]!r} is not described by {', '.join(sorted(_FIELDS))}")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _BYTES:
        raise Invalid(f"{name[:_SHOWN]!r} is of an unknown type")
    if not _counts(shape) or not _counts(offsets) or len(offsets) != 2 or len(shape) > _DIMENSIONS:
        raise Invalid(f"{name[:_SHOWN]!r} has an invalid shape or offset")
    count = 1
    for side in (0,) if 0 in shape else shape:
        count *= side
        if count > size:
            raise Invalid(f"{name[:_SHOWN]!r} is larger than the file")
    begin, end = offsets
    if end - begin != count * _BYTES[dtype]:
        raise Invalid(f"{name[:_SHOWN]!r} has a number of bytes that does not match its type and shape")
    return Tensor(dtype, tuple(shape), begin, end)


def _counts(value: Any) -> bool:
    return isinstance(value, list) and all(type(item) is int and item >= 0 for item in value)
