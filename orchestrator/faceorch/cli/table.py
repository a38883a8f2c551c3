"""`faceorch table`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", type=click.Path(path_type=Path))
@click.option("--latex", "form", flag_value="latex", help="For a paper: booktabs and threeparttable, with notes.")
@click.option("--csv", "form", flag_value="csv", help="Raw values, one row per network.")
@click.option("--markdown", "form", flag_value="markdown", default=True, help="The default.")
@click.option(
    "--column",
    "keys",
    multiple=True,
    metavar="KEY",
    help="Only these columns, in this order (the keys of report.json).",
)
def command(runs: tuple[Path, ...], form: str, keys: tuple[str, ...]) -> None:
    """Print the figures of runs (run folders) as a table.

    The best of a column is marked only where ranges over repetitions lie apart.

    \b
    Example:
      faceorch table results/20260131-120000-face-clip --latex > table.tex
    """
    from faceorch.record.folder import RunFolder
    from faceorch.report import exports
    from faceorch.report.shared import sharing

    folders = [RunFolder.load(run) for run in runs]
    found = [folder.run for folder in folders]
    chosen = exports.choose(keys, found)
    if form == "csv":
        text = exports.as_csv(found, chosen if keys else None)
    else:
        text = exports.as_latex(found, chosen) if form == "latex" else exports.as_markdown(found, chosen)
    for folder in folders:
        text = sharing(folder)(text)
    click.echo(text, nl=False)
