"""The engine's images that faceorch built, and whether they are current."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from faceorch.engine.client import asked
from faceorch.images.recipe import LABEL, make_base_recipe, make_recipe
from faceorch.networks.bases import load_bases
from faceorch.networks.discover import Network
from faceorch.untrusted import text

if TYPE_CHECKING:
    from docker import APIClient


_LABEL = 500  # characters: a label of ours is shorter, and what is in an image may be anybody's


class Image(Struct, frozen=True):
    """An image that faceorch built: of a network, or of a base (then `network` is empty)."""

    id: str
    tags: tuple[str, ...]
    network: str
    inputs: str
    base: str
    base_image: str
    builder: str
    created: float

    @property
    def own_tag(self) -> str:
        """The name that faceorch gives such an image, with a registry's before it where it was pulled; else empty.

        Anybody can make an image with our labels: only one that also has our name is taken for ours.
        """
        name = f"faceorch/{self.network or f'base-{self.base}'}:{self.inputs[:12]}"
        return next((tag for tag in sorted(self.tags, key=len) if tag == name or tag.endswith(f"/{name}")), "")

    @property
    def registry(self) -> str:
        """The registry that its name says it was pulled from; empty for an image that was built or loaded here."""
        return self.own_tag.partition("/faceorch/")[0] if "/faceorch/" in self.own_tag else ""

    @property
    def tag(self) -> str:
        """Its first name and tag."""
        return self.tags[0] if self.tags else "<none>"


@asked()
def ours(api: APIClient) -> list[Image]:
    """Return every image that faceorch built, newest first."""
    found = []
    for entry in api.images(filters={"label": f"{LABEL}.inputs"}):
        labels = {key: text(str(value), _LABEL) for key, value in (entry.get("Labels") or {}).items()}
        found.append(
            Image(
                id=entry["Id"],
                tags=tuple(tag for tag in entry.get("RepoTags") or [] if tag != "<none>:<none>"),
                network=labels.get(f"{LABEL}.network", ""),
                inputs=labels[f"{LABEL}.inputs"],
                base=labels.get(f"{LABEL}.base", ""),
                base_image=labels.get(f"{LABEL}.base-image", ""),
                builder=labels.get(f"{LABEL}.builder", ""),
                created=float(entry["Created"]),
            )
        )
    return sorted(found, key=lambda image: image.created, reverse=True)


def is_current(image: Image, networks: dict[str, Network]) -> bool | None:
    """Return whether building the image now on the same userland would yield the same; None for an unknown network."""
    if image.base not in load_bases():
        return None
    if not image.network:
        return make_base_recipe(image.base, image.base_image).inputs == image.inputs
    network = networks.get(image.network)
    if network is None or network.missing_files:
        return None
    return make_recipe(network, image.base, image.base_image).inputs == image.inputs
