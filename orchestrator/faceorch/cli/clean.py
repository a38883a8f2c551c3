"""`faceorch clean`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from faceorch.cli.options import confirmed

if TYPE_CHECKING:
    from docker import APIClient

    from faceorch.housekeeping import Leftover


@click.command()
@click.option("--dry-run", is_flag=True, help="Only show what would be removed.")
@click.option("--yes", "-y", is_flag=True, help="Remove without asking.")
@click.pass_context
def command(ctx: click.Context, dry_run: bool, yes: bool) -> None:
    """Remove what is no longer of use, after showing it: old images, containers of a faceorch that died, environments
    that no lock describes any more, logs of images that are gone.

    Runs, weights and current images stay. Exit code 1: something could not be removed.

    \b
    Examples:
      faceorch clean --dry-run
      faceorch clean --yes
    """
    from faceorch.housekeeping import leftovers
    from faceorch.networks.discover import load_all
    from faceorch.words import plural, size

    found = leftovers(_engine(), load_all())
    if not found:
        click.echo("nothing to remove")
        return
    for one in found:
        click.echo(f"{one.kind:<12} {size(one.bytes):>10}  {one.name} ({one.why})")
    total = size(sum(one.bytes or 0 for one in found))
    click.echo(f"{plural(len(found), 'thing')}, {total}")
    if dry_run:
        return
    if not yes and not confirmed("remove them?", "faceorch clean --yes"):
        return
    kept = [one for one in found if not _removed(one)]
    if kept:
        ctx.exit(1)


def _engine() -> APIClient | None:
    """Return the engine's client; without an engine, only caches are cleaned."""
    from faceorch.engine.client import connect
    from faceorch.errors import EngineError

    try:
        return connect()
    except EngineError as error:
        click.echo(f"images and containers were not checked: {error.message}", err=True)
        return None


def _removed(one: Leftover) -> bool:
    from faceorch.errors import UserError

    try:
        one.remove()
    except UserError as error:
        reason = error.message
    except OSError as error:
        reason = str(error.strerror)
    else:
        return True
    click.echo(f"kept {one.name}: {' '.join(reason.split())}", err=True)
    return False
