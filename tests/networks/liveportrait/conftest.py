"""The network's own modules are plain files in its folder, as in its image."""

from __future__ import annotations

import sys

from faceorch.paths import docker_folder

sys.path.insert(0, str(docker_folder() / "liveportrait"))
