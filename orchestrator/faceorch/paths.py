"""Where faceorch keeps what outlives a run: environments, logs of bugs, records of running processes."""

from __future__ import annotations

import os
from pathlib import Path

ENV_HOME = "FACEORCH_HOME"


def home() -> Path:
    """Return faceorch's folder: FACEORCH_HOME, or the user's cache folder of the platform."""
    given = os.environ.get(ENV_HOME)
    if given:
        return Path(given).expanduser().absolute()
    import platformdirs

    return platformdirs.user_cache_path("faceorch")
