"""run.json and the files beside it -> report.html (one file, no network) and report.md."""

from __future__ import annotations

from pathlib import Path

from faceorch.files import write_atomically
from faceorch.record import RunFolder


def write_report(folder: RunFolder) -> Path:
    """Write report.html and report.md into the run folder and return the path of the page."""
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
    content = view.content(folder)
    page = folder.path / "report.html"
    write_atomically(page, environment.get_template("report.html.j2").render(content).encode())
    # Markdown has an escaping of its own (the `md` filter); HTML's would show as text.
    plain = environment.overlay(autoescape=False)
    write_atomically(folder.path / "report.md", plain.get_template("report.md.j2").render(content).encode())
    return page
