"""Pickles to safetensors: the host's part, with a stand-in for torch."""

from __future__ import annotations

import hashlib
import os
import pickle
import stat
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from faceorch.cli.main import cli
from faceorch.weights.store import Store
from tests.conftest import MakeNetwork
from tests.unit.weights.conftest import HALF, safetensors, write_manifest

# As much of torch and safetensors as the converter calls, over numpy.
TORCH = """
import pickle, numpy
float16, uint8 = numpy.float16, numpy.uint8
class Tensor:
    def __init__(self, array): self.array = numpy.asarray(array)
    dtype = property(lambda self: self.array.dtype)
    shape = property(lambda self: self.array.shape)
    def detach(self): return self
    clone = contiguous = detach
    def is_floating_point(self): return self.array.dtype.kind == "f"
    def to(self, dtype): return Tensor(self.array.astype(dtype))
    def all(self): return bool(self.array.all())
    def reshape(self, *shape): return Tensor(self.array.reshape(*shape))
    def view(self, dtype): return Tensor(self.array.view(dtype))
def isfinite(tensor): return Tensor(numpy.isfinite(tensor.array))
def equal(one, other): return numpy.array_equal(one.array, other.array)
def load(path, map_location, weights_only):
    data = open(path, "rb").read()
    if weights_only and b"system" in data: raise pickle.UnpicklingError("Unsupported global: os.system")
    return {k: Tensor(v) if isinstance(v, list) else v for k, v in pickle.loads(data).items()}
"""
SAFETENSORS = """
import json, numpy
TYPES = {"F16": numpy.float16, "F64": numpy.float64, "I64": numpy.int64}
def save_file(tensors, path):
    header, data = {}, b""
    for name, tensor in tensors.items():
        kind = next(kind for kind, dtype in TYPES.items() if dtype == tensor.dtype)
        piece = tensor.array.tobytes()
        header[name] = {"dtype": kind, "shape": tensor.shape, "data_offsets": [len(data), len(data) + len(piece)]}
        data += piece
    text = json.dumps(header).encode()
    open(path, "wb").write(len(text).to_bytes(8, "little") + text + data)
def load_file(path):
    import torch
    data = open(path, "rb").read()
    start = 8 + int.from_bytes(data[:8], "little")
    found = {}
    for name, entry in json.loads(data[8:start]).items():
        begin, end = entry["data_offsets"]
        array = numpy.frombuffer(data[start + begin : start + end], TYPES[entry["dtype"]])
        found[name] = torch.Tensor(array.reshape(entry["shape"]))
    return found
"""


# What a pickle may do in a container: it runs on after the converter has written its file and is done.
AFTERWARDS = """
import json, os, sys
from pathlib import Path
leave = os._exit
def afterwards(code):
    out = Path(json.load(open(sys.argv[1]))["out"])
    made = out / "a/b.safetensors"
    key = Path(@KEY@)
    BODY
    leave(code)
os._exit = afterwards
"""


@pytest.fixture
def convert(tmp_path: Path, make_network: MakeNetwork) -> Callable[..., Result]:
    """Return a function that adopts a pickle as the network's weights and converts it."""
    fakes = tmp_path / "fakes"
    (fakes / "safetensors").mkdir(parents=True)
    (fakes / "torch.py").write_text(textwrap.dedent(TORCH), "utf-8")
    (fakes / "safetensors/torch.py").write_text(SAFETENSORS, "utf-8")
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH="{fakes}:$PYTHONPATH" exec "{sys.executable}" "$@"\n', "utf-8")
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    network = make_network("grey")

    def convert(content: bytes, *options: str, name: str = "b.pth", afterwards: str = "", **how: Any) -> Result:
        if afterwards:
            body = textwrap.indent(textwrap.dedent(afterwards).strip(), " " * 4).strip()
            source = AFTERWARDS.replace("BODY", body).replace("@KEY@", repr(str(tmp_path / "key")))
            (fakes / "torch.py").write_text(TORCH + source, "utf-8")
        (tmp_path / "have").mkdir(exist_ok=True)
        (tmp_path / "have" / name).write_bytes(content)
        file = {"path": f"a/{name}", "source": {"url": "https://example.org/b"}, "size": len(content), "licence": "MIT"}
        file = {**file, "sha256": hashlib.sha256(content).hexdigest(), "commercial": True, "why": "a test"}
        target = "a/c.safetensors" if name == "b.safetensors" else "a/b.safetensors"
        write_manifest(network, {**file, "convert": {"path": target, "half": True, **how}})
        store = ["--dir", str(tmp_path / "store")]
        brought = CliRunner().invoke(cli, ["weights", "pull", "grey", "--from", str(tmp_path / "have"), *store])
        assert brought.exit_code == 0, brought.output
        arguments = ["weights", "convert", "grey", "--runtime", "venv", "--python", str(python), *store, *options]
        return CliRunner().invoke(cli, arguments)

    return convert


