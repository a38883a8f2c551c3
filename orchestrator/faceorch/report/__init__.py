"""A run folder -> its report, in every form: the page and the texts in the folder, one file, or a ZIP archive."""

from __future__ import annotations

import contextlib
import os
import threading
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faceorch.files import Refused, open_below, replacing, write_atomically
from faceorch.paths import home
from faceorch.record.folder import RunFolder

if TYPE_CHECKING:
    from jinja2 import BytecodeCache, Environment, Template
    from jinja2.bccache import Bucket
    from jinja2.runtime import Context

# What a report consists of, beside videos and posters; grid.mp4 is made for two or more videos.
FILES = ("report.html", "report.md", "report.json", "report.csv")
_PACKED_BYTES = 4 * 2**30


@contextlib.contextmanager
def prepared(folder: RunFolder, after_s: float) -> Iterator[None]:
    """Get ready for writing a run's report, beside what the block does, once that has gone on for `after_s` seconds.

    Importing libraries, compiling templates and scaling the portrait take longer than the rest.
    """

    def prepare() -> None:
        import av  # noqa: F401 - the finished video is probed with it

        from faceorch.report import assets, looking
        from faceorch.telemetry import timeline

        timeline.import_library()
        templates()
        assets.styles()
        assets.script()
        portrait = folder.run.inputs.portrait
        looking.portrait_url(folder.path, portrait.file, portrait.sha256)

    timer = threading.Timer(after_s, prepare)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()


@cache
def templates() -> tuple[Template, Template]:
    """Return the templates of report.html and report.md; compiling them takes a fifth of a second, once."""
    environment = _environment()
    # Markdown has its own escaping (the `md` filter); HTML escapes would be visible.
    plain = environment.overlay(autoescape=False)
    for name in environment.list_templates(extensions=["j2"]):  # what is included is compiled as well, and kept
        (plain if name.endswith(".md.j2") else environment).get_template(name)
    return environment.get_template("report.html.j2"), plain.get_template("report.md.j2")


def _environment() -> Environment:
    import jinja2

    from faceorch.report import view

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("faceorch.report"),
        bytecode_cache=_bytecode_cache(),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=jinja2.pass_context(_finalize),
    )
    environment.filters.update(view.FILTERS)
    return environment


def _bytecode_cache() -> BytecodeCache | None:
    """Return where compiled templates are kept for the next report, None where nothing can be kept."""
    import jinja2

    class Kept(jinja2.FileSystemBytecodeCache):
        def dump_bytecode(self, bucket: Bucket) -> None:
            with contextlib.suppress(OSError):  # a full disk: they are compiled anew next time
                super().dump_bytecode(bucket)

    folder = home() / "templates"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return None
    return Kept(os.fspath(folder))


def _finalize(context: Context, value: Any) -> Any:
    """Remove this machine's paths from every text of a page that is for others (one that is given `share`)."""
    from markupsafe import Markup

    share = context.get("share")
    plain = isinstance(value, str) and not isinstance(value, Markup) and not value.startswith("data:")
    return share(value) if share is not None and plain else value


def takes_seconds(folder: RunFolder) -> bool:
    """Return whether `write_report` would make a grid, at which people wait."""
    from faceorch.report import grid

    return len(grid.shown_jobs(folder.run)) > 1


def is_written(folder: RunFolder) -> bool:
    """Return whether all is there that `write_report` writes."""
    from faceorch.report import grid

    pages = all((folder.path / name).is_file() for name in FILES)
    return pages and (not takes_seconds(folder) or grid.is_there(folder))


def write_report(folder: RunFolder, *, with_grid: bool = True) -> Path:
    """Write the pages, the posters and grid.mp4 into the run folder; return the path of the page.

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
    from faceorch.report.shared import sharing

    share = sharing(folder)
    content = _content(folder) | {"problem": problem}
    for shown in content["looking"].videos:
        if shown.poster is not None and shown.poster_file is not None:
            write_atomically(folder.path / shown.poster_file, shown.poster)
    html, markdown = templates()
    texts = [html.render(content, share=share), markdown.render(content), *_figures(folder)]
    for name, text in zip(FILES, texts, strict=True):
        write_atomically(folder.path / name, text.encode("utf-8", "backslashreplace"))
    return folder.path / FILES[0]


def write_single_file(folder: RunFolder, path: Path) -> Path:
    """Write the page with all videos in it: one file to send. `OutputError` when they are too large for that."""
    from faceorch.report.shared import sharing

    page = templates()[0].render(_content(folder, embed=True), share=sharing(folder), problem="")
    write_atomically(path, page.encode("utf-8", "backslashreplace"))
    return path


def write_zip(folder: RunFolder, path: Path) -> Path:
    """Write an archive of the page, the videos and the texts, without anything that names this machine's folders."""
    from faceorch.report import exports, grid
    from faceorch.report.shared import sharing

    share, run = sharing(folder), folder.run
    content = _content(folder)
    html, markdown = templates()
    texts = [html.render(content, share=share, problem=""), markdown.render(content, share=share), *_figures(folder)]
    named = dict(zip(FILES, texts, strict=True))
    named["table.tex"] = share(exports.as_latex([run], exports.choose((), [run])))
    files = [shown.job.video.file for shown in content["looking"].playable if shown.job.video]
    files += [shown.poster_file for shown in content["looking"].videos if shown.poster and shown.poster_file]
    files += [grid.NAME] if content["grid"] else []
    files += [run.inputs.portrait.file, run.inputs.clip.file]  # what the command on the page asks for
    with replacing(path) as target, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        top = folder.path.name
        for inner, text in named.items():
            archive.writestr(f"{top}/{inner}", text.encode("utf-8", "backslashreplace"))
        for file in files:
            with contextlib.suppress(Refused), open_below(folder.path, file, limit=_PACKED_BYTES) as source:
                info = zipfile.ZipInfo(f"{top}/{file}")
                with archive.open(info, "w", force_zip64=True) as packed:  # stored: videos do not get smaller
                    while block := source.read(1 << 20):
                        packed.write(block)
    return path


def _content(folder: RunFolder, *, embed: bool = False) -> dict[str, Any]:
    """Return what the templates need: the run's facts, the style sheet and the script, and what allows nothing else."""
    from markupsafe import Markup

    from faceorch.report import assets, view

    styles, script = assets.styles(), assets.script()
    return view.content(folder, embed=embed) | {
        "styles": Markup(styles),
        "script": Markup(script),
        "style_allowed": Markup(assets.allowed(styles)),
        "script_allowed": Markup(assets.allowed(script)),
    }


def _figures(folder: RunFolder) -> tuple[str, str]:
    """Return report.json and report.csv."""
    from faceorch.report import exports
    from faceorch.report.shared import dump, share_json, sharing

    share = sharing(folder)
    return dump(share_json(exports.as_json(folder.run), share)).decode(), share(exports.as_csv([folder.run]))
