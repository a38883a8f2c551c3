"""Fit stand-in weights to portraits, so that the networks paint faces: random weights cannot show what changes a face.

    python benchmarks/fit.py NETWORK WEIGHTS TO --portrait FILE [--portrait FILE ...] [--clip FILE] [--seconds N]

NETWORK is liveportrait or sadtalker, WEIGHTS a folder of stand-ins (`faceorch smoke --full` makes them), TO a new
folder with the same files but for the painting networks: warping network and decoder learn to paint each portrait,
moved as its keypoints have moved, until the seconds are over. The keypoints are those of jobs with this clip. What they
learn is these portraits and nothing else. To be run in the network's own environment, with its upstream code,
docker/runner and docker/kit on PYTHONPATH; a GPU needs a minute or two.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as functional
import yaml

from faceorch_runner import Job, Network, Progress
from faceorch_runner.events import EventStream
from faceorch_runner.network import load_module, load_network

ROOT = Path(__file__).resolve().parents[1]
_RATE = 3e-4  # of Adam; rises for the first steps, then falls to nothing
_FIRST_STEPS = 20
_LEAST_SCALE, _MOST_SCALE, _MOST_TURN, _MOST_SHIFT = 0.85, 1.2, 0.3, 0.15  # of a head, in -1..1 across a picture


@dataclass(frozen=True, eq=False)
class Sitter:
    """A portrait as the networks see it: the picture (3, side, side) in 0..1 that is right for keypoints at `rest`
    (points, 2 or 3), `moved` keypoints (frames, ...), and what paints others."""

    picture: torch.Tensor
    rest: torch.Tensor
    moved: torch.Tensor
    paint: Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Task:
    """Who is to be painted, by which networks, with how many frames at once, and how these are written to a folder."""

    sitters: Sequence[Sitter]
    networks: Mapping[str, torch.nn.Module]
    batch: int
    write: Callable[[Path], None]


class _Seen(Exception):
    """A job has come to its frames; the rest of it is not wanted."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", choices=_TASKS)
    parser.add_argument("weights", type=Path)
    parser.add_argument("to", type=Path)
    parser.add_argument("--portrait", type=Path, action="append", required=True)
    parser.add_argument("--clip", type=Path, default=ROOT / "assets/clip.wav")
    parser.add_argument("--seconds", type=float, default=60.0)
    given = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    code = ROOT / "docker" / given.network / "code"
    network = load_network(code, given.network)
    network.setup(given.weights, device)
    shutil.copytree(given.weights, given.to)
    with tempfile.TemporaryDirectory(prefix="fit-") as work:
        task = _TASKS[given.network](network, code, given.weights, list(_jobs(given, Path(work))))
    steps, loss = fit(task, given.seconds, device)
    task.write(given.to)
    print(f"{given.to}: {steps} steps, off by {loss * 255:.1f} of 255 in the mean")


def fit(task: Task, seconds: float, device: str) -> tuple[int, float]:
    """Train the networks; return how many steps there were, and the mean difference in the last of them.

    On a GPU in fp16, in which they run: with more room above, values grow that fp16 does not hold.
    """
    on_gpu = device == "cuda"
    kind, scaler = torch.float16 if on_gpu else torch.bfloat16, torch.amp.GradScaler(device, enabled=on_gpu)
    trained = [value for network in task.networks.values() for value in network.parameters()]
    for value in trained:
        value.requires_grad_(True)
    optimiser = torch.optim.Adam(trained, betas=(0.5, 0.99))
    dice = torch.Generator().manual_seed(0)
    off: list[float] = []
    began_s, step, share = time.monotonic(), 0, 0.0
    while share < 1.0:
        for group in optimiser.param_groups:
            group["lr"] = _RATE * min(1.0, (step + 1) / _FIRST_STEPS) * (1.0 - share)
        sitter = task.sitters[step % len(task.sitters)]
        chosen = torch.randint(len(sitter.moved), (task.batch,), generator=dice)
        strength = torch.rand((task.batch, 1, 1), generator=dice).to(device)
        points = sitter.rest + strength * (sitter.moved[chosen.to(device)] - sitter.rest)
        wanted = moved_picture(sitter.picture, sitter.rest, points)
        with torch.autocast(device, dtype=kind):
            painted = sitter.paint(points)
        painted = functional.interpolate(painted.float(), wanted.shape[2:])  # small stand-ins paint smaller
        near = (painted - wanted).abs().mean()
        loss = near + (functional.avg_pool2d(painted, 8) - functional.avg_pool2d(wanted, 8)).abs().mean()
        optimiser.zero_grad(set_to_none=True)
        scaler.scale(loss).backward()
        scaler.unscale_(optimiser)
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        scaler.step(optimiser)
        scaler.update()
        off = [*off[-19:], float(near.detach())]
        step += 1
        share = (time.monotonic() - began_s) / seconds
    for value in trained:
        value.requires_grad_(False)
    return step, sum(off) / len(off)


