"""Reads a network's changes to upstream's code: the `PATCHES` of its patches.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

from faceorch.errors import ManifestError
from faceorch.networks.discover import Network

if TYPE_CHECKING:
    from faceorch_patch import Patch


def patches_of(network: Network) -> tuple[Patch, ...]:
    """Return the patches of `network`, empty if it has none; raise `ManifestError` if they cannot be read."""
    path = network.folder / "patches.py"
    if not path.is_file():
        return ()
    from faceorch_patch import load_patches

    try:
        return load_patches(path)
    except Exception as error:  # a patches.py may raise anything while it is loaded
        text = str(error) if isinstance(error, ValueError) else f"{path}: {type(error).__name__}: {error}"
        raise ManifestError(text, "fix its patches.py") from error
