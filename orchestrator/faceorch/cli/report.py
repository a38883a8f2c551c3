"""`faceorch report`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--open", "open_", is_flag=True, help="Open the page in the browser.")
def command(run: Path, open_: bool) -> None:
    """Build report.html and report.md of RUN (a run folder) again, from its run.json and the files beside it.

    \b
    Example:
      faceorch report results/20260131-120000-face-clip --open
    """
    from faceorch.record.folder import RunFolder
    from faceorch.report import write_report

    page = write_report(RunFolder.load(run))
    click.echo(page)
    if open_:
        click.launch(page.absolute().as_uri())
