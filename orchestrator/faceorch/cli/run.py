"""`faceorch run`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from faceorch.cli.types import Assignment, BaseName, Duration, NetworkName, Price, SettingName

if TYPE_CHECKING:
    from faceorch.networks.discover import SettingValue
    from faceorch.record.run import RunFolder

EXIT_SOME_FAILED = 1


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
    "--runtime",
    type=click.Choice(["auto", "docker", "venv"]),
    default="auto",
    show_default=True,
    help="auto: in a container where the network's image is built, otherwise in a locked environment of this host.",
)
@click.option("--gpus", default="all", show_default=True, metavar="all|none|0,1|UUID", help="GPUs that may be used.")
@click.option(
    "--base",
    type=BaseName(),
    help="Run on this base; default: the first of a network's own that has kernels for every GPU.",
)
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Same seed, same video.")
@click.option(
    "--set",
    "settings",
    multiple=True,
    type=SettingName(),
    metavar="NETWORK.KEY=VALUE",
    help="Change a setting.",
)
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("results"), show_default=True, help="Folder for run folders."
)
@click.option("--timeout", type=Duration(), default="2h", show_default=True, help="Limit for each job: 90s, 5m, 1h30m.")
@click.option(
    "--resume", type=click.Path(path_type=Path), metavar="RUN", help="Finish an earlier run: do only what is missing."
)
@click.option(
    "--python",
    "pythons",
    multiple=True,
    type=Assignment(),
    metavar="NETWORK=PATH",
    help="Run a network with this Python interpreter instead of an environment built by faceorch.",
)
@click.option(
    "--use-image",
    "images",
    multiple=True,
    type=Assignment(),
    metavar="NETWORK=REF",
    help="Run a network in this image instead of one built by faceorch.",
)
@click.option(
    "--weights",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The store of weights; default: FACEORCH_WEIGHTS, or `weights` in FACEORCH_HOME.",
)
@click.option(
    "--repeat",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Do each job this many times: the report then shows how far its figures vary.",
)
@click.option(
    "--warmup",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Do each job this many times before those that count.",
)
@click.option("--price-per-kwh", type=Price(), metavar="PRICE", help="Say what the GPUs' energy cost.")
@click.option("--price-per-gpu-hour", type=Price(), metavar="PRICE", help="Say what renting the GPUs would cost.")
@click.option("--currency", default="", metavar="TEXT", help="Currency of the prices, such as EUR.")
@click.option(
    "--timeline",
    type=click.Choice(["parquet", "csv"]),
    default="parquet",
    show_default=True,
    help="How every measurement over time is written, in a file per network.",
)
@click.option("--no-face-check", is_flag=True, help="Start although the first network finds no usable face.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per event, for machines.")
@click.option("--quiet", "-q", is_flag=True, help="Print only the outcome.")
@click.pass_context
def command(
    ctx: click.Context,
    image: Path | None,
    audio: Path | None,
    networks: tuple[str, ...],
    runtime: str,
    gpus: str,
    base: str | None,
    seed: int,
    settings: tuple[tuple[str, str], ...],
    out: Path,
    timeout: float,
    resume: Path | None,
    pythons: tuple[tuple[str, str], ...],
    images: tuple[tuple[str, str], ...],
    repeat: int,
    warmup: int,
    price_per_kwh: float | None,
    price_per_gpu_hour: float | None,
    currency: str,
    timeline: str,
    weights: Path | None,
    no_face_check: bool,
    as_json: bool,
    quiet: bool,
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
    from faceorch import media

    # First of all: it takes as long as everything else that happens before the first runner starts.
    reading = None if image is None or audio is None else media.Reading(image, audio)

    from faceorch.cli.show.plain import make_observer
    from faceorch.errors import one_line
    from faceorch.runs.start import Request, resume_run, start_run
    from faceorch.telemetry.summary import Prices

    given_pythons = {name: Path(path).expanduser() for name, path in pythons}
    given_images = dict(images)
    observer = make_observer(as_json=as_json, quiet=quiet)
    if resume is not None:
        _refuse_with_resume(ctx)
        default = ctx.get_parameter_source("timeout") is click.core.ParameterSource.DEFAULT
        with observer:
            folder = resume_run(
                resume, observer, timeout_s=None if default else timeout, pythons=given_pythons, images=given_images
            )
    else:
        if image is None or audio is None:
            raise click.UsageError("--image and --audio are both needed (or --resume RUN)")
        if currency and price_per_kwh is None and price_per_gpu_hour is None:
            raise click.UsageError("--currency is of --price-per-kwh or --price-per-gpu-hour: give one of them")
        request = Request(
            image=image,
            audio=audio,
            networks=tuple(dict.fromkeys(networks)),
            runtime=runtime,  # type: ignore[arg-type]  # click.Choice allows exactly these words
            gpus=gpus,
            base=base,
            seed=seed,
            settings=parse_settings(settings),
            out=out,
            timeout_s=timeout,
            pythons=given_pythons,
            images=given_images,
            weights=weights,
            check_face=not no_face_check,
            repeat=repeat,
            warmup=warmup,
            prices=Prices(per_kwh=price_per_kwh, per_gpu_hour=price_per_gpu_hour, currency=one_line(currency)),
            timeline=timeline,  # type: ignore[arg-type]  # click.Choice allows exactly these words
            command=("faceorch", *sys.argv[1:]),
        )
        with observer:
            folder = start_run(request, observer, reading=reading)
    finish(ctx, folder)


def finish(ctx: click.Context, folder: RunFolder) -> None:
    """Leave with the exit code that tells whether a network failed."""
    if any(job.status.value == "failed" for job in folder.run.jobs):
        ctx.exit(EXIT_SOME_FAILED)


def _refuse_with_resume(ctx: click.Context) -> None:
    fixed = {
        "image",
        "audio",
        "networks",
        "runtime",
        "gpus",
        "base",
        "seed",
        "settings",
        "out",
        "weights",
        "no_face_check",
    }
    fixed |= {"repeat", "warmup", "price_per_kwh", "price_per_gpu_hour", "currency", "timeline"}
    for parameter in ctx.command.params:
        given = ctx.get_parameter_source(str(parameter.name)) is not click.core.ParameterSource.DEFAULT
        if parameter.name in fixed and given:
            raise click.UsageError(f"--resume goes on with what the run recorded; leave out {parameter.opts[0]}")


def parse_settings(given: tuple[tuple[str, str], ...]) -> dict[str, dict[str, SettingValue]]:
    """Return network -> key -> value of every `--set`."""
    from faceorch.errors import InputError
    from faceorch.networks.discover import load_networks, pick

    known = load_networks() if given else {}
    parsed: dict[str, dict[str, SettingValue]] = {}
    for place, text in given:
        name, separator, key = place.partition(".")
        if not separator or not key:
            raise InputError(f"--set {place}={text} names no setting", "write NETWORK.KEY=VALUE")
        parsed.setdefault(name, {})[key] = pick(known, name).parse_setting(key, text)
    return parsed
