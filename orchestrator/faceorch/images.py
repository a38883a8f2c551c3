"""Dockerfile and context -> an image whose tag and label are the hash of everything that went in."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from faceorch import __version__, proc
from faceorch.bases import load_bases, pick_base
from faceorch.engine import endpoint
from faceorch.errors import BuildError
from faceorch.networks import Network, docker_folder

if TYPE_CHECKING:
    from docker import APIClient

LABEL = "io.faceorch"
BUILD_NETWORK = "FACEORCH_BUILD_NETWORK"
SOURCE = "https://github.com/faceorch/faceorch"
# The host reads these; the image needs neither, and editing them builds nothing again.
_NOT_IN_CONTEXT = {"network.yaml", "requirements.in", "overrides.txt", "__pycache__"}

Builder = Literal["buildx", "classic"]


@dataclass(frozen=True, slots=True)
class Image:
    """An image of ours that the engine has."""

    id: str
    tag: str
    inputs: str
    base: str
    base_image: str
    created: float


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that decides what an image will be."""

    network: Network
    base: str
    base_image: str
    inputs: str

    @property
    def tag(self) -> str:
        """Name and tag: the tag is the beginning of the hash of the inputs."""
        return f"faceorch/{self.network.name}:{self.inputs[:12]}"


def make_recipe(network: Network, base: str, image: str | None = None) -> Recipe:
    """Return the recipe of `network` on `base`; `image` replaces the base's own image."""
    chosen = image or pick_base(load_bases(), base).image
    digest = hashlib.sha256(f"{network.name}\0{base}\0{chosen}\0".encode())
    for name, path in _context(network):
        digest.update(f"{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\0".encode())
    return Recipe(network, base, chosen, digest.hexdigest())


def _context(network: Network) -> list[tuple[str, Path]]:
    """Return the build context as sorted (name, file) pairs."""
    docker = docker_folder()
    roots = {"base": docker / "base", "runner/faceorch_runner": docker / "runner" / "faceorch_runner"}
    files = [
        (f"{prefix}/{path.relative_to(root).as_posix()}", path)
        for prefix, root in {**roots, network.name: network.folder}.items()
        for path in sorted(root.rglob("*"))
        if path.is_file() and not _NOT_IN_CONTEXT.intersection(path.relative_to(root).parts)
    ]
    return sorted(files)


@contextmanager
def _staged(network: Network) -> Iterator[Path]:
    """Copy the context to a folder of its own, so that both builders see the same bytes, modes and times."""
    with tempfile.TemporaryDirectory(prefix="faceorch-build-") as name:
        folder = Path(name)
        for relative, path in _context(network):
            target = folder / relative
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
        for path in [folder, *folder.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)
            os.utime(path, (0, 0))
        yield folder


def ours(api: APIClient) -> list[Image]:
    """Return every image that faceorch built, newest first."""
    found = []
    for entry in api.images(filters={"label": f"{LABEL}.inputs"}):
        labels = entry.get("Labels") or {}
        tags = entry.get("RepoTags") or ["<none>"]
        found.append(
            Image(
                id=entry["Id"],
                tag=tags[0],
                inputs=labels[f"{LABEL}.inputs"],
                base=labels.get(f"{LABEL}.base", ""),
                base_image=labels.get(f"{LABEL}.base-image", ""),
                created=float(entry["Created"]),
            )
        )
    return sorted(found, key=lambda image: image.created, reverse=True)


