"""A SPADE decoder in other steps, on a CPU; and that NVRTC takes its kernels."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="no torch is installed here")

half = pytest.importorskip("faceorch_kit.half")
nvrtc = pytest.importorskip("faceorch_kit.nvrtc")
nn, functional = torch.nn, torch.nn.functional


class SPADE(nn.Module):  # type: ignore[misc, name-defined]
    """A layer as Park et al. 2019 describe it, with the names that both upstreams use."""

    def __init__(self, channels: int, seen: int) -> None:
        super().__init__()
        self.mlp_shared = nn.Sequential(nn.Conv2d(seen, 8, 3, padding=1), nn.ReLU())
        self.mlp_gamma, self.mlp_beta = (nn.Conv2d(8, channels, 3, padding=1) for _ in range(2))

    def forward(self, x: Any, seen: Any) -> Any:
        hidden = self.mlp_shared(functional.interpolate(seen, size=x.shape[2:]))
        return functional.instance_norm(x) * (1 + self.mlp_gamma(hidden)) + self.mlp_beta(hidden)


class Block(nn.Module):  # type: ignore[misc, name-defined]
    """A residual block; with a shortcut of its own where its width changes."""

    def __init__(self, before: int, after: int, seen: int) -> None:
        super().__init__()
        middle = min(before, after)
        self.learned_shortcut = before != after
        self.conv_0, self.conv_1 = nn.Conv2d(before, middle, 3, padding=1), nn.Conv2d(middle, after, 3, padding=1)
        self.norm_0, self.norm_1 = SPADE(before, seen), SPADE(middle, seen)
        if self.learned_shortcut:
            self.conv_s, self.norm_s = nn.Conv2d(before, after, 1, bias=False), SPADE(before, seen)

    def forward(self, x: Any, seen: Any) -> Any:
        inner = self.conv_0(functional.leaky_relu(self.norm_0(x, seen), 0.2))
        inner = self.conv_1(functional.leaky_relu(self.norm_1(inner, seen), 0.2))
        return inner + (self.conv_s(self.norm_s(x, seen)) if self.learned_shortcut else x)


class Decoder(nn.Module):  # type: ignore[misc, name-defined]
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Conv2d(8, 16, 3, padding=1)
        for index in range(6):
            setattr(self, f"G_middle_{index}", Block(16, 16, 8))
        self.up_0, self.up_1, self.up = Block(16, 16, 8), Block(16, 8, 8), nn.Upsample(scale_factor=2)
        self.conv_img = nn.Conv2d(8, 3, 3, padding=1)

    def forward(self, seen: Any) -> Any:
        x = self.fc(seen)
        for index in range(6):
            x = getattr(self, f"G_middle_{index}")(x, seen)
        x = self.up_1(self.up(self.up_0(self.up(x), seen)), seen)
        return torch.sigmoid(self.conv_img(functional.leaky_relu(x, 0.2)))


def test_other_steps_paint_the_same_picture() -> None:
    torch.manual_seed(0)
    decoder, seen = Decoder().eval(), torch.randn(2, 8, 6, 5)
    with torch.no_grad():
        wanted, found = decoder(seen), half.SpadeDecoder(decoder, torch.device("cpu"))(seen)
    assert wanted.std() > 0.05
    assert torch.allclose(found, wanted, atol=1e-4)


def test_a_half_copy_leaves_the_network_and_its_norms_as_they_are() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Linear(2, 2))
    twin = half.half_copy(network)
    assert [module.weight.dtype for module in twin] == [torch.float16, torch.float32, torch.float16]
    assert {module.weight.dtype for module in network} == {torch.float32}


@pytest.mark.parametrize("architecture", ["sm_75", "sm_80", "sm_90a"])
def test_nvrtc_takes_the_kernels(architecture: str) -> None:
    try:
        binary = nvrtc.compile_for(half.SOURCE, architecture)
    except (ImportError, nvrtc.KernelError) as error:
        if "no NVRTC" in str(error) or isinstance(error, ImportError):
            pytest.skip(f"no NVRTC here: {error}")
        raise
    for name in ("sums", "moments", "modulate", "finish", "enlarge", "inputs", "gather", "moved"):
        assert name.encode() in binary
