"""Pickles to safetensors: the host's part with a stand-in for torch, the tensors with torch itself where it is."""

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
from tests.weights.conftest import write_manifest

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
import pickle
def save_file(tensors, path): pickle.dump({k: v.array for k, v in tensors.items()}, open(path, "wb"))
def load_file(path):
    import torch
    return {k: torch.Tensor(v) for k, v in pickle.load(open(path, "rb")).items()}
"""


@pytest.fixture
def convert(tmp_path: Path, make_network: MakeNetwork) -> Callable[..., Result]:
    """Return a function that adopts a pickle as the network's weights and converts it."""
    fakes = tmp_path / "fakes"
    (fakes / "safetensors").mkdir(parents=True)
    (fakes / "torch.py").write_text(textwrap.dedent(TORCH), "utf-8")
    (fakes / "safetensors/torch.py").write_text(SAFETENSORS, "utf-8")
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH="{fakes}:$PYTHONPATH" exec {sys.executable} "$@"\n', "utf-8")
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    network = make_network("grey")

    def convert(content: bytes, *options: str, **how: Any) -> Result:
        (tmp_path / "have").mkdir(exist_ok=True)
        (tmp_path / "have/b.pth").write_bytes(content)
        file = {"path": "a/b.pth", "source": {"url": "https://example.org/b"}, "size": len(content), "licence": "MIT"}
        file = {**file, "sha256": hashlib.sha256(content).hexdigest(), "commercial": True, "why": "a test"}
        write_manifest(network, {**file, "convert": {"path": "a/b.safetensors", "half": True, **how}})
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
    assert "grey: b.pth: epoch is no tensor (int); left out" in done.output
    assert "a/b.safetensors: 9.0 kB -> 2.2 kB" in done.output
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


def test_tensors_come_back_as_they_were(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="torch is not part of this environment")
    safetensors = pytest.importorskip("safetensors.torch")
    from faceorch_runner.convert import convert

    shared = torch.arange(6.0).reshape(2, 3)
    state = {
        "w": shared,
        "also_w": shared,
        "turned": shared.t(),
        "n": torch.tensor([1, 2]),
        "nan": torch.tensor([float("nan")]),
    }
    torch.save({"params": {"inner": state}, "epoch": 3}, tmp_path / "a.pth")
    convert(tmp_path / "a.pth", tmp_path / "x/a.safetensors", key="params", half=True, trusted=False)
    found = safetensors.load_file(tmp_path / "x/a.safetensors")
    assert set(found) == {f"inner.{name}" for name in state}
    assert found["inner.n"].dtype == torch.int64
    for name in ("w", "also_w", "turned"):
        assert torch.equal(found[f"inner.{name}"], state[name].half())
    convert(tmp_path / "a.pth", tmp_path / "y.safetensors", key="params", half=False, trusted=False)
    assert torch.equal(safetensors.load_file(tmp_path / "y.safetensors")["inner.turned"], shared.t())


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
