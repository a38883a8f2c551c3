"""Options that several commands share: each is declared once."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from faceorch.cli.types import Assignment, BaseName, Duration, Folder, SettingName
from faceorch.paths import absolute

if TYPE_CHECKING:
    from faceorch.record.request import SettingValue

_Command = Callable[..., Any]
_Option = Callable[[_Command], _Command]

SEEDS = click.IntRange(0, 2**32 - 1)

runtime = click.option(
    "--runtime",
    type=click.Choice(["auto", "docker", "venv"]),
    default="auto",
    show_default=True,
    help="auto: in a container where the network's image is built, otherwise in a locked environment of this host.",
)
gpus = click.option(
    "--gpus", default="all", show_default=True, metavar="all|none|0,1|UUID", help="GPUs that may be used."
)
base = click.option(
    "--base",
    type=BaseName(),
    help="Run on this base; default: the first of a network's own that has kernels for every GPU.",
)
seed = click.option("--seed", type=SEEDS, default=0, show_default=True, help="Same seed, same video.")
settings = click.option(
    "--set", "settings", multiple=True, type=SettingName(), metavar="NETWORK.KEY=VALUE", help="Change a setting."
)
out = click.option(
    "--out", type=Folder(path_type=Path), default=Path("results"), show_default=True, help="Folder for run folders."
)
timeout = click.option(
    "--timeout", type=Duration(), default="2h", show_default=True, help="Limit for each job: 90s, 5m, 1h30m."
)
pythons = click.option(
    "--python",
    "pythons",
    multiple=True,
    type=Assignment(),
    metavar="NETWORK=PATH",
    help="Run a network with this Python interpreter instead of an environment built by faceorch.",
)
use_images = click.option(
    "--use-image",
    "use_images",
    multiple=True,
    type=Assignment(),
    metavar="NETWORK=REF",
    help="Run a network in this image instead of one built by faceorch.",
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object per event, for machines.")
quiet = click.option("--quiet", "-q", is_flag=True, help="Print only the outcome.")


def run_options(*shared: _Option) -> _Option:
    """Return a decorator that adds the options which `run` and `smoke` share; `shared` come before the last two."""

    def decorate(command: _Command) -> _Command:
        first = (runtime, gpus, base, seed, settings, out, timeout, pythons, use_images)
        options: tuple[_Option, ...] = (*first, *shared, as_json, quiet)
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def confirmed(question: str, unasked: str) -> bool:
    """Ask before something is removed; `UserError` names the command that does it `unasked` where nobody can be."""
    from faceorch.errors import UserError

    if not sys.stdin.isatty():
        raise UserError("there is no terminal to confirm on; nothing was removed", unasked)
    if click.confirm(question):
        return True
    click.echo("nothing was removed")
    return False


def interpreters(given: tuple[tuple[str, str], ...]) -> dict[str, str]:
    """Return network -> absolute path of every `--python`; not resolved: a virtual environment's Python is a link."""
    return {name: str(absolute(path)) for name, path in given}


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
