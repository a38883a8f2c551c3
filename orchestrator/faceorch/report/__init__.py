"""run.json and the files beside it -> report.html (one file, no network) and report.md."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from faceorch.files import write_atomically
from faceorch.record.folder import RunFolder

if TYPE_CHECKING:
    from jinja2 import Template

FILES = ("report.html", "report.md")


@cache
def templates() -> tuple[Template, Template]:
    """Return the templates of report.html and report.md; compiling them takes a tenth of a second, once."""
    import jinja2

    from faceorch.report import view

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("faceorch.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(view.FILTERS)
    # Markdown has its own escaping (the `md` filter); HTML escapes would be visible.
    plain = environment.overlay(autoescape=False)
    return environment.get_template("report.html.j2"), plain.get_template("report.md.j2")


def write_report(folder: RunFolder, *, with_grid: bool = True) -> Path:
    """Write report.html and report.md, the posters and grid.mp4 into the run folder; return the path of the page.

    The pages are there before the grid is made, which takes seconds: without it (`with_grid`), or when that fails, they
    are whole all the same.
    """
    from faceorch.report import grid

    page = _write_pages(folder)
    if with_grid and not grid.is_there(folder):
        try:
            if grid.make_grid(folder):
                _write_pages(folder)
        except grid.NoGrid as error:
            _write_pages(folder, f"{grid.NAME} could not be made: {error}")
    return page


def _write_pages(folder: RunFolder, problem: str = "") -> Path:
    from faceorch.report import view

    html, markdown = templates()
    content = view.content(folder) | _page() | {"problem": problem}
    for shown in content["looking"].videos:
        if shown.poster is not None and shown.poster_file is not None:
            write_atomically(folder.path / shown.poster_file, shown.poster)
    page, text = (folder.path / name for name in FILES)
    write_atomically(page, html.render(content).encode())
    write_atomically(text, markdown.render(content).encode())
    return page


def _page() -> dict[str, object]:
    """Return the style sheet and the script, and the words that allow them and nothing else."""
    from markupsafe import Markup

    from faceorch.report import assets

    styles, script = assets.styles(), assets.script()
    return {
        "styles": Markup(styles),
        "script": Markup(script),
        "style_allowed": Markup(assets.allowed(styles)),
        "script_allowed": Markup(assets.allowed(script)),
    }
