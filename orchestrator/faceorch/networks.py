"""network.yaml -> `Network`: which networks exist, what they need, which settings they take.

A network is a folder under `docker/` (or under a folder of `FACEORCH_NETWORKS`) that holds a `network.yaml`;
nothing else in the tree knows its name.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from typing_extensions import Self

from faceorch.errors import CannotRun, InputError, ManifestError

MANIFEST = "network.yaml"
ENV_FOLDERS = "FACEORCH_NETWORKS"

# libyaml's loader reads the same language ten times as fast; a PyYAML without it has only its own.
_YAML = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

SettingValue = bool | int | float | str


def docker_folder() -> Path:
    """Return the `docker/` folder: inside the installed package, or at the root of a checkout."""
    installed = Path(__file__).parent / "docker"
    return installed if installed.is_dir() else Path(__file__).parents[2] / "docker"


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Setting(_Model):
    help: str
    load: bool = Field(default=False, description="true: a change needs the models to be loaded again")


class IntSetting(_Setting):
    """A whole number."""

    type: Literal["int"]
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


class FloatSetting(_Setting):
    """A number."""

    type: Literal["float"]
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


class BoolSetting(_Setting):
    """On or off."""

    type: Literal["bool"]
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


class ChoiceSetting(_Setting):
    """One of a few words."""

    type: Literal["choice"]
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


Setting = Annotated[IntSetting | FloatSetting | BoolSetting | ChoiceSetting, Field(discriminator="type")]


class UpstreamCode(_Model):
    """A repository of others that the network runs."""

    url: str
    commit: Annotated[str, Field(pattern="^[0-9a-f]{40}$")]
    licence: str


class Expected(_Model):
    """What published figures let one expect, for people who choose before they run; None is unknown."""

    source: str = Field(description="whose figures these are")
    head_motion: str | None = None
    eye_blinks: str | None = None
    steps: int | None = Field(default=None, description="diffusion steps; None when there are none")
    fps: float | None = None
    size: str | None = Field(default=None, description="pixels, width x height")
    vram_gb: str | None = None
    seconds_for_15_s: float | None = Field(default=None, description="wall-clock seconds for a 15 s clip")


class Needs(_Model):
    """What a host must have."""

    gpu: bool
    runtimes: tuple[Literal["docker", "venv"], ...]
    bases: tuple[str, ...] = Field(min_length=1, description="in order of preference; one lock each")
    python: str = Field(default=">=3.10,<3.12", description="versions that the locks cover")
    ram_gb: float = Field(gt=0, description="host memory; the docker runtime's limit")
    vram_gb: float | None = None
    shortest_clip_s: float = 0.2


class Manifest(_Model):
    """The content of network.yaml."""

    schema_: Literal[1] = Field(alias="schema")
    title: str
    summary: str
    approach: str
    licence: str
    homepage: str | None = None
    paper: str | None = None
    upstream: tuple[UpstreamCode, ...] = ()
    expected: Expected | None = None
    needs: Needs
    settings: dict[Annotated[str, Field(pattern="^[a-z][a-z0-9_]*$")], Setting] = {}

    @model_validator(mode="after")
    def _defaults_are_allowed(self) -> Self:
        for key, setting in self.settings.items():
            try:
                setting.validate_value(setting.default)  # type: ignore[arg-type]
            except ValueError as error:
                raise ValueError(f"settings.{key}.default: {error}") from error
        return self


class Network:
    """One network: a folder and its manifest."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder, self.manifest = folder, manifest

    @property
    def name(self) -> str:
        """Name of the network: that of its folder."""
        return self.folder.name

    @cached_property
    def missing_files(self) -> tuple[str, ...]:
        """Files without which it cannot run in any runtime; empty for a finished network."""
        needed = ["runner.py", *(["Dockerfile"] if "docker" in self.manifest.needs.runtimes else [])]
        needed += [self.lock(base).name for base in self.manifest.needs.bases]
        return tuple(name for name in needed if not (self.folder / name).is_file())

    def lock(self, base: str) -> Path:
        """Return the path of the hash-locked requirements for `base`."""
        return self.folder / f"requirements.{base}.lock"

    def settings(self, given: Mapping[str, SettingValue]) -> dict[str, SettingValue]:
        """Return every setting with its value: the defaults, overridden by `given`."""
        return {key: given.get(key, setting.default) for key, setting in self.manifest.settings.items()}

    def parse_setting(self, key: str, text: str) -> SettingValue:
        """Return the value of the setting `key` that `text` describes; `InputError` when there is none such."""
        setting = self.manifest.settings.get(key)
        if setting is None:
            known = ", ".join(self.manifest.settings) or "it has none"
            raise InputError(
                f"{self.name} has no setting {key!r}{_near(key, self.manifest.settings)}",
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
        raise CannotRun(f"no network is called {name!r}{_near(name, networks)}", f"choose from: {', '.join(networks)}")
    return networks[name]


def read_manifest(path: Path) -> Manifest:
    """Read one network.yaml strictly: unknown keys are errors, with the nearest known key."""
    try:
        raw = yaml.load(path.read_text("utf-8"), _YAML)
    except OSError as error:
        raise ManifestError(f"{path}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise ManifestError(f"{path}: {' '.join(str(error).split())}") from error
    try:
        return TypeAdapter(Manifest).validate_python(raw)
    except ValidationError as error:
        raise ManifestError(f"{path}: {'; '.join(_describe(error))}") from error


def _describe(error: ValidationError) -> Iterator[str]:
    for entry in error.errors():
        # Union members appear in the location as their tag ("int"); they are no keys of the file.
        parts = [str(part) for part in entry["loc"] if part not in {"int", "float", "bool", "choice"}]
        if entry["type"] == "extra_forbidden":
            yield f"unknown key '{'.'.join(parts)}'{_near(parts[-1], _known_keys(Manifest))}"
        elif entry["type"] == "missing":
            yield f"'{'.'.join(parts)}' is missing"
        else:
            yield f"{'.'.join(parts) or 'the file'}: {entry['msg'].removeprefix('Value error, ')}"


def _known_keys(model: type[BaseModel]) -> set[str]:
    kinds: list[type[BaseModel]] = [IntSetting, FloatSetting, BoolSetting, ChoiceSetting]
    models: list[type[BaseModel]] = [model, Expected, Needs, UpstreamCode, *kinds]
    return {field.alias or name for m in models for name, field in m.model_fields.items()}


def _near(word: str, words: Mapping[str, object] | set[str]) -> str:
    found = difflib.get_close_matches(word, list(words), n=1)
    return f" (did you mean '{found[0]}'?)" if found else ""
