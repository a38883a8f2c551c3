"""`docker compose build` and `docker compose run`, as the first lines of compose.yaml say."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from faceorch.engine.client import endpoint
from faceorch.media.video import probe_video
from tests.engine.conftest import REQUIRED

if TYPE_CHECKING:
    from docker import APIClient

ROOT = Path(__file__).parents[2]
IMAGE = "faceorch/baseline:compose"


@pytest.fixture
def compose(base_image: str, tmp_path: Path) -> list[str]:
    command = ["docker", "--host", endpoint(), "compose", "--file", str(ROOT / "compose.yaml")]
    if shutil.which("docker") is None or subprocess.run([*command, "version"], capture_output=True).returncode != 0:
        (pytest.fail if os.environ.get(REQUIRED) == "1" else pytest.skip)("the Docker CLI has no compose plugin")
    return command


@pytest.fixture
def environment(base_image: str, tmp_path: Path) -> dict[str, str]:
    (tmp_path / "videos").mkdir()
    return {
        **os.environ,
        "FACEORCH_BASE_IMAGE": base_image,
        "FACEORCH_OUT": str(tmp_path / "videos"),
        "FACEORCH_USER": f"{os.getuid()}:{os.getgid()}",
        "BASELINE_MAX_SIZE": "256",
    }


@pytest.fixture
def built(api: APIClient, compose: list[str], environment: dict[str, str]) -> Iterator[None]:
    done = subprocess.run([*compose, "build", "baseline"], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    yield
    api.remove_image(IMAGE, force=True)


def test_compose_builds_and_runs_a_network(
    built: None, compose: list[str], environment: dict[str, str], tmp_path: Path
) -> None:
    done = subprocess.run([*compose, "run", "--rm", "baseline"], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    video = probe_video(tmp_path / "videos" / "baseline.mp4")
    assert (video.width, video.height, video.codec) == (256, 256, "h264")
    # A folder that is not there is an error, and is not made behind the user's back.
    missing = {**environment, "FACEORCH_OUT": str(tmp_path / "missing")}
    done = subprocess.run([*compose, "run", "--rm", "baseline"], env=missing, capture_output=True, text=True)
    assert done.returncode != 0
    assert "bind source path does not exist" in done.stderr
    assert not (tmp_path / "missing").exists()
