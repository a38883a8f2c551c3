"""Option types that several commands share."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

_UNITS_S = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
_LONGEST_S = 30 * 24 * 3600.0
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(s|min|m|h|)")


class Duration(click.ParamType[float]):
    """`90`, `90s`, `5m`, `1h30m` as seconds."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the seconds that `value` describes."""
        if isinstance(value, float):
            return value
        text = str(value).strip().lower()
        parts = _DURATION.findall(text)
        if not parts or "".join(number + unit for number, unit in parts) != text.replace(" ", ""):
            self.fail(f"{value!r} is not a duration; write 90s, 5m or 1h30m", param, ctx)
        seconds = sum(float(number) * _UNITS_S[unit] for number, unit in parts)
        if not 0 < seconds <= _LONGEST_S:
            self.fail(f"the duration must be above 0, and {_LONGEST_S / 3600:.0f}h at most", param, ctx)
        return seconds


class Price(click.ParamType[float]):
    """A price: a finite number that is not negative."""

    name = "price"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the price that `value` describes."""
        try:
            price = float(str(value))
        except ValueError:
            price = -1.0
        if not (math.isfinite(price) and price >= 0):
            self.fail(
                f"{value!r} is not a price; write a number such as 0.30, and the currency with --currency", param, ctx
            )
        return price


class NetworkName(click.ParamType[str]):
    """The name of a network; completes in the shell."""

    name = "network"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return the networks whose names begin so."""
        from faceorch.networks.discover import load_networks

        return [CompletionItem(name) for name in load_networks() if name.startswith(incomplete)]


class FolderName(NetworkName):
    """The name of a network or of the judge; completes in the shell."""

    name = "network"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return the networks, and the judge, whose names begin so."""
        from faceorch.networks.discover import load_all

        return [CompletionItem(name) for name in load_all() if name.startswith(incomplete)]


class ImageName(FolderName):
    """The name of a network or of the judge, or `base-<base>`; completes in the shell."""

    name = "network"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return the images whose names begin so."""
        from faceorch.networks.bases import load_bases

        bases = [CompletionItem(f"base-{name}") for name in load_bases() if f"base-{name}".startswith(incomplete)]
        return super().shell_complete(ctx, param, incomplete) + bases


class BaseName(click.ParamType[str]):
    """The name of a base; completes in the shell."""

    name = "base"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name; `CannotRun`, with the nearest name, if there is no such base."""
        from faceorch.networks.bases import load_bases, pick_base

        return pick_base(load_bases(), str(value)).name

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return the bases whose names begin so."""
        from faceorch.networks.bases import load_bases

        return [CompletionItem(name) for name in load_bases() if name.startswith(incomplete)]


class Assignment(click.ParamType[tuple[str, str]]):
    """`NETWORK=VALUE` as a pair."""

    name = "network=value"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """Return (NETWORK, VALUE)."""
        if isinstance(value, tuple):  # click converts defaults once more
            return value
        key, separator, rest = str(value).partition("=")
        if not separator or not key or not rest:
            self.fail(f"{value!r} is not of the form NETWORK=VALUE", param, ctx)
        return key, rest


class SettingName(Assignment):
    """`NETWORK.KEY=VALUE` as a pair of `NETWORK.KEY` and VALUE; completes in the shell."""

    name = "network.key=value"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return the settings whose names begin so."""
        from faceorch.networks.discover import load_networks

        names = [f"{n.name}.{key}=" for n in load_networks().values() for key in n.manifest.settings]
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]


class Folder(click.Path):
    """A folder; `~` is the user's home also where the shell has left it (`--out='~/talks'`, `--out=~/talks`)."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the folder, with the home written out."""
        try:
            return super().convert(Path(value).expanduser(), param, ctx)
        except RuntimeError as error:  # nobody has that name
            self.fail(f"{value}: {error}", param, ctx)