def test_a_pickle_becomes_half_as_large_and_either_will_do(convert: Callable[..., Result], tmp_path: Path) -> None:
    content = pickle.dumps({"weight": [0.5] * 1000, "epoch": 7})
    done = convert(content)
    assert done.exit_code == 0, done.output
    assert "grey: b.pth: epoch is not a tensor (int); left out" in done.output
    assert "a/b.safetensors: 9.0 kB -> 2.1 kB" in done.output
    assert done.output.endswith("1 converted\n")
    view = Store(tmp_path / "store").view("grey")
    assert sorted(p.name for p in view.rglob("b.*")) == ["b.pth", "b.safetensors"]

    again = convert(content, "--drop-originals")
    assert again.output == "nothing left to convert\n"
    assert sorted(p.name for p in view.rglob("b.*")) == ["b.safetensors"]
    assert len(list((tmp_path / "store/blobs").iterdir())) == 1, "the original is gone from the store as well"
    brought = CliRunner().invoke(cli, ["weights", "pull", "grey", "--dir", str(tmp_path / "store")])
    assert brought.output.startswith("1 of 1 files are there\n"), "what was repacked is not downloaded again"
    checked = CliRunner().invoke(cli, ["weights", "path", "grey", "--dir", str(tmp_path / "store")])
    assert checked.output == f"{view}\n"


def test_values_that_fp16_cannot_hold_are_refused(convert: Callable[..., Result]) -> None:
    done = convert(pickle.dumps({"weight": [1e6]}))
    assert "error: grey cannot be converted: b.pth: weight has values that fp16 cannot hold\n" in done.output


def test_a_pickle_that_runs_code_is_not_opened_outside_a_container(convert: Callable[..., Result]) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.system, ("touch /tmp/faceorch-was-here",)

    done = convert(b"cos\nsystem\n" + pickle.dumps(Hostile()))
    assert (
        "error: grey cannot be converted: b.pth is a pickle that needs a sandbox: Unsupported global: os.system\n"
        in done.output
    )


@pytest.mark.parametrize(
    ("content", "how", "message"),
    [
        ({"weight": [1.0]}, {"key": "params"}, "b.pth has no entry 'params'"),
        ({"epoch": 1}, {}, "b.pth holds no tensors"),
    ],
)
def test_what_cannot_be_converted_is_named(
    convert: Callable[..., Result], content: Any, how: dict[str, Any], message: str
) -> None:
    done = convert(pickle.dumps(content), **how)
    assert f"error: grey cannot be converted: {message}\n" in done.output