def labels_of(recipe: Recipe) -> dict[str, str]:
    """Return the labels of the image: ours, and those of the OCI image specification's annotations."""
    manifest = recipe.network.manifest
    name, _, digest = recipe.base_image.partition("@")
    labels = {
        f"{LABEL}.network": recipe.network.name,
        f"{LABEL}.inputs": recipe.inputs,
        f"{LABEL}.base": recipe.base,
        f"{LABEL}.base-image": recipe.base_image,
        f"{LABEL}.upstream": " ".join(f"{code.url}@{code.commit}" for code in manifest.upstream),
        "org.opencontainers.image.title": f"faceorch {recipe.network.name}",
        "org.opencontainers.image.description": manifest.summary,
        "org.opencontainers.image.version": __version__,
        "org.opencontainers.image.source": SOURCE,
        "org.opencontainers.image.licenses": manifest.licence,
        "org.opencontainers.image.base.name": name,
        "org.opencontainers.image.base.digest": digest,
        "org.opencontainers.image.created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }
    return {key: value for key, value in labels.items() if value}


def find_builder() -> Builder:
    """Return `buildx` when the Docker CLI has that plugin, else `classic` (the engine's own, through the SDK)."""
    if shutil.which("docker") is None:
        return "classic"
    try:
        found = proc.run(["docker", "buildx", "version"])
    except OSError:
        return "classic"
    return "buildx" if found.code == 0 else "classic"


def build(
    api: APIClient,
    recipe: Recipe,
    *,
    builder: Builder,
    log: Path,
    no_cache: bool = False,
    on_step: Callable[[str], None] = lambda _: None,
) -> str:
    """Build the image and return its id; `BuildError` carries the last line and a remedy, `log` has everything."""
    log.parent.mkdir(parents=True, exist_ok=True)
    network_mode = os.environ.get(BUILD_NETWORK) or None
    with _staged(recipe.network) as context:
        make = _buildx if builder == "buildx" else _classic
        tail = make(api, recipe, context, log, no_cache, network_mode, on_step)
    if tail is not None:
        raise _build_error(recipe, tail, log)
    return str(api.inspect_image(recipe.tag)["Id"])  # type: ignore[no-untyped-call]


def _buildx(
    api: APIClient,
    recipe: Recipe,
    context: Path,
    log: Path,
    no_cache: bool,
    network_mode: str | None,
    on_step: Callable[[str], None],
) -> list[str] | None:
    """Build through BuildKit; return None, or the last lines of a failed build."""
    arguments = ["docker", "--host", endpoint(), "buildx", "build", "--progress", "plain", "--load"]
    arguments += ["--file", str(context / recipe.network.name / "Dockerfile"), "--tag", recipe.tag]
    arguments += ["--build-arg", f"BASE_IMAGE={recipe.base_image}"]
    for key, value in labels_of(recipe).items():
        arguments += ["--label", f"{key}={value}"]
    arguments += ["--no-cache"] if no_cache else []
    arguments += ["--network", network_mode] if network_mode else []

    def line(text: str) -> None:
        if "[" in text and "]" in text:  # `#7 [3/6] RUN ...`
            on_step(text.partition(" ")[2])

    done = proc.run([*arguments, str(context)], log=log, on_line=line)
    return None if done.code == 0 else list(done.tail)


def _classic(
    api: APIClient,
    recipe: Recipe,
    context: Path,
    log: Path,
    no_cache: bool,
    network_mode: str | None,
    on_step: Callable[[str], None],
) -> list[str] | None:
    """Build with the engine's classic builder; return None, or the last lines of a failed build."""
    tail: list[str] = []
    stream: Iterator[dict[str, Any]] = api.build(
        fileobj=_tar(context),
        custom_context=True,
        dockerfile=f"{recipe.network.name}/Dockerfile",
        tag=recipe.tag,
        buildargs={"BASE_IMAGE": recipe.base_image},
        labels=labels_of(recipe),
        nocache=no_cache,
        network_mode=network_mode,
        rm=True,
        forcerm=True,
        decode=True,
    )
    with log.open("a", encoding="utf-8") as file:
        for entry in stream:
            text = str(entry.get("stream") or entry.get("error") or entry.get("status") or "")
            file.write(text if text.endswith("\n") else text + "\n")
            lines = [part for part in text.splitlines() if part.strip()]
            tail = [*tail, *lines][-40:]
            for part in lines:
                if part.startswith("Step "):
                    on_step(part)
            if "error" in entry:
                return tail
    return None


def _tar(folder: Path) -> io.BytesIO:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path in sorted(folder.rglob("*")):
            tar.add(path, arcname=path.relative_to(folder).as_posix(), recursive=False, filter=_as_root)
    buffer.seek(0)
    return buffer


def _as_root(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = 0
    info.uname = info.gname = "root"
    return info


# What a failed build's output says, and what to do. Matched by substring, first row first.
_FREE = "free some disk: docker system prune"
_GONE = "the base image is gone from its registry: give a mirror of it with --base-image"
_REFUSED = "the registry refused the base image: docker login, or give a mirror of it with --base-image"
_CHANGED = "a package is not the one that was locked: a mirror or a proxy changes packages"
_OFFLINE = f"containers have no network while building: try {BUILD_NETWORK}=host"
_UNREACHABLE = "the registry cannot be reached: check the network, or give a mirror of the base with --base-image"
REMEDIES = (
    ("no space left on device", _FREE),
    ("No space left on device", _FREE),
    ("manifest unknown", _GONE),
    ("not found: manifest", _GONE),
    ("pull access denied", _REFUSED),
    ("unauthorized", _REFUSED),
    ("toomanyrequests", "the registry limits downloads: docker login, wait, or give a mirror with --base-image"),
    ("DO NOT MATCH THE HASHES", _CHANGED),
    ("Hash mismatch", _CHANGED),
    ("Temporary failure in name resolution", _OFFLINE),
    ("Temporary failure resolving", _OFFLINE),
    ("dns error", _OFFLINE),
    ("dial tcp", _UNREACHABLE),
    ("i/o timeout", _UNREACHABLE),
)


def _build_error(recipe: Recipe, tail: list[str], log: Path) -> BuildError:
    text = "\n".join(tail)
    remedy = next((remedy for sign, remedy in REMEDIES if sign in text), f"see {log}")
    last = next((line.strip() for line in reversed(tail) if line.strip()), "no output")
    return BuildError(f"{recipe.network.name} was not built: {last[:300]}", remedy)
