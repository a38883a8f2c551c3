"""What opens CUDA's libraries runs on any device."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="no torch is installed here")

libraries = pytest.importorskip("faceorch_kit.libraries")


def test_a_product_and_a_convolution_are_made_on_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    convolve = torch.nn.functional.conv1d

    def conv1d(x: object, weight: object) -> object:
        made.append((x.shape, x.device.type))  # type: ignore[attr-defined]
        return convolve(x, weight)

    monkeypatch.setattr(torch.nn.functional, "conv1d", conv1d)
    libraries.open_libraries("cpu")
    assert made == [((1, 8, 8), "cpu")]


def test_kernels_are_compiled_ahead_for_tuned_jobs_on_a_gpu_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[object] = []
    monkeypatch.setattr(libraries, "prepare", compiled.append)
    libraries.open_libraries("cpu", tuned=True)
    assert compiled == []
