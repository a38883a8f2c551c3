"""`faceorch run`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from faceorch.cli import options
from faceorch.cli.types import NetworkName, Price

if TYPE_CHECKING:
    from faceorch.record.folder import RunFolder

EXIT_SOME_FAILED = 1
MOST_REPETITIONS = 1000
# What may be given together with --resume; everything else is taken from the record.
_WITH_RESUME = {"resume", "timeout", "pythons", "use_images", "as_json", "quiet"}


@click.command()
@click.option("--image", type=click.Path(path_type=Path), metavar="FILE", help="The portrait: any image with one face.")
@click.option("--audio", type=click.Path(path_type=Path), metavar="FILE", help="The clip: any audio file.")
@click.option(
    "--network",
    "networks",
    multiple=True,
    type=NetworkName(),
    help="Run this one (repeatable); default: all that can.",
)
@click.option(
    "--resume", type=click.Path(path_type=Path), metavar="RUN", help="Finish an earlier run: do only what is missing."
)
@options.run_options(
    click.option(
        "--weights",
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="The store of weights; default: FACEORCH_WEIGHTS, or `weights` in FACEORCH_HOME.",
    ),
    click.option(
        "--repeat",
        type=click.IntRange(1, MOST_REPETITIONS),
        default=1,
        show_default=True,
        help="Do each job this many times: the report then shows how far its figures vary.",
    ),
    click.option(
        "--warmup",
        type=click.IntRange(0, MOST_REPETITIONS),
        default=0,
        show_default=True,
        help="Do each job this many times before those that count.",
    ),
    click.option("--price-per-kwh", type=Price(), metavar="PRICE", help="Say what the GPUs' energy cost."),
    click.option("--price-per-gpu-hour", type=Price(), metavar="PRICE", help="Say what renting the GPUs would cost."),
    click.option("--currency", default="", metavar="TEXT", help="Currency of the prices, such as EUR."),
    click.option(
        "--timeline",
        type=click.Choice(["parquet", "csv"]),
        default="parquet",
        show_default=True,
        help="How every measurement over time is written, in a file per network.",
    ),
    click.option("--no-judge", is_flag=True, help="Make the videos, and do not measure what moves in them."),
    click.option("--label", is_flag=True, help="Burn a visible label into the videos: made by AI."),
    click.option("--no-face-check", is_flag=True, help="Start although the first network finds no usable face."),
)
@click.pass_context
def command(
    ctx: click.Context, /, resume: Path | None, image: Path | None, audio: Path | None, out: Path, **given: Any
) -> None:
    """Animate one portrait with one clip, in every network that can run here, and compare.

    Makes a folder with a video per network, what each cost, and report.html. Exit code 0: all that ran succeeded;
    1: a network failed; above 1: nothing was started.

    \b
    Examples:
      faceorch run --image face.png --audio clip.wav
      faceorch run --image face.png --audio clip.wav --network baseline --set baseline.max_size=512
      faceorch run --image face.png --audio clip.wav --repeat 5 --warmup 1 --price-per-kwh 0.30 --currency EUR
      faceorch run --resume results/20260131-120000-face-clip
    """
    if resume is not None:
        _resume(ctx, resume, given)
        return
    if image is None or audio is None:
        raise click.UsageError("--image and --audio are both needed (or --resume RUN)")
    if given["currency"] and given["price_per_kwh"] is None and given["price_per_gpu_hour"] is None:
        raise click.UsageError("--currency is of --price-per-kwh or --price-per-gpu-hour: give one of them")
    from faceorch.runs.reading import Reading

    # First of all: it takes as long as everything else that happens before the first runner starts.
    with Reading(image, audio) as reading:
        from faceorch.runtimes.choose import make_runtimes

        pythons, use_images = options.interpreters(given["pythons"]), dict(given["use_images"])
        runtimes = make_runtimes(given["runtime"], pythons, use_images)  # the engine answers while the rest is imported
        import os

        from faceorch.cli.show import make_display
        from faceorch.comparison import compare
        from faceorch.errors import one_line
        from faceorch.record.request import Request

        request = Request(
            portrait=one_line(os.fspath(image)),
            clip=one_line(os.fspath(audio)),
            networks=tuple(dict.fromkeys(given["networks"])),
            runtime=given["runtime"],
            gpus=given["gpus"],
            base=given["base"],
            seed=given["seed"],
            settings=options.parse_settings(given["settings"]),
            timeout_s=given["timeout"],
            check_face=not given["no_face_check"],
            label=given["label"],
            pythons=pythons,
            use_images=use_images,
            weights=None if given["weights"] is None else os.fspath(given["weights"].absolute()),
            repeat=given["repeat"],
            warmup=given["warmup"],
            price_per_kwh=given["price_per_kwh"],
            price_per_gpu_hour=given["price_per_gpu_hour"],
            currency=one_line(given["currency"]),
            timeline=given["timeline"],
            judge=not given["no_judge"],
        )
        with make_display(as_json=given["as_json"], quiet=given["quiet"]) as display:
            folder = compare(request, out, display, reading=reading, runtimes=runtimes)
    finish(ctx, folder)


def _resume(ctx: click.Context, path: Path, given: dict[str, Any]) -> None:
    """Finish an earlier run; refuses options that its record has fixed."""
    for parameter in ctx.command.params:
        name = str(parameter.name)
        typed = ctx.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT
        if typed and name not in _WITH_RESUME:
            raise click.UsageError(f"--resume goes on with what the run recorded; leave out {parameter.opts[0]}")
    from faceorch.cli.show import make_display
    from faceorch.comparison import resume

    default = ctx.get_parameter_source("timeout") is click.core.ParameterSource.DEFAULT
    with make_display(as_json=given["as_json"], quiet=given["quiet"]) as display:
        folder = resume(
            path,
            display,
            timeout_s=None if default else given["timeout"],
            pythons=options.interpreters(given["pythons"]),
            use_images=dict(given["use_images"]),
        )
    finish(ctx, folder)


def finish(ctx: click.Context, folder: RunFolder) -> None:
    """Leave with the exit code that tells whether a network failed."""
    if any(job.status.value == "failed" for job in folder.run.jobs):
        ctx.exit(EXIT_SOME_FAILED)
