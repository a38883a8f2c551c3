"""network.yaml -> `Manifest`: what a network is and needs, and which settings it takes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, field

from faceorch.errors import ManifestError
from faceorch.networks.kit import kit_parts
from faceorch.networks.settings import Setting
from faceorch.networks.yaml import Model, read_yaml
from faceorch.paths import kit_folder
from faceorch.record.request import SettingValue
from faceorch.words import near

MANIFEST = "network.yaml"


class UpstreamCode(Model, frozen=True):
    """A repository of others that the network runs."""

    url: str
    commit: Annotated[str, Meta(pattern="^[0-9a-f]{40}$")]
    licence: str

    @property
    def pinned(self) -> str:
        """Address and commit, as `clone-upstream` takes them and as they stand on an image's label."""
        return f"{self.url}@{self.commit}"


class Expected(Model, frozen=True):
    """What published figures let one expect, for people who choose before they run; None is unknown."""

    source: Annotated[str, Meta(description="whose figures these are")]
    head_motion: str | None = None
    eye_blinks: str | None = None
    steps: Annotated[int | None, Meta(description="diffusion steps; None when there are none")] = None
    fps: float | None = None
    size: Annotated[str | None, Meta(description="pixels, width x height")] = None
    vram_gb: str | None = None
    seconds_for_15_s: Annotated[float | None, Meta(description="wall-clock seconds for a 15 s clip")] = None


class Needs(Model, frozen=True, kw_only=True):
    """What a host must have."""

    gpu: bool
    runtimes: tuple[Literal["docker", "venv"], ...]
    bases: Annotated[tuple[str, ...], Meta(min_length=1, description="in order of preference; one lock each")]
    python: Annotated[str, Meta(description="versions that the locks cover")] = ">=3.10,<3.12"
    ram_gb: Annotated[float, Meta(gt=0, description="host memory; the docker runtime's limit")]
    vram_gb: float | None = None
    shortest_clip_s: Annotated[float, Meta(ge=0, description="seconds; shorter clips are refused")] = 0.2
    face: Annotated[bool, Meta(description="whether it refuses a portrait in which it finds no face")] = True


class Caveat(Model, frozen=True):
    """What the record and the report say of a job while a setting has one value."""

    setting: str
    equals: SettingValue
    text: Annotated[str, Meta(min_length=1)]


class Smoke(Model, frozen=True):
    """How `faceorch smoke` runs it on stand-in weights; not with --full, which keeps the defaults."""

    settings: Annotated[dict[str, SettingValue], Meta(description="the cheapest that still pass every stage")] = field(
        default_factory=dict
    )


class Manifest(Model, frozen=True, kw_only=True):
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
    settings: dict[Annotated[str, Meta(pattern="^[a-z][a-z0-9_]*$")], Setting] = field(default_factory=dict)
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


def read_manifest(path: Path) -> Manifest:
    """Read one network.yaml strictly."""
    manifest = read_yaml(path, Manifest, {"settings": Setting})
    parts = kit_parts(kit_folder())
    for name in manifest.uses:
        if name not in parts:
            raise ManifestError(
                f"{path}: uses: faceorch_kit has no part {name!r}{near(name, parts)}", f"its parts: {', '.join(parts)}"
            )
    return manifest
