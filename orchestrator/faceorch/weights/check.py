"""Checks that a network's weights are present, before its container starts: reads only notes and time stamps."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from faceorch import words
from faceorch.networks.discover import Network
from faceorch.record.kinds import OutcomeKind
from faceorch.record.reason import Reason
from faceorch.record.request import SettingValue, setting_word
from faceorch.record.run import WeightFile
from faceorch.weights.manifest import load_weights
from faceorch.weights.source import NO_WEIGHTS, Stored
from faceorch.weights.store import FileStatus, State, Store


def check_weights(network: Network, settings: Mapping[str, SettingValue], store: Store) -> Stored | Reason:
    """Return the weights that a job with these `settings` will use, or why it cannot use them."""
    weights = load_weights(network)
    if weights is None:
        return NO_WEIGHTS
    found, view = [store.find(network.name, file) for file in weights.needed(settings)], store.view(network.name)
    changed = [f for f in found if f.state is State.CHANGED]
    missing = [f for f in found if f.state is State.MISSING]
    options = "".join(
        f" --set {network.name}.{key}={setting_word(value)}" for key, value in _unusual(network, settings, missing)
    )
    if missing:
        total = sum(f.size for f in missing)
        return Reason(
            kind=OutcomeKind.MISSING_WEIGHT,
            found=f"{_count(missing, found)} missing ({words.size(total)}): {_names(missing, view)}",
            remedy=f"faceorch weights pull {network.name}{options}",
        )
    if changed:
        return Reason(
            kind=OutcomeKind.MISSING_WEIGHT,
            found=f"weights have changed since they were last verified: {_names(changed, view)}",
            remedy=f"faceorch weights verify {network.name}",
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
    return Stored(view, tuple(files))


def _unusual(
    network: Network, settings: Mapping[str, SettingValue], missing: list[FileStatus]
) -> list[tuple[str, SettingValue]]:
    """Return the non-default settings on which a missing file depends."""
    asked = {f.file.when.setting for f in missing if f.file.when is not None}
    defaults = network.settings({})
    return [(key, settings[key]) for key in sorted(asked) if settings[key] != defaults[key]]


def _count(missing: list[FileStatus], found: list[FileStatus]) -> str:
    if len(found) == 1:
        return "its weight file is"
    return f"{len(missing)} of its {len(found)} weight files {'is' if len(missing) == 1 else 'are'}"


def _names(found: list[FileStatus], view: Path) -> str:
    names = [f.path.relative_to(view).as_posix() for f in found]
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
