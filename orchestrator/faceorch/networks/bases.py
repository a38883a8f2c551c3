"""docker/base/<base>.yaml -> `Base`: what images are built on, and for which GPUs its torch has kernels."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import yaml
from msgspec import Meta
from msgspec.structs import replace

from faceorch.errors import CannotRun, ManifestError
from faceorch.networks.yaml import YAML
from faceorch.paths import docker_folder
from faceorch.record.run import Gpu
from faceorch.words import near

_KERNEL = re.compile(r"sm_(\d+)(\d)")

Digest = Annotated[str, Meta(pattern="^[^@]+@sha256:[0-9a-f]{64}$")]
Kernel = Annotated[str, Meta(pattern="^sm_[0-9]{2,3}$")]
Version = Annotated[str, Meta(pattern=r"^[0-9]+(\.[0-9]+)*$")]


class Base(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One base: a userland, and the torch installed on it (none for networks that need no GPU)."""

    schema: Literal[1]
    name: str = ""
    summary: str
    image: Annotated[Digest, Meta(description="userland, by digest")]
    image_tag: Annotated[str, Meta(description="the tag that had this digest when it was pinned")]
    torch: Version | None = None
    cuda: Version | None = None
    kernels: Annotated[tuple[Kernel, ...], Meta(description="GPU architectures that torch has kernels for")] = ()
    driver_min: Annotated[Version | None, Meta(description="oldest NVIDIA driver that runs it")] = None
    disk_gb: Annotated[float, Meta(gt=0, description="disk space it needs, without a network's packages")] = 1.0

    def __post_init__(self) -> None:
        """Check that the fields about torch are given all or not at all."""
        given = [self.torch is not None, self.cuda is not None, bool(self.kernels), self.driver_min is not None]
        if any(given) and not all(given):
            raise ValueError("torch, cuda, kernels and driver_min go together")

    def covers(self, compute_capability: str) -> bool:
        """Return whether torch has kernels for a GPU. A kernel runs on its major version, from its minor version up."""
        major, _, minor = compute_capability.partition(".")
        for kernel in self.kernels:
            found = _KERNEL.fullmatch(kernel)
            assert found is not None  # the struct's pattern
            if int(found[1]) == int(major) and int(found[2]) <= int(minor or 0):
                return True
        return False


def load_bases(folder: Path | None = None) -> dict[str, Base]:
    """Return every base by name; raise `ManifestError` for the first invalid file."""
    return dict(_load(folder or docker_folder() / "base"))


@cache
def _load(folder: Path) -> tuple[tuple[str, Base], ...]:
    return tuple((path.stem, _read(path)) for path in sorted(folder.glob("*.yaml")))


def _read(path: Path) -> Base:
    try:
        raw: Any = yaml.load(path.read_text("utf-8"), YAML)
        base = msgspec.convert(raw, Base)
    except OSError as error:
        raise ManifestError(f"{path}: {error.strerror}") from error
    except (yaml.YAMLError, msgspec.ValidationError) as error:
        raise ManifestError(f"{path}: {' '.join(str(error).split())}") from error
    return replace(base, name=path.stem)


def pick_base(bases: Mapping[str, Base], name: str) -> Base:
    """Return the base called `name`; raise `CannotRun`, with the nearest name, if there is none."""
    if name not in bases:
        raise CannotRun(f"no base is called {name!r}{near(name, bases)}", f"choose from: {', '.join(bases)}")
    return bases[name]


def choose_base(names: Sequence[str], gpus: Iterable[Gpu], bases: Mapping[str, Base] | None = None) -> Base | None:
    """Return the first base of `names` with kernels for every GPU of `gpus`; None if there is none."""
    known = load_bases() if bases is None else bases
    wanted = [gpu.compute_capability for gpu in gpus]
    return next((base for base in (pick_base(known, name) for name in names) if all(map(base.covers, wanted))), None)
