"""`faceorch build`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from faceorch.cli.types import BaseName, NetworkName

if TYPE_CHECKING:
    from docker import APIClient
    from rich.console import Console

    from faceorch.images import Builder, Recipe


@click.command()
@click.argument("networks", nargs=-1, type=NetworkName())
@click.option(
    "--base",
    type=BaseName(),
    help="Build on this base; default: the first of a network's own that has kernels for every GPU of this host.",
)
@click.option("--base-image", metavar="REF", help="Build on this image instead of the pinned one.")
@click.option("--no-cache", is_flag=True, help="Build every layer anew.")
def command(networks: tuple[str, ...], base: str | None, base_image: str | None, no_cache: bool) -> None:
    """Build the images of NETWORKS (default: every network that has a Dockerfile).

    An image's tag is the hash of all that goes in: what is there already is not built again.

    \b
    Examples:
      faceorch build
      faceorch build baseline --base-image registry.example/debian:12
    """
    from rich.console import Console

    from faceorch import images
    from faceorch.bases import choose_base, load_bases, pick_base
    from faceorch.engine import connect
    from faceorch.errors import CannotRun
    from faceorch.networks import load_networks, pick
    from faceorch.telemetry.nvml import read_gpus

    known = load_networks()
    chosen = [pick(known, name) for name in networks] or list(known.values())
    console = Console(highlight=False, soft_wrap=True)
    for network in [n for n in chosen if n.missing_files]:
        reason = f"its image is not part of faceorch yet: {', '.join(network.missing_files)} missing"
        if networks:
            raise CannotRun(f"{network.name} cannot be built: {reason}", "update faceorch when it is released")
        console.print(f"{network.name}: skipped: {reason}")
    gpus = read_gpus().gpus
    api = connect()
    present = {image.inputs: image for image in images.ours(api)}
    for network in [n for n in chosen if not n.missing_files]:
        names = network.manifest.needs.bases if base is None else (pick_base(load_bases(), base).name,)
        covering = choose_base(names, gpus if network.manifest.needs.gpu else ())
        recipe = images.make_recipe(network, covering.name if covering else names[0], base_image)
        if recipe.inputs in present and not no_cache:
            console.print(f"{network.name}: {recipe.tag} is there and current")
            continue
        _build(api, recipe, images.find_builder(), no_cache, console)


def _build(api: APIClient, recipe: Recipe, builder: Builder, no_cache: bool, console: Console) -> None:
    """Build one image, with a live line where there is a terminal and a line per step where there is none."""
    from faceorch import images
    from faceorch.paths import home

    name = recipe.network.name
    log = home() / "build" / f"{name}-{recipe.inputs[:12]}.log"
    begun_s = time.monotonic()
    with console.status(f"{name}: building") as status:

        def show(step: str) -> None:
            text = f"{name}: {step} ({time.monotonic() - begun_s:.0f} s)"
            if console.is_terminal:
                status.update(text)
            else:
                console.print(text, markup=False)

        identity = images.build(api, recipe, builder=builder, log=log, no_cache=no_cache, on_step=show)
    took = f"{time.monotonic() - begun_s:.0f} s with {builder}"
    console.print(f"{name}: built {recipe.tag} ({identity[7:19]}) in {took}; log: {log}")
