"""Are a network's weights there? Cheaply, before a container starts: nothing is read but notes and time stamps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from faceorch.networks.discover import Network, SettingValue
from faceorch.record.run import WeightFile
from faceorch.weights.manifest import load_weights
from faceorch.weights.store import Finding, State, Store


@dataclass(frozen=True, slots=True)
class Weighed:
    """The weights of a network are there: its folder (None: it needs none) and what the record says of the files."""

    folder: Path | None
    files: tuple[WeightFile, ...]


NO_WEIGHTS = Weighed(None, ())


@dataclass(frozen=True, slots=True)
class Lacking:
    """Weights are missing or have changed: why it cannot run, and the command that mends it."""

    reason: str
    remedy: str


def check_weights(network: Network, settings: Mapping[str, SettingValue], store: Store) -> Weighed | Lacking:
    """Return the weights that a job with these `settings` will use, or what is wrong with them."""
    weights = load_weights(network)
    if weights is None:
        return NO_WEIGHTS
    found, view = [store.find(network.name, file) for file in weights.needed(settings)], store.view(network.name)
    changed = [f for f in found if f.state is State.CHANGED]
    missing = [f for f in found if f.state is State.MISSING]
    words = "".join(
        f" --set {network.name}.{key}={_plain(value)}" for key, value in _unusual(network, settings, missing)
    )
    if missing:
        size = sum(f.size for f in missing)
        return Lacking(
            f"{len(missing)} of its {len(found)} weight files {'is' if len(missing) == 1 else 'are'} missing "
            f"({gigabytes(size)}): {_names(missing, view)}",
            f"faceorch weights pull {network.name}{words}",
        )
    if changed:
        return Lacking(
            f"weights have changed since they were last verified: {_names(changed, view)}",
            f"faceorch weights verify {network.name}",
        )
    for finding in found:
        store.settle(finding.sha256 or "")
    files = [
        WeightFile(
            path=f.path.relative_to(view).as_posix(),
            bytes=f.size,
            sha256=f.sha256 or "",
            licence=f.file.licence,
            commercial=f.file.commercial,
        )
        for f in found
    ]
    return Weighed(view, tuple(files))


def gigabytes(count: int) -> str:
    """Return bytes as people who buy disks count them."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count} B"


def _unusual(
    network: Network, settings: Mapping[str, SettingValue], missing: list[Finding]
) -> list[tuple[str, SettingValue]]:
    """Return the settings that differ from their defaults and on which a missing file depends."""
    asked = {f.file.when.setting for f in missing if f.file.when is not None}
    defaults = network.settings({})
    return [(key, settings[key]) for key in sorted(asked) if settings[key] != defaults[key]]


def _plain(value: SettingValue) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _names(found: list[Finding], view: Path) -> str:
    names = [f.path.relative_to(view).as_posix() for f in found]
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
