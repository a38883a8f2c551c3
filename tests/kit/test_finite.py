"""Steps that make something of nothing say so."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="no torch is installed here")

only_of_finite = pytest.importorskip("faceorch_kit.finite").only_of_finite
latent = pytest.importorskip("faceorch_kit.latent")


@pytest.mark.parametrize("kind", ["float16", "float32"])
def test_what_is_made_of_finite_values_stays_as_it_is(kind: str) -> None:
    made = torch.randn(2, 3, 4, 4).to(getattr(torch, kind)).contiguous(memory_format=torch.channels_last)
    found = only_of_finite(made, torch.ones(3))
    assert torch.equal(found, made)
    assert (found.dtype, found.stride()) == (made.dtype, made.stride())


def test_no_number_is_made_outside_of_the_device() -> None:
    """As torch does for `where` with a number: on a GPU it is copied there, in the middle of a CUDA graph."""
    from torch.utils._python_dispatch import TorchDispatchMode

    seen: list[str] = []

    class Watched(TorchDispatchMode):  # type: ignore[misc]  # torch is not installed where types are checked
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            seen.append(str(func))
            return func(*args, **(kwargs or {}))

    with Watched():
        torch.where(torch.ones(1) > 0, torch.ones(1), torch.nan)
        assert "aten.scalar_tensor.default" in seen
        seen.clear()
        only_of_finite(torch.ones(2), torch.ones(3))
    assert "aten.where.self" in seen
    assert not {"aten.scalar_tensor.default", "aten._to_copy.default"} & set(seen)


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_what_is_made_of_others_is_not_a_number(value: str) -> None:
    grid = torch.zeros(1, 2, 4, 4, 3)
    grid[0, 1, 1, 2, 0] = float(value)
    sampled = torch.nn.functional.grid_sample(torch.ones(1, 1, 2, 4, 4), grid, align_corners=False)
    assert torch.isfinite(sampled).all(), "the grid's fault cannot be seen"
    assert torch.isnan(only_of_finite(sampled, grid)).all()


@pytest.mark.parametrize(("value", "seen"), [(0.5, 0.75), (9.0, 1.0), (float("inf"), None), (float("nan"), None)])
def test_decoded_pictures_are_within_their_bounds_or_not_a_number(value: float, seen: float | None) -> None:
    vae = SimpleNamespace(decode=lambda part: SimpleNamespace(sample=torch.full((len(part), 3, 8, 8), value)))
    found: list[Any] = list(latent.decode(vae, torch.zeros(2, 4, 1, 1)))
    assert len(found) == 2
    assert all((picture == seen).all() if seen is not None else torch.isnan(picture).all() for picture in found)
