"""network.yaml -> `Manifest`: what a network is, what it needs, and its settings."""

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
    """An upstream repository whose code the network runs."""

    url: Annotated[str, Meta(description="address that git clones from")]
    commit: Annotated[str, Meta(pattern="^[0-9a-f]{40}$", description="full commit hash")]
    licence: Annotated[str, Meta(description="licence of the code")]

    @property
    def pinned(self) -> str:
        """Address and commit, as `clone-upstream` and the image's label have them."""
        return f"{self.url}@{self.commit}"


class Expected(Model, frozen=True):
    """Published figures, for choosing networks before a run; null is unknown."""

    source: Annotated[str, Meta(description="where the figures were published")]
    head_motion: Annotated[str | None, Meta(description="how far the head moves, in a few words")] = None
    eye_blinks: Annotated[str | None, Meta(description='whether the eyes blink: "yes" or "no", in quotes')] = None
    steps: Annotated[int | None, Meta(description="diffusion steps; null when there are none")] = None
    fps: Annotated[float | None, Meta(description="frames per second at the default settings")] = None
    size: Annotated[str | None, Meta(description="pixels, width x height")] = None
    vram_gb: Annotated[str | None, Meta(description="GPU memory in GB, in words such as `5 to 6`")] = None
    seconds_for_15_s: Annotated[float | None, Meta(description="wall-clock seconds for a 15 s clip")] = None


class Needs(Model, frozen=True, kw_only=True):
    """What a host must have."""

    gpu: Annotated[bool, Meta(description="whether it runs only on an NVIDIA GPU")]
    runtimes: Annotated[
        tuple[Literal["docker", "venv"], ...],
        Meta(description="docker: in a container; venv: as a process of the host, for code that is trusted"),
    ]
    bases: Annotated[
        tuple[str, ...],
        Meta(min_length=1, description="names of `docker/base/<base>.yaml`, in order of preference; one lock each"),
    ]
    python: Annotated[str, Meta(description="versions of Python that the venv runtime may use")] = ">=3.10,<3.12"
    ram_gb: Annotated[float, Meta(gt=0, description="main memory in GB; a container gets no more")]
    vram_gb: Annotated[float | None, Meta(description="GPU memory in GB; given exactly when gpu is true")] = None
    shortest_clip_s: Annotated[float, Meta(ge=0, description="seconds; shorter clips are refused")] = 0.2
    face: Annotated[bool, Meta(description="whether it refuses a portrait in which it finds no face")] = True


PRESET = "preset"  # the setting that chooses one


class Caveat(Model, frozen=True):
    """A remark in the record and the report on jobs in which a setting has a certain value."""

    setting: Annotated[str, Meta(description="name of the setting")]
    equals: Annotated[SettingValue, Meta(description="its value that needs a caveat")]
    text: Annotated[str, Meta(min_length=1, description="the remark")]


class Smoke(Model, frozen=True):
    """How `faceorch smoke` runs it on stand-in weights; --full uses the defaults instead."""

    settings: Annotated[dict[str, SettingValue], Meta(description="the cheapest ones that run every stage")] = field(
        default_factory=dict
    )


class Manifest(Model, frozen=True, kw_only=True):
    """The content of network.yaml."""

    schema: Annotated[Literal[1], Meta(description="version of this format")]
    role: Annotated[
        Literal["network", "judge"],
        Meta(description="network: it animates; judge: it measures the finished videos (code/judge.py)"),
    ] = "network"
    title: Annotated[str, Meta(description="name for people, on one line")]
    summary: Annotated[str, Meta(description="what it is, in one sentence")]
    approach: Annotated[str, Meta(description="how it works, on one line")]
    licence: Annotated[str, Meta(description="licence of code and weights, as the report shows it")]
    homepage: Annotated[str | None, Meta(description="address of its page")] = None
    paper: Annotated[str | None, Meta(description="address of its paper")] = None
    upstream: Annotated[
        tuple[UpstreamCode, ...], Meta(description="upstream code that goes into the image, in the Dockerfile's order")
    ] = ()
    uses: Annotated[tuple[str, ...], Meta(description="parts of faceorch_kit that its code imports")] = ()
    expected: Expected | None = None
    needs: Needs
    settings: Annotated[
        dict[Annotated[str, Meta(pattern="^[a-z][a-z0-9_]*$")], Setting],
        Meta(description="what `--set NETWORK.KEY=VALUE` may change, by name"),
    ] = field(default_factory=dict)
    presets: Annotated[
        dict[str, dict[str, SettingValue]],
        Meta(description="values of other settings, by each value of the setting `preset`; those that are given win"),
    ] = field(default_factory=dict)
    caveats: Annotated[tuple[Caveat, ...], Meta(description="remarks on jobs with certain settings")] = ()
    smoke: Smoke = Smoke()

    def __post_init__(self) -> None:
        """Check that every value is allowed by its setting."""
        values = [(f"settings.{key}.default", key, setting.default) for key, setting in self.settings.items()]
        values += [(f"smoke.settings.{key}", key, value) for key, value in self.smoke.settings.items()]
        values += [(f"caveats: {said.setting}", said.setting, said.equals) for said in self.caveats]
        for name, preset in self.presets.items():
            values.append((f"presets.{name}", PRESET, name))
            values += [(f"presets.{name}.{key}", key, value) for key, value in preset.items()]
            if PRESET in preset:
                raise ValueError(f"presets.{name}: a preset sets no preset")
        for place, key, value in values:
            if key not in self.settings:
                raise ValueError(f"{place}: there is no such setting")
            try:
                self.settings[key].validate_value(value)  # type: ignore[arg-type]
            except (TypeError, ValueError) as error:
                raise ValueError(f"{place}: {error}") from error


def read_manifest(path: Path) -> Manifest:
    """Read one network.yaml; unknown keys are errors."""
    manifest = read_yaml(path, Manifest, {"settings": Setting})
    parts = kit_parts(kit_folder())
    for name in manifest.uses:
        if name not in parts:
            raise ManifestError(
                f"{path}: uses: faceorch_kit has no part {name!r}{near(name, parts)}", f"its parts: {', '.join(parts)}"
            )
    return manifest
