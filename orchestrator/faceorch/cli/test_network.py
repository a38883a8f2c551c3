"""`faceorch test-network`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.pass_context
def command(ctx: click.Context, folder: Path) -> None:
    """Check that the network in FOLDER keeps the contract, wherever FOLDER is; one line for each check.

    Where it can run here (no GPU, no container), it animates the bundled portrait: with stand-in weights when it has
    weights. Exit code 0: it keeps the contract; 1: it does not.

    \b
    Example:
      faceorch test-network mynetwork
    """
    from faceorch.contract import examine
    from faceorch.networks.discover import open_network

    failed = 0
    for result in examine(open_network(folder)):
        if result.broken is not None:
            failed += 1
            click.echo(f"FAILED   {result.check}: {result.broken}")
            click.echo(f"         try: {result.broken.remedy}")
        elif result.skipped:
            click.echo(f"skipped  {result.check}: {result.skipped}")
        else:
            click.echo(f"ok       {result.check}")
    ctx.exit(1 if failed else 0)
