"""`faceorch new`."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import click


@click.command()
@click.argument("name")
@click.option(
    "--in",
    "parent",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    show_default="this folder",
    metavar="FOLDER",
    help="Folder in which NAME is made; made too when it is not there.",
)
def command(name: str, parent: Path) -> None:
    """Make the folder of a new network called NAME, which works as it is: put your model into it step by step.

    \b
    Examples:
      faceorch new mynetwork
      faceorch new mynetwork --in ~/networks
    """
    from faceorch.networks.discover import ENV_FOLDERS, network_folders
    from faceorch.networks.new import make_network
    from faceorch.paths import assets_folder

    network = make_network(name, parent)
    folder, assets = network.folder, assets_folder()
    click.echo(f"made {folder}; its README.md says what is where\n\nnext:")
    if folder.parent.resolve() not in network_folders():
        given = os.environ.get(ENV_FOLDERS)
        paths = os.pathsep.join([*([given] if given else []), os.fspath(folder.parent)])
        click.echo(f"  export {ENV_FOLDERS}={shlex.quote(paths)}")
    inputs = ["--image", os.fspath(assets / "face.png"), "--audio", os.fspath(assets / "clip.wav")]
    click.echo(f"  {shlex.join(['faceorch', 'test-network', os.fspath(folder)])}")
    click.echo(f"  {shlex.join(['faceorch', 'run', *inputs, '--network', 'baseline', '--network', name])}")
