"""`faceorch smoke`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from faceorch.cli import options
from faceorch.cli.types import NetworkName


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
@options.run_options()
@click.pass_context
def command(
    ctx: click.Context,
    /,
    networks: tuple[str, ...],
    device: str,
    full: bool,
    seconds: float | None,
    out: Path,
    **given: Any,
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
    from faceorch.cli.run import finish
    from faceorch.cli.show import make_display
    from faceorch.record.request import StandIn
    from faceorch.smoke import smoke

    with make_display(as_json=given["as_json"], quiet=given["quiet"]) as display:
        folder = smoke(
            StandIn(size="full" if full else "tiny", device=device, seconds=seconds),  # type: ignore[arg-type]
            out,
            display,
            networks=tuple(dict.fromkeys(networks)),
            runtime=given["runtime"],
            gpus=given["gpus"],
            base=given["base"],
            seed=given["seed"],
            settings=options.parse_settings(given["settings"]),
            timeout_s=given["timeout"],
            pythons=options.interpreters(given["pythons"]),
            use_images=dict(given["use_images"]),
        )
    finish(ctx, folder)
