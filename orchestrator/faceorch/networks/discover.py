"""Finds the networks and the judge: folders that contain a network.yaml.

A network is a folder under `docker/` (or under a folder of `FACEORCH_NETWORKS`); no other file contains its
name. The judge is such a folder too: it is built, locked and looked after as networks are, and never run as one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from faceorch.errors import CannotRun, InputError, ManifestError
from faceorch.networks.manifest import MANIFEST, PRESET, Manifest, read_manifest
from faceorch.paths import absolute, docker_folder
from faceorch.record.request import SettingValue
from faceorch.untrusted import NAME as LONGEST_NAME
from faceorch.untrusted import text
from faceorch.words import near

ENV_FOLDERS = "FACEORCH_NETWORKS"
ENV_JUDGE = "FACEORCH_JUDGE"
NO_JUDGE = "off"
NAME = re.compile("[a-z][a-z0-9]*")


class Network:
    """One network: a folder and its manifest."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder, self.manifest = folder, manifest

    @property
    def name(self) -> str:
        """Name of the network, which is that of its folder."""
        return self.folder.name

    @property
    def code(self) -> Path:
        """Its own package, which the runner loads and the image contains as /opt/faceorch/network."""
        return self.folder / "code"

    @property
    def entry(self) -> str:
        """The module that its runner loads, as a path below its folder."""
        return "code/judge.py" if self.manifest.role == "judge" else "code/runner.py"

    @cached_property
    def missing_files(self) -> tuple[str, ...]:
        """Missing files that every runtime needs; empty for a complete network."""
        needed = [
            "code/__init__.py",
            self.entry,
            *(["Dockerfile"] if "docker" in self.manifest.needs.runtimes else []),
        ]
        needed += [self.lock(base).name for base in self.manifest.needs.bases]
        return tuple(name for name in needed if not (self.folder / name).is_file())

    @property
    def stand_in(self) -> Path:
        """Path of the module that makes its stand-in weights; a network without weights has none."""
        return self.code / "synthetic.py"

    def lock(self, base: str) -> Path:
        """Return the path of the hash-locked requirements for `base`."""
        return self.folder / f"requirements.{base}.lock"

    def settings(self, given: Mapping[str, SettingValue]) -> dict[str, SettingValue]:
        """Return every setting with its value: the defaults, overridden by the preset and that by `given`."""
        values = {key: setting.default for key, setting in self.manifest.settings.items()}
        preset = self.manifest.presets.get(str(given.get(PRESET, values.get(PRESET))), {})
        return values | preset | {key: value for key, value in given.items() if key in values}

    def caveats(self, settings: Mapping[str, SettingValue]) -> list[str]:
        """Return the caveats of a job with these settings."""
        return [said.text for said in self.manifest.caveats if settings[said.setting] == said.equals]

    def parse_setting(self, key: str, text: str) -> SettingValue:
        """Return the value of the setting `key` given as `text`; raise `InputError` if key or value is invalid."""
        setting = self.manifest.settings.get(key)
        if setting is None:
            known = ", ".join(self.manifest.settings) or "it has none"
            raise InputError(
                f"{self.name} has no setting {key!r}{near(key, self.manifest.settings)}",
                f"its settings: {known}; see `faceorch networks {self.name}`",
            )
        try:
            return setting.parse(text)
        except ValueError:
            raise InputError(
                f"{self.name}.{key} is {text!r}, {setting.allowed} needed", f"see `faceorch networks {self.name}`"
            ) from None


class Networks(dict[str, Network]):
    """The networks by name. `broken` are those whose manifest cannot be used, and why."""

    def __init__(self, found: Mapping[str, Network], broken: Mapping[str, ManifestError]) -> None:
        super().__init__(found)
        self.broken = dict(sorted(broken.items()))


def network_folders() -> list[Path]:
    """Return the folders that contain networks: faceorch's own first, then those of FACEORCH_NETWORKS."""
    extra = os.environ.get(ENV_FOLDERS, "")
    return [docker_folder(), *(absolute(part).resolve() for part in extra.split(os.pathsep) if part)]


def load_networks(folders: list[Path] | None = None) -> Networks:
    """Return every network that animates by name, in alphabetical order; raise as `load_all` does."""
    everything = load_all(folders)
    animating = {name: network for name, network in everything.items() if network.manifest.role == "network"}
    return Networks(animating, everything.broken)


def find_judge(folders: list[Path] | None = None) -> Network | None:
    """Return what judges, None where nothing does.

    FACEORCH_JUDGE names it, or says `off`; otherwise, of several, that of the last folder is taken. Raises `CannotRun`
    when there is no judge of that name.
    """
    wanted = os.environ.get(ENV_JUDGE, "")
    if wanted == NO_JUDGE:
        return None
    judges = {name: network for name, network in _found(folders).items() if network.manifest.role == "judge"}
    if wanted and wanted not in judges:
        known = ", ".join([*judges, NO_JUDGE])
        raise CannotRun(f"no judge is called {wanted!r}{near(wanted, judges)}", f"{ENV_JUDGE} may be: {known}")
    return judges[wanted] if wanted else next(reversed(judges.values()), None)


def load_all(folders: list[Path] | None = None) -> Networks:
    """Return the networks and the judge by name, in alphabetical order.

    An invalid manifest is the trouble of its network alone. Raises `ManifestError` where it is not clear which networks
    there are.
    """
    found = _found(folders)
    return Networks(dict(sorted(found.items())), found.broken)


def _found(folders: list[Path] | None) -> Networks:
    """Return what there is by name, in the order of the folders."""
    found: dict[str, Network] = {}
    broken: dict[str, ManifestError] = {}
    for parent in network_folders() if folders is None else folders:
        if not parent.is_dir():
            raise ManifestError(f"{parent} is not a folder", f"correct {ENV_FOLDERS}")
        for path in sorted(parent.glob(f"*/{MANIFEST}")):
            name = path.parent.name
            if name in found:
                raise ManifestError(
                    f"two networks are called {name}: {found[name].folder} and {path.parent}", "rename one"
                )
            try:
                found[name] = Network(path.parent, read_manifest(path))
            except ManifestError as error:
                broken[text(name, LONGEST_NAME)] = error
    return Networks(found, broken)


def open_network(folder: Path) -> Network:
    """Return the network in a folder, wherever the folder is; raise `ManifestError` if it contains none."""
    folder = absolute(folder)
    folder = folder.resolve() if folder.name in ("", "..") else folder  # the folder's name is the network's name
    if not (folder / MANIFEST).is_file():
        raise ManifestError(
            f"{folder} contains no {MANIFEST}", "name a network's folder, such as one that `faceorch new NAME` made"
        )
    return Network(folder, read_manifest(folder / MANIFEST))


def pick(networks: Mapping[str, Network], name: str) -> Network:
    """Return the network called `name`; raise `CannotRun`, with the nearest name, if there is none.

    `ManifestError` when there is one whose manifest cannot be used.
    """
    if isinstance(networks, Networks) and name in networks.broken:
        raise networks.broken[name]
    if name not in networks:
        raise CannotRun(f"no network is called {name!r}{near(name, networks)}", f"choose from: {', '.join(networks)}")
    return networks[name]
