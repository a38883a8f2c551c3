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


def write_report(folder: RunFolder) -> Path:
    """Write report.html and report.md into the run folder and return the path of the page."""
    from faceorch.report import view

    html, markdown = templates()
    content = view.content(folder) | _page()
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
