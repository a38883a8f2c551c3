"""Pickles to safetensors: the tensors, with torch itself where it is."""

from __future__ import annotations

from pathlib import Path

import pytest


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
