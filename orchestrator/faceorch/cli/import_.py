"""`faceorch import`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from faceorch.cli import options
from faceorch.cli.types import Assignment


class _NamedVideo(Assignment):
    """`NAME=VIDEO` as a pair."""

    name = "name=video"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """Return (NAME, VIDEO)."""
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            self.fail(f"{value!r} is not of the form NAME=VIDEO, such as theirs=result.mp4", param, ctx)


@click.command(name="import")
@click.argument("videos", nargs=-1, required=True, type=_NamedVideo(), metavar="NAME=VIDEO...")
@click.option(
    "--image", required=True, type=click.Path(path_type=Path), metavar="FILE", help="The portrait that was animated."
)
@click.option("--audio", required=True, type=click.Path(path_type=Path), metavar="FILE", help="The clip.")
@click.option(
    "--reference",
    type=click.Path(path_type=Path),
    metavar="VIDEO",
    help="Real footage of the same person and clip: its row stands on top, and how close each video comes to it beside "
    "the values.",
)
@click.option("--no-judge", is_flag=True, help="Show the videos, and do not measure what moves in them.")
@options.runtime
@options.out
@options.timeout
@options.pythons
@options.use_images
@options.as_json
@options.quiet
def command(
    videos: tuple[tuple[str, str], ...], image: Path, audio: Path, reference: Path | None, out: Path, **given: Any
) -> None:
    """Make a run folder of videos that were made elsewhere: the same players, the same judge, the same page.

    Their times and their memory are not known and not shown. MP4, WebM, MOV, MKV and AVI of any common codec are
    taken; what is not H.264 with AAC is encoded once more, which the page says. --runtime, --timeout, --python and
    --use-image are the judge's.

    \b
    Examples:
      faceorch import --image face.png --audio clip.wav theirs=result.mp4 ours=ours.webm
      faceorch import --image face.png --audio clip.wav theirs=result.mp4 --reference real.mov
    """
    import os

    from faceorch.runs.reading import Reading

    with Reading(image, audio) as reading:
        from faceorch.cli.show import make_display
        from faceorch.comparison import bring
        from faceorch.errors import InputError, one_line
        from faceorch.record.request import Request

        names = [name for name, _ in videos]
        if len(set(names)) < len(names):
            raise InputError("two videos have the same name", "choose another name")
        request = Request(
            portrait=one_line(os.fspath(image)),
            clip=one_line(os.fspath(audio)),
            videos={name: one_line(path) for name, path in videos},
            reference=None if reference is None else one_line(os.fspath(reference)),
            runtime=given["runtime"],
            timeout_s=given["timeout"],
            pythons=options.interpreters(given["pythons"]),
            use_images=dict(given["use_images"]),
            judge=not given["no_judge"],
        )
        with make_display(as_json=given["as_json"], quiet=given["quiet"]) as display:
            bring(request, out, display, reading=reading)
