"""A denoising network of our own with upstream's structure, small; and what a job gives it. Needs torch."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch
from torch import nn

FRAMES, SIDE, HEADS, SOUND, TOKENS = 4, 8, 4, 16, 12


class Attention(nn.Module):  # type: ignore[misc]  # torch is not installed here
    def __init__(self, channels: int, other: int | None = None, over_time: bool = False) -> None:
        super().__init__()
        self.heads = HEADS
        self.to_q = nn.Linear(channels, channels, bias=False)
        self.to_k = nn.Linear(other or channels, channels, bias=False)
        self.to_v = nn.Linear(other or channels, channels, bias=False)
        self.to_out = nn.ModuleList([nn.Linear(channels, channels), nn.Dropout(0.0)])
        if over_time:
            self.pos_encoder = nn.Module()
            self.pos_encoder.register_buffer("pe", torch.randn(1, 16, channels))


class Bent(nn.Module):  # type: ignore[misc]
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.proj = nn.Linear(channels, 8 * channels)

    def forward(self, x: Any) -> Any:
        value, gate = self.proj(x).chunk(2, -1)
        return value * nn.functional.gelu(gate)


class Feed(nn.Module):  # type: ignore[misc]
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.net = nn.ModuleList([Bent(channels), nn.Dropout(0.0), nn.Linear(4 * channels, channels)])

    def forward(self, x: Any) -> Any:
        for layer in self.net:
            x = layer(x)
        return x


class TemporalBasicTransformerBlock(nn.Module):  # type: ignore[misc]
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(channels) for _ in range(3))
        self.attn1, self.attn2 = Attention(channels), Attention(channels, TOKENS)
        self.ff = Feed(channels)


class AudioTemporalBasicTransformerBlock(nn.Module):  # type: ignore[misc]
    def __init__(self, channels: int, depth: int) -> None:
        super().__init__()
        self.depth = depth
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(channels) for _ in range(3))
        self.attn1 = Attention(channels)
        self.attn2_0, self.attn2_1, self.attn2_2 = (Attention(channels, SOUND) for _ in range(3))
        self.zero_conv_full, self.zero_conv_face, self.zero_conv_lip = (nn.Conv2d(channels, channels, 1) for _ in "abc")
        self.ff = Feed(channels)


class Moving(nn.Module):  # type: ignore[misc]
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.attention_blocks = nn.ModuleList([Attention(channels, over_time=True) for _ in range(2)])
        self.norms = nn.ModuleList([nn.LayerNorm(channels) for _ in range(2)])
        self.ff, self.ff_norm = Feed(channels), nn.LayerNorm(channels)


def transformer(channels: int, block: Any, layer: Any) -> Any:
    whole = nn.Module()
    whole.norm = nn.GroupNorm(4, channels, eps=1e-6)
    whole.proj_in, whole.proj_out = layer(), layer()
    whole.transformer_blocks = nn.ModuleList([block])
    return whole


class ResnetBlock3D(nn.Module):  # type: ignore[misc]
    def __init__(self, channels: int, out: int, times: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.GroupNorm(4, channels), nn.GroupNorm(4, out)
        self.conv1, self.conv2 = nn.Conv2d(channels, out, 3, padding=1), nn.Conv2d(out, out, 3, padding=1)
        self.time_emb_proj = nn.Linear(times, out)
        self.conv_shortcut = None if channels == out else nn.Conv2d(channels, out, 1)


def level(channels: list[tuple[int, int]], times: int, depth: int, attends: bool) -> Any:
    block = nn.Module()
    block.resnets = nn.ModuleList([ResnetBlock3D(before, after, times) for before, after in channels])
    block.downsamplers = block.upsamplers = None
    if attends:
        outs = [after for _, after in channels]

        def conv(width: int) -> Any:
            return lambda: nn.Conv2d(width, width, 1)

        block.attentions = nn.ModuleList([transformer(c, TemporalBasicTransformerBlock(c), conv(c)) for c in outs])
        block.audio_modules = nn.ModuleList(
            [transformer(c, AudioTemporalBasicTransformerBlock(c, depth), conv(c)) for c in outs]
        )
        block.motion_modules = nn.ModuleList()
        for c in outs:
            motion = nn.Module()
            motion.temporal_transformer = transformer(c, Moving(c), lambda c=c: nn.Linear(c, c))
            block.motion_modules.append(motion)
    return block


class Denoising(nn.Module):  # type: ignore[misc]
    """Two levels, a middle, and the way back up."""

    def __init__(self) -> None:
        super().__init__()
        c, times = 16, 32
        self.conv_in, self.conv_out = nn.Conv2d(4, c, 3, padding=1), nn.Conv2d(c, 4, 3, padding=1)
        self.conv_norm_out = nn.GroupNorm(4, c)
        self.time_proj = lambda t: torch.stack([torch.cos(t * 0.01 * k) for k in range(8)], -1)
        self.time_embedding = nn.Linear(8, times)
        first, last = level([(c, c)], times, 0, True), level([(c, 2 * c)], times, 1, False)
        first.downsamplers = nn.ModuleList([nn.Module()])
        first.downsamplers[0].conv = nn.Conv2d(c, c, 3, stride=2, padding=1)
        self.down_blocks = nn.ModuleList([first, last])
        self.mid_block = level([(2 * c, 2 * c)], times, 1, True)
        self.mid_block.resnets.append(ResnetBlock3D(2 * c, 2 * c, times))
        up, top = (
            level([(4 * c, 2 * c), (3 * c, 2 * c)], times, 1, False),
            level([(3 * c, c), (2 * c, c)], times, 0, True),
        )
        up.upsamplers = nn.ModuleList([nn.Module()])
        up.upsamplers[0].conv = nn.Conv2d(2 * c, 2 * c, 3, padding=1)
        self.up_blocks = nn.ModuleList([up, top])


def network() -> Any:
    torch.manual_seed(3)
    return Denoising().requires_grad_(False).eval()


def job() -> SimpleNamespace:
    """Return the fields of `Conditions`, and a clip's banks, sound and latents."""
    torch.manual_seed(4)
    masks = [[torch.rand(1, (SIDE >> depth) ** 2).repeat(2 * FRAMES, 1) for depth in range(2)] for _ in range(3)]
    sound = torch.randn(1, FRAMES, 5, SOUND)
    return SimpleNamespace(
        conditions={
            "tokens": torch.randn(2, 3, TOKENS),
            "face": torch.randn(2 * FRAMES, 16, SIDE, SIDE),
            "masks": masks,
            "weights": (1.0, 0.5, 1.5),
            "times": torch.tensor([900, 400]),
            "frames": FRAMES,
        },
        # Largest layers first: the middle's, then those of both ends.
        banks=[torch.randn(6, (SIDE // 2) ** 2, 32), *(torch.randn(6, SIDE**2, 16) for _ in range(3))],
        sound=torch.cat([torch.zeros_like(sound), sound]),
        latents=torch.randn(1, 4, FRAMES, SIDE, SIDE),
    )
