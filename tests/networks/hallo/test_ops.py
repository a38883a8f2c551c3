"""The steps that kernels.cu has on a GPU, as torch computes them elsewhere; and that NVRTC takes the kernels."""

from __future__ import annotations

import re

import pytest

from faceorch.paths import docker_folder
from tests.networks.conftest import load_code

torch = pytest.importorskip("torch", reason="the network's own torch is not installed here")

ops = load_code("hallo", "ops")
nvrtc = pytest.importorskip("faceorch_kit.nvrtc")


@pytest.fixture(autouse=True)
def same_numbers() -> None:
    torch.manual_seed(0)


def test_rows_and_pictures_are_each_others_way_back() -> None:
    pictures = torch.randn(4, 8, 3, 5)
    rows = ops.to_rows(pictures)
    assert rows.shape == (4, 15, 8)
    assert torch.equal(ops.to_pictures(rows, (3, 5)), pictures)
    assert torch.equal(ops.to_rows(pictures, bend=True), torch.nn.functional.silu(rows))


def test_pictures_get_bias_time_and_what_was_before() -> None:
    rows, bias, time, before = torch.randn(4, 6, 8), torch.randn(8), torch.randn(2, 8), torch.randn(4, 8, 2, 3)
    found = ops.to_pictures(rows, (2, 3), bias=bias, time=time, before=before)
    wanted = before + (
        ops.to_pictures(rows, (2, 3)) + bias[:, None, None] + time.repeat_interleave(2, 0)[..., None, None]
    )
    assert torch.allclose(found, wanted, atol=1e-6)


def test_motion_frames_are_left_out_of_each_half() -> None:
    rows = torch.randn(6, 4, 8)
    assert torch.equal(ops.to_pictures(rows, (2, 2), frames=2, skip=1), ops.to_pictures(rows[[1, 2, 4, 5]], (2, 2)))


def test_time_goes_to_the_front_and_back() -> None:
    rows, when = torch.randn(2, 3, 5, 8), torch.randn(3, 8)
    there = ops.time_in(rows, when)
    assert there.shape == (2, 5, 3, 8)
    assert torch.allclose(ops.time_out(there, rows), 2 * rows + when[:, None], atol=1e-6)


def test_attention_over_time_is_that_of_each_place_alone() -> None:
    qkv, when = torch.randn(2, 5, 3, 3 * 8), torch.randn(5, 3 * 8)
    found = ops.over_time(qkv, when, heads=2, queries=4)
    query, key, value = ((qkv + when[:, None])[1, :, 2].unflatten(1, (3, 2, 4))).permute(1, 2, 0, 3)
    wanted = torch.softmax(query @ key.transpose(1, 2) / 2.0, -1) @ value
    assert torch.allclose(found[1, :, 2], wanted[:, 1:].permute(1, 0, 2).flatten(1), atol=1e-5)


def test_rows_are_normalised_as_pictures_are() -> None:
    norm = torch.nn.GroupNorm(4, 8)
    torch.nn.init.normal_(norm.weight)
    pictures, extra = torch.randn(2, 8, 3, 3), torch.randn(8)
    with torch.no_grad():
        wanted = torch.nn.functional.silu(norm(pictures + extra[:, None, None]))
        found = ops.group_norm(ops.to_rows(pictures), norm, bend=True, extra=extra)
    assert torch.allclose(found, ops.to_rows(wanted), atol=1e-5)


def test_doubled_pictures_have_each_place_four_times() -> None:
    pictures = torch.randn(2, 8, 3, 5)
    doubled = ops.to_pictures(ops.double_rows(ops.to_rows(pictures), (3, 5)), (6, 10))
    assert torch.equal(doubled, torch.nn.functional.interpolate(pictures, scale_factor=2.0, mode="nearest"))


def test_rows_are_added_and_normalised() -> None:
    norm = torch.nn.LayerNorm(8)
    x, more = torch.randn(2, 3, 8), torch.randn(2, 3, 8)
    with torch.no_grad():
        both, normal = ops.add_norm(x, more, norm)
        assert torch.equal(both, x + more)
        assert torch.equal(normal, ops.layer_norm(both, norm))


def test_what_is_added_with_a_norm() -> None:
    norm = torch.nn.LayerNorm(8)
    x, more, bias, after = torch.randn(2, 5, 3, 8), torch.randn(2, 4, 3, 8), torch.randn(8), torch.randn(3, 8)
    with torch.no_grad():
        both, normal = ops.add_norm(x, more, norm, bias=bias, after=after)
        wanted = x[:, 1:] + more + bias
        assert torch.allclose(both, wanted + after, atol=1e-6)
        assert torch.allclose(normal, norm(wanted), atol=1e-6)


def test_pictures_take_the_portraits_halves_in_turn() -> None:
    packed, portrait = torch.randn(4, 3, 3 * 8), torch.randn(2, 5, 2 * 8)
    found = ops.beside(packed, portrait)
    assert torch.equal(found[:, :3], packed[:, :, 8:])
    assert torch.equal(found[:, 3:], portrait.repeat(2, 1, 1))


def test_a_gated_layer_is_its_values_times_bent_gates() -> None:
    layer, x = torch.nn.Linear(8, 32), torch.randn(2, 3, 8)
    with torch.no_grad():
        value, gate = layer(x).chunk(2, -1)
        found = ops.gated(x, layer.weight, layer.bias)
    assert torch.allclose(found, value * torch.nn.functional.gelu(gate), atol=1e-6)


def test_three_weighted_parts_are_added() -> None:
    parts, biases = torch.randn(3, 2, 4, 8), torch.randn(3, 8)
    places, weights = torch.randn(2, 4, 8), (1.0, 0.5, 2.0)
    wanted = places + sum(w * (part + bias) for part, bias, w in zip(parts, biases, weights, strict=True))
    assert torch.allclose(ops.mix(parts, biases, weights, places), wanted, atol=1e-5)


@pytest.mark.parametrize("architecture", ["sm_75", "sm_80", "sm_90", "sm_90a"])
def test_nvrtc_compiles_every_kernel_without_a_gpu(architecture: str) -> None:
    try:
        binary = nvrtc.compile_for(ops.SOURCE, architecture)
    except (ImportError, nvrtc.KernelError) as error:
        if "no NVRTC" not in str(error) and not isinstance(error, ImportError):
            raise
        pytest.skip("torch brings no NVRTC here")
    folder = docker_folder() / "hallo" / "code"
    source = (folder / "kernels.cu").read_text("utf-8")
    names = re.findall(r"^extern \"C\" __global__ void\s+(?:__launch_bounds__\(.*?\)\s+)?(\w+)\(", source, re.MULTILINE)
    used = set(re.findall(r'"(\w+)"', (folder / "ops.py").read_text("utf-8")))
    assert len(names) == source.count('extern "C"')
    assert set(names) <= used, "every kernel is used"
    assert all(name.encode() in binary for name in names)
