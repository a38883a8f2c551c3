"""`faceorch report`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("more", nargs=-1, metavar="[FILE]...", type=click.Path(path_type=Path))
@click.option("--open", "open_", is_flag=True, help="Open the page in the browser.")
@click.option("--single-file", is_flag=True, help="Also write RUN/RUN.html, with the videos in it: one file to send.")
@click.option("--zip", "zip_", is_flag=True, help="Also write RUN/RUN.zip: the page, the videos and the tables.")
@click.option(
    "--votes",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Add votes that were saved from the page's blind vote (more files may follow); they are kept in RUN/votes.",
)
def command(
    run: Path, more: tuple[Path, ...], open_: bool, single_file: bool, zip_: bool, votes: tuple[Path, ...]
) -> None:
    """Build the report of RUN (a run folder) again: report.html, .md, .json, .csv, grid.mp4, and what is asked for.

    It is made of run.json and the files beside it. In what is for others, paths of this machine are cut short.

    \b
    Examples:
      faceorch report results/20260131-120000-face-clip --open
      faceorch report results/20260131-120000-face-clip --zip --votes anna.json ben.json
    """
    from faceorch.record.folder import RunFolder
    from faceorch.report import votes as ballots
    from faceorch.report import write_report, write_single_file, write_zip

    if more and not votes:
        raise click.UsageError(f"one run at a time; {more[0]} is one too many")
    folder = RunFolder.load(run)
    ballots.keep(folder, [*votes, *more])
    page = write_report(folder)
    click.echo(page)
    if single_file:
        click.echo(write_single_file(folder, folder.path / f"{folder.path.name}.html"))
    if zip_:
        click.echo(write_zip(folder, folder.path / f"{folder.path.name}.zip"))
    if open_:
        click.launch(page.absolute().as_uri())
