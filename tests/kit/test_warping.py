"""The warping network in other steps, on a CPU, beside a small one of our own."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from faceorch_runner import RunnerError

torch = pytest.importorskip("torch", reason="no torch is installed here")

warping = pytest.importorskip("faceorch_kit.half.warping")
nn, functional = torch.nn, torch.nn.functional
KEYPOINTS, KNOWN, DEPTH, SIDE = 3, 2, 4, 12
GIVEN = (KEYPOINTS + 1) * (1 + KNOWN)


def lively(channels: int) -> Any:
    """Return a batch norm that does something."""
    norm = nn.BatchNorm3d(channels)
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.5, 2.0)
    return norm


def block(before: int, after: int) -> Any:
    return SimpleNamespace(conv=nn.Conv3d(before, after, 3, padding=1), norm=lively(after))


class Network:
    """Works as the papers say, with the names that upstream's has; one convolution is wide, the others are narrow."""

    def __init__(self) -> None:
        downs, ups = [block(GIVEN, 10), block(10, 70)], [block(70, 6), block(6 + 10, 5)]
        last = block(5 + GIVEN, 5 + GIVEN)
        self.dense_motion_network = SimpleNamespace(
            num_kp=KEYPOINTS,
            compress=nn.Conv3d(3, KNOWN, 1),
            norm=lively(KNOWN).eval(),
            mask=nn.Conv3d(5 + GIVEN, KEYPOINTS + 1, 7, padding=3),
            occlusion=nn.Conv2d((5 + GIVEN) * DEPTH, 1, 7, padding=3),
            hourglass=SimpleNamespace(
                encoder=SimpleNamespace(down_blocks=downs), decoder=SimpleNamespace(up_blocks=ups, **vars(last))
            ),
        )
        self.third = SimpleNamespace(
            conv=nn.Conv2d(3 * DEPTH, 7, 3, padding=1), norm=nn.BatchNorm2d(7), ac=nn.LeakyReLU()
        )
        self.third.norm.running_var.uniform_(0.5, 2.0)
        self.fourth = nn.Conv2d(7, 7, 1)

    def __call__(self, volume: Any, still: Any, points: Any, least: float) -> Any:
        """One frame: features (1, 7, side, side) of a volume (1, 3, depth, side, side)."""
        dense = self.dense_motion_network
        seen = functional.relu(dense.norm(dense.compress(volume)))
        sides = [torch.linspace(-1, 1, side) for side in seen.shape[2:]]
        z, y, x = torch.meshgrid(*sides, indexing="ij")
        grid = torch.stack([x, y, z], dim=-1)
        moves = [grid] + [grid - to + source for to, source in zip(points, still, strict=True)]

        def near(point: Any) -> Any:
            return torch.exp(-((grid - point) ** 2).sum(-1) / 0.02)

        heat = [torch.zeros_like(x)] + [near(to) - near(source) for to, source in zip(points, still, strict=True)]
        given = [
            torch.cat([warmth[None, None], functional.grid_sample(seen, move[None], align_corners=False)], dim=1)
            for warmth, move in zip(heat, moves, strict=True)
        ]
        out = self.hourglass(torch.cat(given, dim=1))
        shares = dense.mask(out).softmax(dim=1)[0]
        shares = torch.where(shares < least, torch.zeros_like(shares), shares)
        goal = sum(share[..., None] * move for share, move in zip(shares, moves, strict=True))
        there = functional.grid_sample(volume, goal[None], align_corners=False).flatten(1, 2)
        features = self.fourth(self.third.ac(self.normed(self.third, there)))
        return features * torch.sigmoid(dense.occlusion(out.flatten(1, 2)))

    def hourglass(self, x: Any) -> Any:
        net, kept = self.dense_motion_network.hourglass, [x]
        for down in net.encoder.down_blocks:
            x = functional.avg_pool3d(functional.relu(self.normed(down, x)), (1, 2, 2))
            kept.append(x)
        kept.pop()
        for up in net.decoder.up_blocks:
            x = functional.relu(self.normed(up, functional.interpolate(x, scale_factor=(1, 2, 2))))
            x = torch.cat([x, kept.pop()], dim=1)
        return functional.relu(self.normed(net.decoder, x))

    @staticmethod
    def normed(layer: Any, x: Any) -> Any:
        return layer.norm.eval()(layer.conv(x))


@pytest.mark.parametrize("least", [0.0, 0.2])
def test_other_steps_give_the_same_features(least: float) -> None:
    torch.manual_seed(0)
    network = Network()
    volume, still = torch.randn(1, 3, DEPTH, SIDE, SIDE), torch.randn(KEYPOINTS, 3) * 0.4
    points = still + torch.randn(2, KEYPOINTS, 3) * 0.2
    with torch.no_grad():
        wanted = torch.cat([network(volume, still, each, least) for each in points])
        found = warping.Warp(network, torch.device("cpu"), least=least)(volume, still[None], points)
    assert wanted.std() > 0.05
    assert (wanted[0] - wanted[1]).abs().max() > 0.01, "keypoints change what comes out"
    assert torch.allclose(found, wanted, atol=1e-5)


def test_masks_that_are_too_large_for_their_type_are_not_hidden() -> None:
    network = Network()
    network.dense_motion_network.mask.weight.data.fill_(3e38)
    volume, still = torch.randn(1, 3, DEPTH, SIDE, SIDE), torch.randn(KEYPOINTS, 3) * 0.4
    with torch.no_grad():
        found = warping.Warp(network, torch.device("cpu"))(volume, still[None], still[None])
    assert torch.isnan(found).all()


@pytest.mark.parametrize("change", [{"num_kp": 64}, {"compress": nn.Conv3d(3, 9, 1)}])
def test_a_network_that_the_kernels_cannot_hold_is_refused(change: dict[str, Any]) -> None:
    network = Network()
    vars(network.dense_motion_network).update(change)
    with pytest.raises(RunnerError, match="set speed to exact"):
        warping.Warp(network, torch.device("cpu"))
