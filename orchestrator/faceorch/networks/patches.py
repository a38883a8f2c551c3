"""What a network changes in upstream's code: the `PATCHES` of its patches.py."""

from __future__ import annotations

from faceorch.errors import ManifestError
from faceorch.networks.discover import Network
from faceorch_patch import Patch, load_patches


def patches_of(network: Network) -> tuple[Patch, ...]:
    """Return the patches of `network`, none for one that changes nothing; `ManifestError` when they cannot be read."""
    path = network.folder / "patches.py"
    if not path.is_file():
        return ()
    try:
        return load_patches(path)
    except Exception as error:  # whatever somebody's patches.py raises while it is loaded
        text = str(error) if isinstance(error, ValueError) else f"{path}: {type(error).__name__}: {error}"
        raise ManifestError(text, "mend its patches.py") from error
