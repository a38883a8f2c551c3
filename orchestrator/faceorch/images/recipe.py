"""Dockerfile and build context -> an image whose tag and label are the hash of all inputs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime, timezone
from pathlib import Path

from msgspec import Struct

from faceorch import __version__, proc
from faceorch.networks.bases import Base, load_bases, pick_base
from faceorch.networks.discover import Network
from faceorch.networks.kit import PACKAGE, kit_paths
from faceorch.paths import docker_folder, kit_folder

LABEL = "io.faceorch"
SOURCE = "https://github.com/faceorch/faceorch"


class Recipe(Struct, frozen=True):
    """Everything that determines an image. `parent` is the base of a network's image."""

    name: str
    base: Base
    base_image: str
    files: tuple[tuple[str, Path], ...]
    inputs: str
    network: Network | None = None
    parent: Recipe | None = None

    @property
    def repository(self) -> str:
        """Name of the image, without its tag."""
        return f"faceorch/{self.name}"

    @property
    def tag(self) -> str:
        """Name and tag; the tag is a prefix of the hash of the inputs."""
        return f"{self.repository}:{self.inputs[:12]}"

    @property
    def dockerfile(self) -> str:
        """Path of the Dockerfile in the build context."""
        return f"{self.network.name if self.network else 'base'}/Dockerfile"

    @property
    def arguments(self) -> dict[str, str]:
        """The build arguments that determine the image."""
        base = {"BASE_IMAGE": self.parent.tag if self.parent else self.base_image, "BASE": self.base.name}
        return {**base, **upstream_arguments(self.network)} if self.network else base


def make_base_recipe(base: str, image: str | None = None) -> Recipe:
    """Return the recipe of the image of `base`; `image` replaces the base's userland."""
    chosen = pick_base(load_bases(), base)
    folder = docker_folder() / "base"
    files = [
        *((f"base/{name}", folder / name) for name in ("Dockerfile", "tools.lock", f"requirements.{base}.lock")),
        *_below("base/bin", folder / "bin"),
    ]
    return _recipe(f"base-{base}", chosen, image or chosen.image, files)


def make_recipe(network: Network, base: str, image: str | None = None) -> Recipe:
    """Return the recipe of `network` on `base`; `image` replaces the base's userland."""
    parent = make_base_recipe(base, image)
    docker = docker_folder()
    files = [(f"{network.name}/{path.name}", path) for path in (network.folder / "Dockerfile", network.lock(base))]
    files += _below(f"{network.name}/code", network.code)
    files += _below("runner/faceorch_runner", docker / "runner" / "faceorch_runner")
    for path in kit_paths(kit_folder(), network.manifest.uses):
        name = f"kit/{PACKAGE}/{path.name}"
        files += _below(name, path) if path.is_dir() else [(name, path)]
    patches = network.folder / "patches.py"
    if patches.is_file():
        files += [(f"{network.name}/patches.py", patches)]
        files += _below("patch/faceorch_patch", docker / "patch" / "faceorch_patch")
    return _recipe(network.name, parent.base, parent.base_image, files, network, parent)


def upstream_arguments(network: Network) -> dict[str, str]:
    """Return the build arguments for the upstream code: UPSTREAM, UPSTREAM_2 and so on."""
    pinned = [code.pinned for code in network.manifest.upstream]
    return {f"UPSTREAM_{number}" if number > 1 else "UPSTREAM": code for number, code in enumerate(pinned, 1)}


def _recipe(
    name: str,
    base: Base,
    image: str,
    files: Iterable[tuple[str, Path]],
    network: Network | None = None,
    parent: Recipe | None = None,
) -> Recipe:
    found = tuple(sorted(files))
    digest = hashlib.sha256(f"{name}\0{base.name}\0{image}\0{parent.inputs if parent else ''}\0".encode())
    for code in network.manifest.upstream if network else ():
        digest.update(f"{code.pinned}\0".encode())
    for relative, path in found:
        digest.update(f"{relative}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\0".encode())
    return Recipe(name, base, image, found, digest.hexdigest(), network, parent)


def _below(prefix: str, root: Path) -> list[tuple[str, Path]]:
    """Return the files of a folder as (name in the build context, file)."""
    return [
        (f"{prefix}/{path.relative_to(root).as_posix()}", path)
        for path in root.rglob("*")
        if path.is_file() and "__pycache__" not in path.relative_to(root).parts
    ]


def labels_of(recipe: Recipe, builder: str) -> dict[str, str]:
    """Return the labels of the image: faceorch's own, and the annotations of the OCI image specification."""
    name, _, digest = recipe.base_image.partition("@")
    manifest = recipe.network.manifest if recipe.network else None
    labels = {
        f"{LABEL}.network": recipe.network.name if recipe.network else "",
        f"{LABEL}.inputs": recipe.inputs,
        f"{LABEL}.base": recipe.base.name,
        f"{LABEL}.base-image": recipe.base_image,
        f"{LABEL}.builder": builder,
        f"{LABEL}.upstream": " ".join(code.pinned for code in manifest.upstream) if manifest else "",
        "org.opencontainers.image.title": f"faceorch {recipe.name}",
        "org.opencontainers.image.description": manifest.summary if manifest else recipe.base.summary,
        "org.opencontainers.image.version": __version__,
        "org.opencontainers.image.source": SOURCE,
        "org.opencontainers.image.revision": revision(),
        "org.opencontainers.image.licenses": manifest.licence if manifest else "Apache-2.0",
        "org.opencontainers.image.base.name": recipe.base.image_tag if recipe.base_image == recipe.base.image else name,
        "org.opencontainers.image.base.digest": digest,
        "org.opencontainers.image.created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }
    return {key: value for key, value in labels.items() if value}


def revision() -> str:
    """Return the commit of faceorch's checkout, with `-dirty` if docker/ differs; "" outside a checkout."""
    folder = docker_folder()
    if not (folder.parent / ".git").exists():
        return ""
    try:
        head = proc.run(["git", "-C", str(folder), "rev-parse", "HEAD"])
        changed = proc.run(["git", "-C", str(folder), "status", "--porcelain", "--", "."])
    except OSError:  # git is not installed
        return ""
    if head.code != 0 or changed.code != 0:
        return ""
    return head.tail[0] + ("-dirty" if changed.tail else "")
