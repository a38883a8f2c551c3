"""`faceorch build`."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from faceorch.cli.types import BaseName, ImageName

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from faceorch.images.assembly import Assembly, Item
    from faceorch.images.recipe import Recipe


@click.command()
@click.argument("networks", nargs=-1, type=ImageName())
@click.option(
    "--base",
    type=BaseName(),
    help="Build on this base; default: the first of a network's own that has kernels for every GPU of this host.",
)
@click.option(
    "--base-image",
    envvar="FACEORCH_BASE_IMAGE",
    show_envvar=True,
    metavar="REF",
    help="Build on this userland instead of the pinned one.",
)
@click.option(
    "--ca-bundle",
    envvar="FACEORCH_CA_BUNDLE",
    show_envvar=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="PEM certificates to trust for downloads, instead of the userland's own.",
)
@click.option("--push", metavar="REGISTRY", help="Push the images to REGISTRY/faceorch/...")
@click.option(
    "--jobs", type=click.IntRange(1), default=min(4, os.cpu_count() or 1), show_default="4, or the cores", metavar="N",
    help="How many images to build side by side.",
)  # fmt: skip
@click.option("--all", "everything", is_flag=True, help="Build those too that this host cannot run, for another one.")
@click.option("--no-cache", is_flag=True, help="Build every layer anew, the base's too.")
@click.pass_context
def command(
    ctx: click.Context,
    networks: tuple[str, ...],
    base: str | None,
    base_image: str | None,
    ca_bundle: Path | None,
    push: str | None,
    jobs: int,
    everything: bool,
    no_cache: bool,
) -> None:
    """Build the images of NETWORKS (default: those that this host can run), and first the bases they stand on.

    An image's tag is the hash of all that goes in: what is there already is not built again. `base-cu121` builds a base
    alone. Package index, mirrors and proxies: UV_DEFAULT_INDEX, FACEORCH_APT_MIRROR, FACEORCH_UPSTREAM_MIRROR,
    HTTPS_PROXY (see docs/guide/images.md).

    \b
    Examples:
      faceorch build
      faceorch build baseline --base-image registry.example/debian:12
      faceorch build --all --push registry.example:5000
    """
    from rich.console import Console

    from faceorch.engine.client import connect
    from faceorch.images.assembly import Assembly
    from faceorch.images.built import ours
    from faceorch.images.options import BuildOptions

    console = Console(highlight=False, soft_wrap=True)
    recipes = _recipes(networks, base, base_image, console, everything=everything)
    if not recipes:
        console.print("nothing to build")
        return
    options = BuildOptions.of(no_cache=no_cache, ca_bundle=ca_bundle)
    assembly = Assembly.of(recipes, ours(connect()), options, jobs=jobs, push=push)
    for item in assembly.items:
        if item.state == "current":
            console.print(_outcome(item, assembly), markup=False)
    if console.is_terminal and not console.is_dumb_terminal:
        _live(assembly, console)
    else:
        _plain(assembly, console)
    failed = [item for item in assembly.items if item.error is not None]
    for item in failed:
        if item.begun_s:  # of one whose base failed, all is said
            _failure(item)
    if failed:
        ctx.exit(failed[0].error.exit_code if failed[0].error else 1)


def _recipes(
    names: tuple[str, ...], base: str | None, base_image: str | None, console: Console, *, everything: bool
) -> list[Recipe]:
    from faceorch.errors import CannotRun
    from faceorch.files import check_home
    from faceorch.images.recipe import make_base_recipe, make_recipe
    from faceorch.needs import no_gpu_problem
    from faceorch.networks.bases import choose_base, load_bases, pick_base
    from faceorch.networks.discover import load_all, pick
    from faceorch.telemetry.nvml import read_gpus

    check_home()
    known, bases = load_all(), load_bases()
    here = read_gpus()
    recipes = []
    for name, error in known.broken.items() if not names else ():
        console.print(f"{name}: skipped: {error.message}", markup=False)
    for name in names or known:
        if name.startswith("base-") and name not in known:
            recipes.append(make_base_recipe(pick_base(bases, name.removeprefix("base-")).name, base_image))
            continue
        network = pick(known, name)
        needs = network.manifest.needs
        reason, remedy = "", "leave out --base"
        if "docker" not in needs.runtimes:
            reason, remedy = (
                "it runs only without a container",
                f"faceorch run --image face.png --audio clip.wav --network {name}",
            )
        elif network.missing_files:
            reason = f"its image is not part of faceorch yet: {', '.join(network.missing_files)} missing"
            remedy = "update faceorch when it is released"
        elif base is not None and base not in needs.bases:
            reason = f"it has no lock for the base {base}, only for {', '.join(needs.bases)}"
        elif not (names or everything) and (problem := no_gpu_problem(needs, here.gpus, here.reason)) is not None:
            reason = f"{problem.text} (name it, or --all, to build it all the same)"
        if reason and names:
            raise CannotRun(f"{name} cannot be built: {reason}", remedy)
        if reason:
            console.print(f"{name}: skipped: {reason}", markup=False)
            continue
        covering = choose_base(needs.bases, here.gpus if needs.gpu else ())
        chosen = base or (covering.name if covering else needs.bases[0])
        if base is None and covering is None:
            text = f"no base of it ({', '.join(needs.bases)}) has kernels for every GPU here; building on {chosen}"
            console.print(f"{name}: {text}", markup=False)
        recipes.append(make_recipe(network, chosen, base_image))
    return recipes


def _elapsed(item: Item) -> str:
    from faceorch.words import duration

    if item.ended:
        return duration(item.elapsed_s)
    return duration(time.monotonic() - item.begun_s) if item.begun_s else ""


def _outcome(item: Item, assembly: Assembly) -> str:
    pushed = f"; pushed to {assembly.push} ({item.digest})" if item.digest else ""
    if item.state == "current":
        return f"{item.name}: {item.recipe.tag} is there and current{pushed}"
    if item.state == "built":
        how = f"in {_elapsed(item)} with {assembly.options.builder}"
        return f"{item.name}: built {item.recipe.tag} ({item.image[7:19]}) {how}{pushed}; log: {item.log}"
    if not item.begun_s and item.error is not None:
        return f"{item.name}: not built: {item.error.message}"
    return f"{item.name}: FAILED after {_elapsed(item)}; log: {item.log}"


def _plain(assembly: Assembly, console: Console) -> None:
    """One line per step."""
    said: dict[str, str] = {}

    def show(item: Item) -> None:
        if item.ended:
            console.print(_outcome(item, assembly), markup=False)
        elif item.step and said.get(item.name) != item.step:
            said[item.name] = item.step
            console.print(f"{item.name}: {item.step} ({_elapsed(item)})", markup=False)

    assembly.on_change = show
    assembly.run()


def _live(assembly: Assembly, console: Console) -> None:
    """One line per image that follows its steps, and a line that stays for each that has ended."""
    from rich.live import Live
    from rich.table import Table

    items = [item for item in assembly.items if not item.ended]

    def table() -> Table:
        made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
        made.add_column(no_wrap=True, style="bold")
        made.add_column(no_wrap=True)
        made.add_column(no_wrap=True, justify="right")
        made.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        for item in items:
            if not item.ended:
                made.add_row(item.name, item.state, _elapsed(item), item.step.replace("[", "\\["))
        return made

    with Live(console=console, get_renderable=table, refresh_per_second=4, transient=True) as live:

        def show(item: Item) -> None:
            if item.ended:
                live.console.print(_outcome(item, assembly), markup=False)

        assembly.on_change = show
        assembly.run()


def _failure(item: Item) -> None:
    """Print the last lines of a failed build, and the error with its remedy."""
    assert item.error is not None
    for line in getattr(item.error, "tail", ()):
        click.echo(f"  {item.name} | {line}", err=True)
    click.echo(item.error.told, err=True)
