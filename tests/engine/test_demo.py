"""The demo in a container: the baseline's own image, built here, makes the frames that the venv runtime makes."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from faceorch.images import recipe as images
from faceorch.networks.discover import load_networks
from faceorch.paths import docker_folder
from faceorch.record.kinds import JobStatus
from tests.networks.conftest import ASSETS, Animate, animate, demo_clip, frames_of, own_home

if TYPE_CHECKING:
    from docker import APIClient

__all__ = ["animate", "demo_clip", "own_home"]  # fixtures, used here too

NAME = "baseline"


@pytest.fixture(scope="module")
def image(api: APIClient, base_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The baseline's image, built by the command that the README names."""
    done = subprocess.run(
        [sys.executable, "-m", "faceorch", "build", NAME, "--base-image", base_image],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    recipe = images.make_recipe(load_networks([docker_folder()])[NAME], "cpu", base_image)
    yield recipe.tag
    api.remove_image(recipe.tag, force=True)


@pytest.mark.usefixtures("image")
def test_both_runtimes_make_the_same_frames(animate: Animate, demo_clip: Path) -> None:
    made = {}
    for runtime in ("venv", "docker"):
        folder = animate(NAME, ASSETS / "face.png", demo_clip, runtime=runtime)
        (job,) = folder.run.jobs
        assert job.status is JobStatus.DONE, job.reason
        assert job.environment is not None
        assert job.environment.runtime == runtime
        made[runtime] = frames_of(folder, NAME)
    assert made["venv"].shape == (75, 1024, 1024, 3)
    assert np.array_equal(made["venv"], made["docker"])


def test_building_again_what_is_there_is_no_work(image: str, base_image: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "faceorch", "build", NAME, "--base-image", base_image],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=True,
    )
    assert f"{NAME}: {image} is there and current" in done.stdout


@pytest.mark.skipif(shutil.which("docker") is None, reason="no docker command to look with")
def test_the_image_runs_as_nobody_unless_told_otherwise(image: str) -> None:
    done = subprocess.run(
        ["docker", "image", "inspect", "--format", "{{.Config.User}}", image],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "65534:65534"


@pytest.mark.skipif(shutil.which("docker") is None, reason="no docker command to look with")
def test_nothing_of_ours_is_compiled_when_a_container_starts(image: str) -> None:
    code = "import faceorch_runner.main as m; from pathlib import Path; import faceorch_kit.voice\n"
    code += "m.load_network(Path('/opt/faceorch/network'), 'baseline')"
    done = subprocess.run(
        ["docker", "run", "--rm", "--network=none", "--read-only", "--entrypoint=python", image, "-v", "-c", code],
        capture_output=True,
        text=True,
        check=True,
    )
    read = [line for line in done.stderr.splitlines() if "code object from" in line and "/opt/faceorch/" in line]
    assert len(read) > 20
    assert [line for line in read if ".pyc'" not in line] == []
