"""weights.yaml -> `Weights`: the files that a network needs for inference, with their sources and licences.

A network without this file needs no weights.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Annotated, Literal

from msgspec import Meta

from faceorch.errors import ManifestError
from faceorch.networks.discover import Network
from faceorch.networks.yaml import Model, read_yaml
from faceorch.record.request import SettingValue

FILE_NAME = "weights.yaml"
HUB = "https://huggingface.co"


class Source(Model, frozen=True):
    """Where a file comes from: `repo`, `revision` and `file` of the Hugging Face hub, or a `url`."""

    repo: Annotated[str, Meta(pattern=r"^[\w.-]+/[\w.-]+$", description="owner/name")] | None = None
    revision: (
        Annotated[str, Meta(pattern="^[0-9a-f]{40}$", description="full commit; null where none is publicly stated")]
        | None
    ) = None
    file: Annotated[str, Meta(min_length=1, description="path in the repository")] | None = None
    url: Annotated[str, Meta(pattern="^https?://", description="address, instead of the three above")] | None = None

    def __post_init__(self) -> None:
        """Check that a source is either a url or a complete hub source."""
        if (self.url is None) == (self.repo is None):
            raise ValueError("a source has either 'url', or 'repo', 'revision' and 'file'")
        if (self.repo is None) != (self.file is None) or (self.revision is not None and self.repo is None):
            raise ValueError("'repo', 'revision' and 'file' go together")

    @property
    def key(self) -> str:
        """The name of this source; it does not depend on the mirror that serves it."""
        if self.url is not None:
            return self.url
        return f"{HUB}/{self.repo}/resolve/{self.revision or 'main'}/{self.file}"

    def __str__(self) -> str:
        return self.key


class When(Model, frozen=True):
    """A file that is only needed while a setting has one of these values."""

    setting: Annotated[str, Meta(description="name of a setting of network.yaml")]
    equals: Annotated[
        SettingValue | tuple[SettingValue, ...], Meta(description="the value, or values, for which the file is needed")
    ]

    @property
    def values(self) -> tuple[SettingValue, ...]:
        """The values for which the file is needed."""
        return self.equals if isinstance(self.equals, tuple) else (self.equals,)


class Convert(Model, frozen=True):
    """How a file may be repacked as safetensors (`faceorch weights convert`)."""

    path: Annotated[str, Meta(pattern=r"\.safetensors$", description="where the repacked file goes")]
    half: Annotated[bool, Meta(description="as fp16: only if the network computes in fp16 anyway")] = False
    key: Annotated[str, Meta(description="the entry of the pickled dict that holds the tensors")] | None = None


class File(Model, frozen=True):
    """One weight file."""

    path: Annotated[str, Meta(description="its path in the network's weights folder")]
    source: Source
    size: Annotated[int, Meta(gt=0, description="bytes")]
    sha256: (
        Annotated[
            str,
            Meta(pattern="^[0-9a-f]{64}$", description="null where none is publicly stated; `weights lock` fills it"),
        ]
        | None
    )
    licence: Annotated[str, Meta(description="licence of the file, as its owner states it")]
    commercial: Annotated[bool | None, Meta(description="does the licence allow commercial use? null: unclear")]
    why: Annotated[str, Meta(description="what it is needed for, on one line")]
    size_exact: Annotated[
        bool | None, Meta(description="false: `size` is an estimate; default: exact if sha256 is stated")
    ] = None
    when: When | None = None
    convert: Convert | None = None

    def __post_init__(self) -> None:
        """Check that no path leaves the weights folder."""
        for path in (self.path, *([self.convert.path] if self.convert else [])):
            parts = PurePosixPath(path).parts
            if not parts or path != "/".join(parts) or ".." in parts or "." in parts or "\\" in path or parts[0] == "/":
                raise ValueError(f"{path!r} is not a plain relative path")

    @property
    def exact_size(self) -> int | None:
        """The size, or None if it is only an estimate."""
        exact = self.sha256 is not None if self.size_exact is None else self.size_exact
        return self.size if exact else None

    @property
    def id(self) -> str:
        """Its name in the store: its hash, or if that is not stated, a hash of its source."""
        return self.sha256 or hashlib.sha256(self.source.key.encode()).hexdigest()


class Weights(Model, frozen=True):
    """The content of weights.yaml."""

    schema: Annotated[Literal[1], Meta(description="version of this format")]
    files: Annotated[tuple[File, ...], Meta(min_length=1, description="every file that inference needs")]

    def __post_init__(self) -> None:
        """Check that no two files have the same path."""
        taken: set[str] = set()
        for file in self.files:
            for path in (file.path, *([file.convert.path] if file.convert else [])):
                if path in taken or _parents(path) & taken or any(path in _parents(other) for other in taken):
                    raise ValueError(f"two files have the path {path!r}")
                taken.add(path)

    @property
    def paths(self) -> frozenset[str]:
        """Every path that may exist in the network's weights folder."""
        return frozenset(path for f in self.files for path in (f.path, *([f.convert.path] if f.convert else [])))

    def needed(self, settings: Mapping[str, SettingValue]) -> tuple[File, ...]:
        """Return the files that a job with these `settings` needs."""
        return tuple(f for f in self.files if f.when is None or settings[f.when.setting] in f.when.values)


def _parents(path: str) -> set[str]:
    return {str(parent) for parent in PurePosixPath(path).parents} - {"."}


def load_weights(network: Network) -> Weights | None:
    """Return the weights of `network`, None if it needs none; raise `ManifestError` for an invalid file."""
    path = network.folder / FILE_NAME
    if not path.is_file():
        return None
    weights = read_yaml(path, Weights)
    settings = network.manifest.settings
    for file in weights.files:
        if file.when is None:
            continue
        setting = settings.get(file.when.setting)
        if setting is None:
            raise ManifestError(f"{path}: {file.path}: {network.name} has no setting {file.when.setting!r}")
        for value in file.when.values:
            try:
                if isinstance(value, bool) is not isinstance(setting.default, bool):
                    raise ValueError(f"{value!r} is not {setting.allowed}")
                setting.validate_value(value)  # type: ignore[arg-type]
            except ValueError as error:
                raise ManifestError(f"{path}: {file.path}: when.equals: {error}") from None
    return weights
