"""The bases, built for real: minutes and gigabytes, so only `make test-images` does it.

torch imports in each, and what docker/base/<base>.yaml says of it is what the wheels say of themselves. No GPU is
needed for that: the list of kernels is compiled in.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from faceorch.engine.client import connect
from faceorch.images.build import build
from faceorch.images.built import ours
from faceorch.images.options import BuildOptions
from faceorch.images.recipe import make_base_recipe
from faceorch.networks.bases import Base, load_bases

if TYPE_CHECKING:
    from docker import APIClient

WANTED = "FACEORCH_TEST_IMAGES"
ON = "FACEORCH_TEST_BASE_IMAGE"
# What a build takes while it runs: the layers, and once more the largest of them while it is exported.
NEEDED_BYTES = {"cpu": 2 * 10**9, "cu121": 16 * 10**9, "cu128": 20 * 10**9}
ASK = """
import json, subprocess, sys
found = {"python": list(sys.version_info[:2]), "ffmpeg": subprocess.run(["ffmpeg", "-version"]).returncode}
try:
    import torch, torchvision
    found |= {"torch": torch.__version__, "cuda": torch.version.cuda, "flags": torch._C._cuda_getArchFlags()}
    found["sum"] = float(torch.ones(3).sum())
except ModuleNotFoundError:
    pass
print(json.dumps(found))
"""

pytestmark = pytest.mark.skipif(os.environ.get(WANTED) != "1", reason="minutes and gigabytes: make test-images")


@pytest.fixture(scope="module")
def api() -> APIClient:
    return connect()


def check_disk(api: APIClient, base: Base) -> None:
    root = Path(str(api.info()["DockerRootDir"]))
    if root.exists():  # an engine elsewhere keeps its own house
        free = shutil.disk_usage(root).free
        needed = NEEDED_BYTES[base.name]
        assert free > needed, f"{root} has {free / 1e9:.0f} GB free, {base.name} needs {needed / 1e9:.0f} GB to build"


def ask(api: APIClient, tag: str) -> dict[str, object]:
    """Run Python in the sandbox of the docker runtime and return what it prints."""
    host = api.create_host_config(
        network_mode="none",
        read_only=True,
        tmpfs={"/tmp": "rw,exec"},
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
    )
    container = api.create_container(tag, ["-c", ASK], entrypoint="python", user="65534:65534", host_config=host)
    try:
        api.start(container["Id"])
        end = api.wait(container["Id"])
        output = api.logs(container["Id"]).decode()
        assert end["StatusCode"] == 0, output
        answer: dict[str, object] = json.loads(output.splitlines()[-1])
        return answer
    finally:
        api.remove_container(container["Id"])


@pytest.mark.parametrize("base", load_bases().values(), ids=lambda base: base.name)
@pytest.mark.timeout(3600)
def test_a_base_is_what_its_file_says(api: APIClient, base: Base, tmp_path: Path) -> None:
    recipe = make_base_recipe(base.name, os.environ.get(ON))
    if not any(image.inputs == recipe.inputs for image in ours(api) if image.tags):
        check_disk(api, base)
        build(recipe, BuildOptions.of(), log=tmp_path / "build.log")
    found = ask(api, recipe.tag)
    assert found["python"] in ([3, 10], [3, 11])
    assert found["ffmpeg"] == 0
    if base.torch is None:
        assert "torch" not in found
        return
    assert str(found["torch"]).partition("+")[0] == base.torch
    assert found["cuda"] == base.cuda
    assert str(found["flags"]).split() == list(base.kernels)
    assert found["sum"] == 3.0
