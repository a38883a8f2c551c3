"""network.yaml -> `Network`: which networks exist, what they need, which settings they take.

A network is a folder under `docker/` (or under a folder of `FACEORCH_NETWORKS`) that holds a `network.yaml`;
nothing else in the tree knows its name.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec
import yaml
from msgspec import Meta

from faceorch.errors import CannotRun, InputError, ManifestError
from faceorch.kit import PACKAGE, kit_parts

MANIFEST = "network.yaml"
ENV_FOLDERS = "FACEORCH_NETWORKS"

# libyaml's loader reads the same language ten times as fast; a PyYAML without it has only its own.
YAML = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

SettingValue = bool | int | float | str

_Content = TypeVar("_Content", bound=msgspec.Struct)


def docker_folder() -> Path:
    """Return the `docker/` folder: inside the installed package, or at the root of a checkout."""
    installed = Path(__file__).parent / "docker"
    return installed if installed.is_dir() else Path(__file__).parents[2] / "docker"


def kit_folder() -> Path:
    """Return the folder of faceorch_kit, the package of what networks share."""
    return docker_folder() / "kit" / PACKAGE


class _Model(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One object of network.yaml."""


class _Setting(_Model, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type"):
    """What all settings have; `load`: a change needs the models to be loaded again."""

    help: str
    load: bool = False


class IntSetting(_Setting, frozen=True, tag="int"):
    """A whole number."""

    default: int
    min: int
    max: int

    def parse(self, text: str) -> int:
        """Return the value of `text`; `ValueError` says what is allowed."""
        return self.validate_value(int(text))

    def validate_value(self, value: int) -> int:
        """Return `value` when it lies in the range."""
        if not self.min <= value <= self.max:
            raise ValueError(f"{value} is outside {self.min} to {self.max}")
        return value

    @property
    def allowed(self) -> str:
        """What the setting takes, in words."""
        return f"a whole number from {self.min} to {self.max}"


class FloatSetting(_Setting, frozen=True, tag="float"):
    """A number."""

    default: float
    min: float
    max: float

    def parse(self, text: str) -> float:
        """Return the value of `text`; `ValueError` says what is allowed."""
        return self.validate_value(float(text))

    def validate_value(self, value: float) -> float:
        """Return `value` when it lies in the range (which also refuses NaN)."""
        if not self.min <= value <= self.max:
            raise ValueError(f"{value:g} is outside {self.min:g} to {self.max:g}")
        return value

    @property
    def allowed(self) -> str:
        """What the setting takes, in words."""
        return f"a number from {self.min:g} to {self.max:g}"


class BoolSetting(_Setting, frozen=True, tag="bool"):
    """On or off."""

    default: bool

    def parse(self, text: str) -> bool:
        """Return the value of `text`; `ValueError` says what is allowed."""
        words = {
            "true": True,
            "on": True,
            "yes": True,
            "1": True,
            "false": False,
            "off": False,
            "no": False,
            "0": False,
        }
        if text.lower() not in words:
            raise ValueError(f"{text!r} is neither on nor off")
        return words[text.lower()]

    def validate_value(self, value: bool) -> bool:
        """Return `value`."""
        return value

    @property
    def allowed(self) -> str:
        """What the setting takes, in words."""
        return "on or off"


class ChoiceSetting(_Setting, frozen=True, tag="choice"):
    """One of a few words."""

    default: str
    choices: tuple[str, ...]

    def parse(self, text: str) -> str:
        """Return the value of `text`; `ValueError` says what is allowed."""
        return self.validate_value(text)

    def validate_value(self, value: str) -> str:
        """Return `value` when it is one of the choices."""
        if value not in self.choices:
            raise ValueError(f"{value!r} is not one of {', '.join(self.choices)}")
        return value

    @property
    def allowed(self) -> str:
        """What the setting takes, in words."""
        return "one of " + ", ".join(self.choices)


Setting = IntSetting | FloatSetting | BoolSetting | ChoiceSetting


class UpstreamCode(_Model, frozen=True):
    """A repository of others that the network runs."""

    url: str
    commit: Annotated[str, Meta(pattern="^[0-9a-f]{40}$")]
    licence: str

    @property
    def pinned(self) -> str:
        """Address and commit, as `clone-upstream` takes them and as they stand on an image's label."""
        return f"{self.url}@{self.commit}"


class Expected(_Model, frozen=True):
    """What published figures let one expect, for people who choose before they run; None is unknown."""

    source: Annotated[str, Meta(description="whose figures these are")]
    head_motion: str | None = None
    eye_blinks: str | None = None
    steps: Annotated[int | None, Meta(description="diffusion steps; None when there are none")] = None
    fps: float | None = None
    size: Annotated[str | None, Meta(description="pixels, width x height")] = None
    vram_gb: str | None = None
    seconds_for_15_s: Annotated[float | None, Meta(description="wall-clock seconds for a 15 s clip")] = None


class Needs(_Model, frozen=True, kw_only=True):
    """What a host must have."""

    gpu: bool
    runtimes: tuple[Literal["docker", "venv"], ...]
    bases: Annotated[tuple[str, ...], Meta(min_length=1, description="in order of preference; one lock each")]
    python: Annotated[str, Meta(description="versions that the locks cover")] = ">=3.10,<3.12"
    ram_gb: Annotated[float, Meta(gt=0, description="host memory; the docker runtime's limit")]
    vram_gb: float | None = None
    shortest_clip_s: float = 0.2


class Caveat(_Model, frozen=True):
    """What the record and the report say of a job while a setting has one value."""

    setting: str
    equals: SettingValue
    text: Annotated[str, Meta(min_length=1)]


class Smoke(_Model, frozen=True):
    """How `faceorch smoke` runs it on stand-in weights; not with --full, which keeps the defaults."""

    settings: Annotated[dict[str, SettingValue], Meta(description="the cheapest that still pass every stage")] = {}


class Manifest(_Model, frozen=True, kw_only=True):
    """The content of network.yaml."""

    schema: Literal[1]
    title: str
    summary: str
    approach: str
    licence: str
    homepage: str | None = None
    paper: str | None = None
    upstream: tuple[UpstreamCode, ...] = ()
    uses: Annotated[tuple[str, ...], Meta(description="parts of faceorch_kit that its code imports")] = ()
    expected: Expected | None = None
    needs: Needs
    settings: dict[Annotated[str, Meta(pattern="^[a-z][a-z0-9_]*$")], Setting] = {}
    caveats: tuple[Caveat, ...] = ()
    smoke: Smoke = Smoke()

    def __post_init__(self) -> None:
        """Refuse values that their own setting would not allow."""
        values = [(f"settings.{key}.default", key, setting.default) for key, setting in self.settings.items()]
        values += [(f"smoke.settings.{key}", key, value) for key, value in self.smoke.settings.items()]
        values += [(f"caveats: {said.setting}", said.setting, said.equals) for said in self.caveats]
        for place, key, value in values:
            if key not in self.settings:
                raise ValueError(f"{place}: there is no such setting")
            try:
                self.settings[key].validate_value(value)  # type: ignore[arg-type]
            except (TypeError, ValueError) as error:
                raise ValueError(f"{place}: {error}") from error


class Network:
    """One network: a folder and its manifest."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder, self.manifest = folder, manifest

    @property
    def name(self) -> str:
        """Name of the network: that of its folder."""
        return self.folder.name

    @property
    def code(self) -> Path:
        """Its own package: what the runner loads, and what goes into its image as /opt/faceorch/network."""
        return self.folder / "code"

    @cached_property
    def missing_files(self) -> tuple[str, ...]:
        """Files without which it cannot run in any runtime; empty for a finished network."""
        needed = [
            "code/__init__.py",
            "code/runner.py",
            *(["Dockerfile"] if "docker" in self.manifest.needs.runtimes else []),
        ]
        needed += [self.lock(base).name for base in self.manifest.needs.bases]
        return tuple(name for name in needed if not (self.folder / name).is_file())

    def lock(self, base: str) -> Path:
        """Return the path of the hash-locked requirements for `base`."""
        return self.folder / f"requirements.{base}.lock"

    def settings(self, given: Mapping[str, SettingValue]) -> dict[str, SettingValue]:
        """Return every setting with its value: the defaults, overridden by `given`."""
        return {key: given.get(key, setting.default) for key, setting in self.manifest.settings.items()}

    def caveats(self, settings: Mapping[str, SettingValue]) -> list[str]:
        """Return what is to be said of a job with these settings."""
        return [said.text for said in self.manifest.caveats if settings[said.setting] == said.equals]

    def parse_setting(self, key: str, text: str) -> SettingValue:
        """Return the value of the setting `key` that `text` describes; `InputError` when there is none such."""
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


def network_folders() -> list[Path]:
    """Return the folders that hold networks: faceorch's own first, then those of FACEORCH_NETWORKS."""
    extra = os.environ.get(ENV_FOLDERS, "")
    return [docker_folder(), *(Path(part).expanduser().resolve() for part in extra.split(os.pathsep) if part)]


def load_networks(folders: list[Path] | None = None) -> dict[str, Network]:
    """Return every network by name, in alphabetical order; `ManifestError` names the first wrong manifest."""
    found: dict[str, Network] = {}
    for parent in network_folders() if folders is None else folders:
        if not parent.is_dir():
            raise ManifestError(f"{parent} is no folder", f"mend {ENV_FOLDERS}")
        for path in sorted(parent.glob(f"*/{MANIFEST}")):
            name = path.parent.name
            if name in found:
                raise ManifestError(
                    f"two networks are called {name}: {found[name].folder} and {path.parent}", "rename one"
                )
            found[name] = Network(path.parent, read_manifest(path))
    return dict(sorted(found.items()))


def pick(networks: Mapping[str, Network], name: str) -> Network:
    """Return the network called `name`; `CannotRun` with the nearest name when there is none."""
    if name not in networks:
        raise CannotRun(f"no network is called {name!r}{near(name, networks)}", f"choose from: {', '.join(networks)}")
    return networks[name]


def read_manifest(path: Path) -> Manifest:
    """Read one network.yaml strictly."""
    manifest = read_yaml(path, Manifest, _known_keys())
    parts = kit_parts(kit_folder())
    for name in manifest.uses:
        if name not in parts:
            raise ManifestError(
                f"{path}: uses: faceorch_kit has no part {name!r}{near(name, parts)}", f"its parts: {', '.join(parts)}"
            )
    return manifest


def read_yaml(path: Path, kind: type[_Content], known: set[str]) -> _Content:
    """Read a YAML file of ours strictly: unknown keys are errors, with the nearest of the `known` ones."""
    try:
        raw = yaml.load(path.read_text("utf-8"), YAML)
    except OSError as error:
        raise ManifestError(f"{path}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise ManifestError(f"{path}: {' '.join(str(error).split())}") from error
    try:
        return msgspec.convert(raw, kind)
    except msgspec.ValidationError as error:
        raise ManifestError(f"{path}: {_describe(str(error), raw, known)}") from error


def _describe(text: str, raw: Any, known: set[str]) -> str:
    """Say what msgspec found wrong in the words of somebody who edits YAML."""
    what, _, place = text.partition(" - at `$")
    where = place.rstrip("`").lstrip(".")
    if where.startswith("settings[...]"):  # msgspec does not tell which
        where = where.replace("[...]", f".{_wrong_setting(raw['settings'])}", 1)
    if found := re.fullmatch(r"Object contains unknown field `(.+)`", what):
        key = found.group(1)
        return f"unknown key '{key}'{near(key, known)}" + (f" in '{where}'" if where else "")
    if found := re.fullmatch(r"Object missing required field `(.+)`", what):
        return f"'{where}.{found.group(1)}' is missing" if where else f"'{found.group(1)}' is missing"
    return f"{where}: {what}" if where else what


def _wrong_setting(settings: dict[str, Any]) -> str:
    for key, value in settings.items():
        try:
            msgspec.convert(value, Setting)
        except msgspec.ValidationError:
            return key
    return "..."


def _known_keys() -> set[str]:
    kinds = (
        Manifest,
        Expected,
        Needs,
        Caveat,
        Smoke,
        UpstreamCode,
        IntSetting,
        FloatSetting,
        BoolSetting,
        ChoiceSetting,
    )
    return {name for kind in kinds for name in kind.__struct_fields__}


def near(word: str, words: Mapping[str, object] | set[str]) -> str:
    """Return ` (did you mean '...'?)` with the nearest of `words`, or nothing when none is near."""
    found = difflib.get_close_matches(word, list(words), n=1)
    return f" (did you mean '{found[0]}'?)" if found else ""
