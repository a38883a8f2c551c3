"""`faceorch lock`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--upgrade", is_flag=True, help="Take the newest versions that requirements.in allows.")
def command(folder: Path, upgrade: bool) -> None:
    """Lock the packages of the network in FOLDER: requirements.in -> requirements.<base>.lock, one for each base.

    A lock holds exact versions with hashes, on top of those of its base. Without --upgrade, versions stay unless
    requirements.in asks for others. The package index is uv's (UV_DEFAULT_INDEX).

    \b
    Examples:
      faceorch lock mynetwork
      faceorch lock mynetwork --upgrade
    """
    from faceorch.networks.discover import open_network
    from faceorch.networks.lock import lock

    network = open_network(folder)
    for base in network.manifest.needs.bases:
        click.echo(f"locked {lock(network, base, upgrade=upgrade)}")
