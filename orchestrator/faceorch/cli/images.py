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
@click.option("--all", "everything", is_flag=True, help="Name those too that are not built and cannot run here.")
def command(as_json: bool, everything: bool) -> None:
    """List the images that faceorch built: how large they are, how old, and whether they are current.

    An image is current when building it again would change nothing. `own` is what its removal would free; the rest of
    its size is in layers that other images have too.

    \b
    Example:
      faceorch images
    """
    from faceorch.engine.client import connect
    from faceorch.housekeeping import list_images
    from faceorch.needs import no_gpu_problem
    from faceorch.networks.discover import load_all
    from faceorch.telemetry.nvml import read_gpus

    networks, here = load_all(), read_gpus()
    listed = list_images(connect(), networks)
    if as_json:
        click.echo(json.dumps([_row(one) for one in listed], indent=2))
        return
    built = {one.image.network for one in listed if one.current}
    missing = [
        name
        for name, network in networks.items()
        if "docker" in network.manifest.needs.runtimes and not network.missing_files and name not in built
        if everything or no_gpu_problem(network.manifest.needs, here.gpus, here.reason) is None
    ]
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
_RIGHT = ("size", "own", "age")


def _table(listed: list[Listed]) -> None:
    from faceorch.words import size

    rows = [("image", "base", "size", "own", "age", "state", "builder")]
    for one in listed:
        image = one.image
        age = _age(time.time() - image.created)
        sizes = (size(one.size_bytes), size(one.own_bytes))
        name = image.tag if image.tags else f"{image.id[7:19]} (untagged)"
        rows.append((name, image.base, *sizes, age, _STATES[one.current], image.builder or "n/a"))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = zip(rows[0], row, widths, strict=True)
        line = "  ".join(cell.rjust(width) if name in _RIGHT else cell.ljust(width) for name, cell, width in cells)
        click.echo(line.rstrip())


def _age(seconds: float) -> str:
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(0, seconds):.0f} s"