def moved_picture(picture: torch.Tensor, rest: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """Return pictures (n, 3, side, side) that turned, shifted and grew as points (n, k, 2 or 3) did from those at rest.

    By the least squares that fit them as a whole, within limits.
    """
    here, there = rest[:, :2].float(), points[..., :2].float()
    middle, middles = here.mean(dim=0), there.mean(dim=1)
    own, theirs = here - middle, there - middles[:, None]
    along = (own * theirs).sum(dim=(1, 2)) / own.square().sum()
    across = (own[:, 0] * theirs[..., 1] - own[:, 1] * theirs[..., 0]).sum(dim=1) / own.square().sum()
    scale = torch.hypot(along, across).clamp(_LEAST_SCALE, _MOST_SCALE)
    turn = torch.atan2(across, along).clamp(-_MOST_TURN, _MOST_TURN)
    shift = (middles - middle).clamp(-_MOST_SHIFT, _MOST_SHIFT)
    # Where each new pixel is from: turned and scaled back around the middle, which is 0.
    cos, sin = torch.cos(turn) / scale, torch.sin(turn) / scale
    back = torch.stack([torch.stack([cos, sin], dim=1), torch.stack([-sin, cos], dim=1)], dim=1)
    theta = torch.cat([back, -(back @ shift[..., None])], dim=2)
    pictures = picture.expand(len(points), -1, -1, -1)
    grid = functional.affine_grid(theta, list(pictures.shape), align_corners=False)
    return functional.grid_sample(pictures, grid, padding_mode="border", align_corners=False)


def _jobs(given: argparse.Namespace, work: Path) -> Iterator[Job]:
    manifest = yaml.safe_load((ROOT / "docker" / given.network / "network.yaml").read_text("utf-8"))
    settings = {name: entry["default"] for name, entry in manifest["settings"].items()}
    if (given.weights / "models.yaml").is_file() or (given.weights / "dimensions.json").is_file():  # small stand-ins
        settings |= manifest["smoke"]["settings"]
    for number, portrait in enumerate(given.portrait):
        yield Job(
            id=f"fit{number}",
            portrait=portrait,
            audio=given.clip,
            seed=number,
            settings=settings,
            work=work,
        )


def _until_frames(network: Network, job: Job) -> None:
    """Do a job until somebody has seen enough of it."""
    try:
        with open(os.devnull, "wb") as nothing:
            network.animate(replace(job, found=network.check(job)), Progress(EventStream(nothing.fileno()), job.id))
    except _Seen:
        return
    raise SystemExit(f"{job.portrait}: the job came to its end unseen")


def _bytes_as_picture(picture: Any, device: str) -> torch.Tensor:
    return torch.from_numpy(picture.copy()).to(device).permute(2, 0, 1).float() / 255.0


def _liveportrait(network: Any, code: Path, weights: Path, jobs: Sequence[Job]) -> Task:
    render, models = (load_module(code, "liveportrait", name) for name in ("render", "models"))
    device = str(network._models.device)
    warp, paint = network._models.read_painters()
    _settle(torch.load(weights / models.BASE / "spade_generator.pth", map_location="cpu"), paint)
    crops: list[Any] = []
    cropped, sitters = network._crop, []

    def crop(*given: Any) -> Any:
        crops.append(cropped(*given))
        return crops[-1]

    def seen(_renderer: Any, look: Any, moved: Any, *_rest: Any) -> None:
        rest = torch.from_numpy(look.portrait.keypoints()).to(device)

        def painted(points: torch.Tensor) -> torch.Tensor:
            return torch.as_tensor(paint(render._warped(warp, look.volume, rest[None], points)))

        picture = _bytes_as_picture(crops[-1].picture, device)
        sitters.append(Sitter(picture, rest, torch.from_numpy(moved).to(device), painted))
        raise _Seen

    network._crop, render.Renderer.render = crop, seen
    for job in jobs:
        _until_frames(network, job)
    fitted = {"warping_module": warp, "spade_generator": paint}

    def write(folder: Path) -> None:
        for name, net in fitted.items():
            path = folder / models.BASE / f"{name}.pth"
            torch.save(_as_written(torch.load(path, map_location="cpu"), net), path)

    return Task(sitters, fitted, 4, write)


def _sadtalker(network: Any, code: Path, weights: Path, jobs: Sequence[Job]) -> Task:
    from safetensors.torch import load_file, save_file

    render, files = (load_module(code, "sadtalker", name) for name in ("render", "files"))
    sitters, nets = [], {}

    def seen(renderer: Any, square: Any, source: Any, rows: Any, *_rest: Any, **_more: Any) -> Any:
        device, net = renderer._device, renderer._net
        picture = _bytes_as_picture(square, device)
        near = torch.from_numpy(rows[render.neighbours(len(rows))]).to(device)
        own = torch.from_numpy(source[None, None, : renderer.width].repeat(2 * render.RADIUS + 1, axis=1)).to(device)
        with torch.no_grad():
            features = renderer._features(picture[None])
            canonical = renderer._keypoints(picture[None])["value"]
            rest, moved = renderer._place(canonical, own), renderer._place(canonical, near)

        def painted(points: torch.Tensor) -> torch.Tensor:
            return torch.as_tensor(net.decoder(renderer._warped(features, rest, points)))

        sitters.append(Sitter(picture, rest[0], moved, painted))
        nets["generator"] = net
        raise _Seen

    render.Renderer.draw = seen
    for job in jobs:
        _until_frames(network, job)
    fitted = {name: getattr(nets["generator"], name) for name in ("dense_motion_network", "third", "fourth", "decoder")}
    file, prefix = files.main_file(int(jobs[0].settings["size"])), "generator."
    before = load_file(weights / file)
    own = {name.removeprefix(prefix): value for name, value in before.items() if name.startswith(prefix)}
    _settle(own, nets["generator"])

    def write(folder: Path) -> None:
        after = {prefix + name: value.contiguous() for name, value in _as_written(own, nets["generator"]).items()}
        save_file(before | after, folder / file)

    return Task(sitters, fitted, 2, write)


def _settle(before: Mapping[str, torch.Tensor], network: torch.nn.Module) -> None:
    """Give weights that were divided by a spectral norm the norm 1.

    Stand-ins divide by what random u and v say, and their pictures are black and white: nothing to learn from.
    """
    modules = dict(network.named_modules())
    for name in before:
        if name.endswith("weight_orig"):
            weight = modules[name.removesuffix(".weight_orig")].weight.data
            u, v = _singular(weight.flatten(1), torch.ones(len(weight), device=weight.device))
            weight /= torch.dot(u, weight.flatten(1) @ v)


def _singular(flat: torch.Tensor, u: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the singular vectors u and v of a matrix whose value u W v is largest, by power iterations from u."""
    for _ in range(8):
        v = functional.normalize(flat.T @ u, dim=0)
        u = functional.normalize(flat @ v, dim=0)
    return u, v


def _as_written(before: Mapping[str, torch.Tensor], network: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Return the network's tensors as `before` has them, where weights were divided by their spectral norm u W v.

    The u of such a weight is made shorter until that norm is 1.
    """
    now = {name: value.detach().float().cpu() for name, value in network.state_dict().items()}
    written = {name: now.get(name, value) for name, value in before.items()}
    for name in before:
        if name.endswith("weight_orig"):
            weight = now[name.removesuffix("_orig")]
            u, v = _singular(weight.flatten(1), torch.ones(len(weight)))
            written[name] = weight
            written[name.removesuffix("orig") + "u"] = u / torch.dot(u, weight.flatten(1) @ v)
            written[name.removesuffix("orig") + "v"] = v
    return written


_TASKS: dict[str, Callable[[Any, Path, Path, Sequence[Job]], Task]] = {
    "liveportrait": _liveportrait,
    "sadtalker": _sadtalker,
}

if __name__ == "__main__":
    main()
