"""`faceorch smoke`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from faceorch.cli.types import Assignment, BaseName, Duration, NetworkName, SettingName


@click.command()
@click.argument("networks", nargs=-1, type=NetworkName())
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Where the networks that need a GPU run; auto: on a GPU where there is one.",
)
@click.option("--full", is_flag=True, help="Stand-in weights of true dimensions: measures true time and memory.")
@click.option(
    "--seconds", type=click.FloatRange(1, 15), help="Length of the bundled clip.  [default: 2; with --full all its 15]"
)
@click.option(
    "--runtime", type=click.Choice(["auto", "docker", "venv"]), default="auto", show_default=True, help="As for run."
)
@click.option("--gpus", default="all", show_default=True, metavar="all|0,1|UUID", help="GPUs that may be used.")
@click.option("--base", type=BaseName(), help="As for run: this base instead of the first that fits.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Same seed, same video.")
@click.option(
    "--set", "settings", multiple=True, type=SettingName(), metavar="NETWORK.KEY=VALUE", help="Change a setting."
)
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("results"), show_default=True, help="Folder for run folders."
)
@click.option("--timeout", type=Duration(), default="2h", show_default=True, help="Limit per network: 90s, 5m, 1h30m.")
@click.option(
    "--python", "pythons", multiple=True, type=Assignment(), metavar="NETWORK=PATH", help="As for run: an interpreter."
)
@click.option(
    "--use-image", "images", multiple=True, type=Assignment(), metavar="NETWORK=REF", help="As for run: an image."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per event, for machines.")
@click.option("--quiet", "-q", is_flag=True, help="Print only the outcome.")
@click.pass_context
def command(
    ctx: click.Context,
    networks: tuple[str, ...],
    device: str,
    full: bool,
    seconds: float | None,
    runtime: str,
    gpus: str,
    base: str | None,
    seed: int,
    settings: tuple[tuple[str, str], ...],
    out: Path,
    timeout: float,
    pythons: tuple[tuple[str, str], ...],
    images: tuple[tuple[str, str], ...],
    as_json: bool,
    quiet: bool,
) -> None:
    """Run the whole path of NETWORKS (default: all that can run) with stand-in weights, and check their videos.

    The network's own environment writes randomly initialised weights of the right names, shapes and formats; then its
    real code animates the bundled portrait. This proves image, patches, packages, runner and GPU: it says nothing of
    quality, and everything it makes is marked synthetic. Exit code as for run.

    \b
    Examples:
      faceorch smoke
      faceorch smoke baseline --device cpu
      faceorch smoke --full --device cuda
    """
    from faceorch.cli.run import finish, parse_settings
    from faceorch.cli.show.plain import make_observer
    from faceorch.runs.smoke import SmokeRequest, smoke

    request = SmokeRequest(
        networks=tuple(dict.fromkeys(networks)),
        device=device,  # type: ignore[arg-type]  # click.Choice allows exactly these words
        full=full,
        seconds=seconds,
        runtime=runtime,  # type: ignore[arg-type]
        gpus=gpus,
        base=base,
        seed=seed,
        settings=parse_settings(settings),
        out=out,
        timeout_s=timeout,
        pythons={name: Path(path).expanduser() for name, path in pythons},
        images=dict(images),
        command=("faceorch", *sys.argv[1:]),
    )
    with (observer := make_observer(as_json=as_json, quiet=quiet)):
        folder = smoke(request, observer)
    finish(ctx, folder)
