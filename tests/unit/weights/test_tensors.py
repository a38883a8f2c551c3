"""The header of a safetensors file, read strictly."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from faceorch.weights.tensors import Invalid, read_tensors
from tests.unit.weights.conftest import HALF, safetensors


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it ends within its header"),
        (b"\x01\0\0\0\0\0\0\0", "it ends within its header"),
        (b"\xff" * 8 + b"{}", "it ends within its header"),
        (struct.pack("<Q", 2) + b"[]", "it is not an object"),
        (struct.pack("<Q", 2) + b"{}", "it holds no tensors"),
        (struct.pack("<Q", 4) + b"\xff\xfe{}", "it is not safetensors: its header: "),
        (struct.pack("<Q", 200_000) + b"[" * 200_000, "it is not safetensors: its header: "),
        (struct.pack("<Q", 9_001) + b"1" * 9_001, "it is not safetensors: its header: "),
        (struct.pack("<Q", 12) + rb'{"\ud800":1}', "it is not safetensors: its header: "),
        (struct.pack("<Q", 17) + b'{"a":{},"a":null}', "a name occurs twice"),
        (struct.pack("<Q", (1 << 24) + 1) + bytes((1 << 24) + 1), "its header has 16777217 bytes; at most 16777216"),
        (safetensors(HALF, data=b"12345"), "its tensors do not cover its data"),
        (safetensors(HALF, data=b"123"), "its tensors do not cover its data"),
        (safetensors(HALF, ("x", "F16", [2], 0, 4), data=b"1234"), "does not start where the data before it ends"),
        (safetensors(HALF, ("x", "F16", [2], 5, 9), data=b"123456789"), "does not start where the data before it ends"),
        (safetensors(("x", "F16", [2], 4, 8), data=b"12345678"), "does not start where the data before it ends"),
        (safetensors(("x", "F16", [3], 0, 4), data=b"1234"), "has a number of bytes that does not match"),
        (safetensors(("x", "F16", [-2], 0, 4), data=b"1234"), "has an invalid shape or offset"),
        (safetensors(("x", "F16", [1] * 65, 0, 2), data=b"12"), "has an invalid shape or offset"),
        (safetensors(("x", "F16", [2.0], 0, 4), data=b"1234"), "has an invalid shape or offset"),  # type: ignore[list-item]
        (safetensors(("x", "F16", [10**9, 10**9], 0, 4), data=b"1234"), "is larger than the file"),
        (safetensors(("x", "F17", [2], 0, 4), data=b"1234"), "is of an unknown type"),
        (struct.pack("<Q", 9) + b'{"x":[1]}', "is not described by data_offsets, dtype, shape"),
    ],
)
def test_what_breaks_the_rules_of_the_format_is_not_safetensors(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(Invalid) as caught:
        read_tensors(tmp_path / "a")
    assert reason in str(caught.value)


def test_names_types_and_shapes_are_read(tmp_path: Path) -> None:
    entries = [("b", "F32", [], 0, 4), ("none", "I64", [3, 0], 4, 4), ("a", "BF16", [2, 1], 4, 8)]
    content = safetensors(*entries, data=bytes(8))
    text = b'{"__metadata__":{"format":"pt"},' + content[9:-8] + b"   "
    (tmp_path / "a").write_bytes(struct.pack("<Q", len(text)) + text + bytes(8))
    found = {name: (tensor.dtype, tensor.shape) for name, tensor in read_tensors(tmp_path / "a").items()}
    assert found == {"b": ("F32", ()), "none": ("I64", (3, 0)), "a": ("BF16", (2, 1))}
