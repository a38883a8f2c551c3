"""`faceorch export`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN...")
@click.option("--theval", is_flag=True, required=True, help="Write what the command-line tools of THEval read.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("theval"),
    show_default=True,
    metavar="FOLDER",
    help="The new folder to write into.",
)
def command(runs: tuple[Path, ...], theval: bool, output: Path) -> None:
    """Write the videos of RUNs for another evaluation: a list of videos per method, the clips, and our own figures.

    docs/guide/theval.md has the commands that come after it.

    \b
    Example:
      faceorch export --theval results/20260131-120000-face-clip -o theval
    """
    from faceorch.report.theval import export
    from faceorch.words import plural

    made = export(runs, output)
    for method, path in made.lists.items():
        count = len(path.read_text("utf-8").splitlines())
        click.echo(f"{method}: {plural(count, 'video')}: {path}")
    click.echo(f"clips: {made.audio}")
    click.echo(f"what faceorch measured: {made.ours}")
    for line in made.left_out:
        click.echo(f"left out: {line}", err=True)
