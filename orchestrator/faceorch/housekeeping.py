"""What faceorch keeps on this host: its images with their sizes, and what of all that is no longer of use."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from faceorch.engine.client import Missing, asked, remove_container
from faceorch.images.built import Image, is_current, ours
from faceorch.images.recipe import LABEL
from faceorch.networks.discover import Network
from faceorch.owner import Owner
from faceorch.paths import home
from faceorch.runtimes.venv import environment_folder
from faceorch.untrusted import NAME, text

if TYPE_CHECKING:
    from docker import APIClient


_SURELY_OVER_S = 86400.0


class Listed(Struct, frozen=True, kw_only=True):
    """An image and what it takes. `shared_bytes` are in layers that other images have too; None: not known."""

    image: Image
    current: bool | None
    size_bytes: int
    shared_bytes: int | None

    @property
    def own_bytes(self) -> int | None:
        """Bytes that would be free without it."""
        return None if self.shared_bytes is None else self.size_bytes - self.shared_bytes


def list_images(api: APIClient, networks: Mapping[str, Network]) -> list[Listed]:
    """Return our images, bases first, with their sizes."""
    found = ours(api)
    with asked():
        usage = {
            str(entry["Id"]): (int(entry.get("Size", 0)), int(entry.get("SharedSize", -1)))
            for entry in api.df().get("Images") or []
        }
    listed = []
    for image in found:
        size_bytes, shared = usage.get(image.id, (0, -1))
        listed.append(
            Listed(
                image=image,
                # A build that failed leaves an untagged image with the labels of the base it stood on.
                current=is_current(image, dict(networks)) if image.tags else False,
                size_bytes=size_bytes,
                shared_bytes=shared if shared >= 0 else None,
            )
        )
    return sorted(listed, key=lambda one: (bool(one.image.network), one.image.network or one.image.base))


class Leftover(Struct, frozen=True, kw_only=True):
    """Something that is no longer of use: what it is, why, what it takes, and how to remove it."""

    kind: str  # container, image, environment, log
    name: str
    why: str
    bytes: int | None
    remove: Callable[[], None]


def leftovers(api: APIClient | None, networks: Mapping[str, Network]) -> list[Leftover]:
    """Return all that can go, in the order in which it can; without an engine, what lies in the cache folder."""
    found: list[Leftover] = []
    kept: set[str] = set()
    if api is not None:
        found += _containers(api)
        listed = list_images(api, networks)
        # Networks before bases: an engine does not remove an image that another one stands on.
        found += [_image(api, one) for one in reversed(listed) if one.current is False]
        kept = {one.image.inputs[:12] for one in listed if one.current is not False}
    found += _environments(networks)
    if api is not None:  # without an engine, nobody knows which images are there
        found += _logs(kept)
    return found


def _containers(api: APIClient) -> list[Leftover]:
    with asked():
        return list(_ours_that_ended(api))


def _ours_that_ended(api: APIClient) -> Iterator[Leftover]:
    for entry in api.containers(all=True, filters={"label": f"{LABEL}.owner"}):
        owner = Owner.parse((entry.get("Labels") or {}).get(f"{LABEL}.owner", ""))
        alive = True if owner is None else owner.judged()
        ended = entry.get("State") == "exited" and time.time() - int(entry.get("Created", 0)) > _SURELY_OVER_S
        if alive is False or (alive is None and ended):
            identity = str(entry["Id"])
            yield Leftover(
                kind="container",
                name=text(str(entry["Names"][0]), NAME).lstrip("/"),
                why="its faceorch died" if alive is False else "it has ended; its faceorch cannot be seen from here",
                bytes=None,
                remove=lambda identity=identity: remove_container(api, identity),  # type: ignore[misc]
            )


def _image(api: APIClient, one: Listed) -> Leftover:
    why = "older than what it is made of" if one.image.tags else "of a failed or repeated build"
    return Leftover(
        kind="image",
        name=one.image.tag if one.image.tags else one.image.id[7:19],
        why=why,
        bytes=one.own_bytes,
        remove=lambda: _remove_image(api, one.image),
    )


def _remove_image(api: APIClient, image: Image) -> None:
    for reference in image.tags or (image.id,):
        with contextlib.suppress(Missing), asked():
            api.remove_image(reference)


def _environments(networks: Mapping[str, Network]) -> Iterator[Leftover]:
    current = {
        environment_folder(network, base)
        for network in networks.values()
        for base in network.manifest.needs.bases
        if network.lock(base).is_file()
    }
    folder = home() / "venvs"
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if path.is_dir() and path not in current:
            yield Leftover(
                kind="environment",
                name=str(path),
                why="of no lock of a network that is known now; FACEORCH_NETWORKS names those of your own",
                bytes=_size(path),
                remove=lambda path=path: shutil.rmtree(path),  # type: ignore[misc]
            )


def _logs(kept: set[str]) -> Iterator[Leftover]:
    for path in sorted((home() / "build").glob("*.log")):
        if path.stem.rpartition("-")[2] not in kept:
            yield Leftover(
                kind="log",
                name=str(path),
                why="its image is not there, or not current",
                bytes=path.stat().st_size,
                remove=lambda path=path: path.unlink(missing_ok=True),  # type: ignore[misc]
            )


def _size(folder: Path) -> int:
    return sum(os.lstat(Path(root, name)).st_size for root, _, names in os.walk(folder) for name in names)
