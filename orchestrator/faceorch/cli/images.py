"""`faceorch images`."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from faceorch.housekeeping import Listed


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for machines.")
def command(as_json: bool) -> None:
    """List the images that faceorch built: how large they are, how old, and whether they are current.

    An image is current when building it again would change nothing. `own` is what its removal would free; the rest of
    its size is in layers that other images have too.

    \b
    Example:
      faceorch images
    """
    from faceorch.engine import connect
    from faceorch.housekeeping import list_images
    from faceorch.networks import load_networks

    networks = load_networks()
    listed = list_images(connect(), networks)
    if as_json:
        click.echo(json.dumps([_row(one) for one in listed], indent=2))
        return
    built = {one.image.network for one in listed if one.current}
    missing = [name for name, network in networks.items() if not network.missing_files and name not in built]
    if listed:
        _table(listed)
    if missing:
        click.echo(f"not built, or not current: {', '.join(missing)} -> faceorch build {' '.join(missing)}")
    if any(one.current is False for one in listed):
        click.echo("remove what is no longer current: faceorch clean")


def _row(one: Listed) -> dict[str, Any]:
    image = one.image
    return {
        "image": image.tag,
        "tags": list(image.tags),
        "id": image.id,
        "network": image.network or None,
        "base": image.base,
        "base_image": image.base_image,
        "inputs": image.inputs,
        "builder": image.builder or None,
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(image.created)),
        "current": one.current,
        "size_bytes": one.size_bytes,
        "shared_bytes": one.shared_bytes,
        "own_bytes": one.own_bytes,
    }


_STATES = {True: "current", False: "old", None: "unknown network"}


def _table(listed: list[Listed]) -> None:
    from rich.console import Console
    from rich.table import Table

    from faceorch.report.view import size

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("image", "base", "size", "own", "age", "state", "builder"):
        table.add_column(name, justify="right" if name in ("size", "own", "age") else "left", overflow="fold")
    for one in listed:
        age = _age(time.time() - one.image.created)
        own, builder = size(one.own_bytes), one.image.builder or "n/a"
        table.add_row(one.image.tag, one.image.base, size(one.size_bytes), own, age, _STATES[one.current], builder)
    console = Console(highlight=False)
    # A pipe has no width: nothing may be folded there.
    console.print(table, width=None if console.is_terminal else 200)


def _age(seconds: float) -> str:
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(0, seconds):.0f} s"
