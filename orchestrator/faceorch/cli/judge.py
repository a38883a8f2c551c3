"""`faceorch judge`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from faceorch.cli import options

if TYPE_CHECKING:
    from faceorch.judging.films import JudgedFilm
    from faceorch.record.judgement import Judgement

EXIT_NOT_JUDGED = 1


@click.command()
@click.argument("what", nargs=-1, type=click.Path(path_type=Path), metavar="[RUN | VIDEO...]")
@click.option("--portrait", type=click.Path(path_type=Path), metavar="FILE", help="The portrait of the VIDEOs.")
@click.option("--audio", type=click.Path(path_type=Path), metavar="FILE", help="The clip of the VIDEOs.")
@click.option("--self-check", is_flag=True, help="Let the judge prove on drawn clips, in full, that it measures right.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Keep what was found in the VIDEOs (JSON) and every series (Parquet) in this folder.",
)
@options.runtime
@options.timeout
@options.pythons
@options.use_images
@options.as_json
@options.quiet
@click.pass_context
def command(
    ctx: click.Context, /, what: tuple[Path, ...], portrait: Path | None, audio: Path | None, **given: Any
) -> None:
    """Measure what moves in finished videos: head, hair, eyes and lips, each with an interval and a verdict.

    With a RUN, its videos are judged anew and its report is written again. With VIDEOs, and the portrait and the clip
    that they were made of, prints a table. Exit code 1: a VIDEO could not be judged, or the judge failed its check.

    \b
    Examples:
      faceorch judge results/20260131-120000-face-clip
      faceorch judge --portrait face.png --audio clip.wav theirs.mp4 ours.mp4
      faceorch judge --self-check
    """
    if given["self_check"]:
        if what or portrait or audio:
            raise click.UsageError("--self-check judges no videos: leave them out")
        _self_check(ctx, given)
        return
    if (portrait is None) != (audio is None):
        raise click.UsageError("--portrait and --audio are needed together")
    if portrait is not None and audio is not None:
        if not what:
            raise click.UsageError("name the videos to judge")
        _films(ctx, what, portrait, audio, given)
        return
    if len(what) != 1:
        raise click.UsageError("name one RUN, or --portrait FACE --audio CLIP VIDEO...")
    if given["output"] is not None:
        raise click.UsageError("-o is of VIDEOs: a run folder keeps its own series")
    _run(ctx, what[0], given)


def _run(ctx: click.Context, path: Path, given: dict[str, Any]) -> None:
    for name in ("runtime", "pythons", "use_images"):
        if ctx.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT:
            option = next(p.opts[0] for p in ctx.command.params if p.name == name)
            raise click.UsageError(f"a RUN is judged with what it recorded; leave out {option}")
    from faceorch.cli.show import make_display
    from faceorch.comparison import judge

    default = ctx.get_parameter_source("timeout") is click.core.ParameterSource.DEFAULT
    with make_display(as_json=given["as_json"], quiet=given["quiet"]) as display:
        judge(path, display, timeout_s=None if default else given["timeout"])


def _films(ctx: click.Context, videos: tuple[Path, ...], portrait: Path, audio: Path, given: dict[str, Any]) -> None:
    import json

    import msgspec

    from faceorch.judging.films import judge_films

    found = judge_films(
        videos,
        portrait,
        audio,
        _teller(given),
        output=given["output"],
        timeout_s=given["timeout"],
        runtime=given["runtime"],
        pythons=options.interpreters(given["pythons"]),
        use_images=dict(given["use_images"]),
    )
    if given["as_json"]:
        click.echo(json.dumps(msgspec.to_builtins(found), indent=2))
    else:
        for film in found:
            _print(film)
    if any(film.judgement is None for film in found):
        ctx.exit(EXIT_NOT_JUDGED)


def _teller(given: dict[str, Any]) -> Any:
    """Return what tells of progress, on stderr: stdout carries the result."""
    from faceorch.runs.events import Event, Noted, StageStarted

    def tell(event: Event) -> None:
        if isinstance(event, StageStarted):
            click.echo(f"{event.network}: {event.name}", err=True)
        elif isinstance(event, Noted):
            click.echo(event.text, err=True)

    return (lambda event: None) if given["quiet"] or given["as_json"] else tell


def _print(film: JudgedFilm) -> None:
    click.echo(film.video)
    for note in film.notes:
        click.echo(f"  note: {note}")
    if film.judgement is None:
        click.echo(f"  not judged: {film.error}")
    else:
        _table(film.judgement)


def _table(judgement: Judgement) -> None:
    from faceorch.record.claims import STILL_PICTURE, face_in_still_picture, figure, name_of

    rows = [
        (name_of(key), finding.says, figure(finding), finding.reason) for key, finding in judgement.findings.items()
    ]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(3)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row[:3], widths, strict=True)]
        click.echo(f"  {'  '.join([*cells, row[3]]).rstrip()}")
    if face_in_still_picture(judgement):
        click.echo(f"  {STILL_PICTURE}")
    for note in judgement.notes:
        click.echo(f"  note: {note}")


def _self_check(ctx: click.Context, given: dict[str, Any]) -> None:
    import json

    from faceorch.judging.films import self_check

    sitting = self_check(
        _teller(given),
        timeout_s=given["timeout"],
        runtime=given["runtime"],
        pythons=options.interpreters(given["pythons"]),
        use_images=dict(given["use_images"]),
    )
    if given["as_json"]:
        reason = None if sitting.reason is None else sitting.reason.text
        click.echo(json.dumps({"passed": reason is None, "checks": list(sitting.said), "reason": reason}, indent=2))
    else:
        for line in sitting.said:
            click.echo(f"ok  {line}")
        if sitting.reason is not None:
            click.echo(f"FAILED  {sitting.reason.text}")
        else:
            click.echo("the judge measures right")
    if sitting.reason is not None:
        ctx.exit(EXIT_NOT_JUDGED)
