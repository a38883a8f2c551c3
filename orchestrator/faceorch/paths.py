"""Where things are: the folders that ship with faceorch, and the one that outlives a run."""

from __future__ import annotations

import os
from pathlib import Path

ENV_HOME = "FACEORCH_HOME"

_PACKAGE = Path(__file__).parent


def docker_folder() -> Path:
    """Return the `docker/` folder: inside the installed package, or at the root of a checkout."""
    return _shipped("docker")


def kit_folder() -> Path:
    """Return the folder of faceorch_kit, the package of what networks share."""
    return docker_folder() / "kit" / "faceorch_kit"


def assets_folder() -> Path:
    """Return the folder of the bundled portrait and clip."""
    return _shipped("assets")


def _shipped(name: str) -> Path:
    installed = _PACKAGE / name
    return installed if installed.is_dir() else _PACKAGE.parents[1] / name


def absolute(given: str | Path) -> Path:
    """Return a path with the user's home for its `~`, and not relative; of a user that nobody is, the `~name` stays.

    Links stay: the Python of a virtual environment is one.
    """
    return Path(os.path.expanduser(given)).absolute()  # noqa: PTH111 - Path.expanduser raises where there is no home


def home() -> Path:
    """Return faceorch's folder: FACEORCH_HOME, or the user's cache folder of the platform."""
    given = os.environ.get(ENV_HOME)
    if given:
        return absolute(given)
    import platformdirs

    return platformdirs.user_cache_path("faceorch")