def test_a_damaged_repacked_file_is_not_used(convert: Callable[..., Result], tmp_path: Path) -> None:
    store = ["--dir", str(tmp_path / "store")]
    convert(pickle.dumps({"weight": [0.5] * 1000}))
    view = Store(tmp_path / "store").view("grey")
    (view / "a/b.safetensors").chmod(0o644)
    (view / "a/b.safetensors").write_bytes(b"")
    looked = CliRunner().invoke(cli, ["weights", "path", "grey", *store])
    assert looked.output == (
        "error: grey: weights have changed since they were last verified: a/b.safetensors\n"
        "  try: faceorch weights verify grey\n"
    )
    verified = CliRunner().invoke(cli, ["weights", "verify", "grey", *store])
    assert verified.output == (
        "grey/a/b.safetensors: empty (0 bytes)\ngrey/a/b.pth: right\n"
        "error: 1 file is wrong\n  try: faceorch weights pull grey\n"
    )
    CliRunner().invoke(cli, ["weights", "pull", "grey", *store])
    assert CliRunner().invoke(cli, ["weights", "path", "grey", *store]).output == f"{view}\n"
    assert sorted(p.name for p in view.rglob("b.*")) == ["b.pth"]


@pytest.mark.parametrize(
    ("afterwards", "reason"),
    [
        ("made.unlink(); made.symlink_to(key)", "b.safetensors is a link"),
        ("made.unlink(); made.hardlink_to(key)", "b.safetensors is a second name (hard link) of another file"),
        ("made.unlink(); made.mkdir()", "b.safetensors is a folder"),
        ("made.unlink(); os.mkfifo(made)", "b.safetensors is not a regular file"),
        ("made.unlink()", "b.safetensors does not exist"),
        ("os.truncate(made, 1 << 42)", f"b.safetensors has {1 << 42} bytes, "),
        (
            "made.parent.rename(out / 'real'); made.parent.symlink_to(key.parent); (key.parent / made.name).touch()",
            "b.safetensors cannot be opened: Not a directory",
        ),
        ("made.write_bytes(b'-----BEGIN PRIVATE KEY-----')", "it is not safetensors: it ends within its header"),
        (f"made.write_bytes({safetensors(('weight', 'F32', [1], 0, 4), data=bytes(4))!r})", "'weight' is F32, F16 was"),
    ],
)
def test_what_a_hostile_pickle_leaves_is_not_taken(
    convert: Callable[..., Result], tmp_path: Path, afterwards: str, reason: str
) -> None:
    key = tmp_path / "key"
    key.write_bytes(b"a private key")
    key.chmod(0o600)
    closed = "(out / 'closed').mkdir(); (out / 'closed/link').symlink_to(key); (out / 'closed').chmod(0o500)"
    done = convert(pickle.dumps({"weight": [0.5] * 1000}), afterwards=f"{afterwards}\n{closed}")
    said = "error: grey cannot be converted: what its environment made of a/b.pth is not used: "
    assert f"{said}{reason}" in done.output
    assert "try: go on with the original, which is as it was" in done.output
    assert (key.read_bytes(), stat.S_IMODE(key.stat().st_mode)) == (b"a private key", 0o600)
    store = Store(tmp_path / "store")
    assert len(list((store.root / "blobs").iterdir())) == 1, "the original"
    assert list((store.root / "partial").iterdir()) == []
    assert [path.name for path in store.view("grey").rglob("b.*")] == ["b.pth"]


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (safetensors(HALF, data=b"1234"), None),
        (safetensors(("weight", "F16", [1, 2], 0, 4), data=b"1234"), "'weight' is not F16 of shape [2] as in the"),
        (safetensors(("weight", "I16", [2], 0, 4), data=b"1234"), "'weight' is not F16 of shape [2] as in the"),
        (safetensors(("other", "F16", [2], 0, 4), data=b"1234"), "'weight' is not F16 of shape [2] as in the original"),
        (safetensors(HALF, ("x", "F16", [1], 4, 6), data=b"123456"), "the original has no 'x'"),
    ],
)
def test_of_safetensors_every_tensor_is_held_to_the_original(
    convert: Callable[..., Result], tmp_path: Path, made: bytes, reason: str | None
) -> None:
    content = safetensors(("weight", "F64", [2], 0, 16), data=bytes(16))
    afterwards = f"(out / 'a/c.safetensors').write_bytes({made!r})"
    done = convert(content, name="b.safetensors", afterwards=afterwards)
    if reason is None:
        assert done.output.endswith("1 converted\n")
    else:
        assert f"what its environment made of a/b.safetensors is not used: {reason}" in done.output
