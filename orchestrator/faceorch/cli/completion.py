"""`faceorch completion`: the script that a shell needs to complete faceorch's commands, options and networks."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the completion script for SHELL.

    \b
    Example:
      eval "$(faceorch completion bash)"
    """
    from faceorch.cli.main import cli

    completion = get_completion_class(shell)
    assert completion is not None
    click.echo(completion(cli, {}, "faceorch", "_FACEORCH_COMPLETE").source())
