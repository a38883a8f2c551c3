"""A real container engine; where there is none the tests skip with the reason, or fail when one was promised."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from faceorch import images
from faceorch.builders import Builder, BuildOptions, build
from faceorch.engine import connect
from faceorch.errors import EngineError
from faceorch.networks import Network
from faceorch.owner import Owner
from faceorch.runtimes import Launch, Ready
from faceorch.runtimes.docker import DockerRuntime
from tests.conftest import MakeNetwork, write_code

if TYPE_CHECKING:
    from docker import APIClient

REQUIRED = "FACEORCH_REQUIRE_ENGINE"
BASE = "FACEORCH_TEST_BASE_IMAGE"

DOCKERFILE = """
    ARG BASE_IMAGE
    FROM ${BASE_IMAGE}
    COPY runner/faceorch_runner /opt/faceorch/runner/faceorch_runner
    COPY probe/code /opt/faceorch/network
    USER 65534:65534
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker("engine")


def _no_engine(reason: str) -> None:
    if os.environ.get(REQUIRED) == "1":
        pytest.fail(f"{REQUIRED} is set, but {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def api() -> Iterator[APIClient]:
    try:
        client = connect()
    except EngineError as error:
        _no_engine(error.message)
        raise
    yield client
    client.close()


@pytest.fixture(scope="session")
def base_image(api: APIClient) -> str:
    """A local image with Python 3.10 or newer, so that no registry is needed."""
    name = os.environ.get(BASE)
    if name is None:
        _no_engine(f"{BASE} names no image with Python to build on (.ci/engine makes one)")
    assert name is not None
    return name


@pytest.fixture(autouse=True)
def nothing_is_left(api: APIClient) -> Iterator[None]:
    """No test may leave a container of ours behind."""
    yield
    left = api.containers(all=True, filters={"label": f"{images.LABEL}.run"})
    for entry in left:
        api.remove_container(entry["Id"], force=True)
    assert left == []


class Probe:
    """A network of the standard library alone, built into an image, and launched."""

    def __init__(self, network: Network, api: APIClient, base: str, tmp_path: Path, portrait: Path, clip: Path) -> None:
        self.network, self.api, self.base = network, api, base
        self.out = tmp_path / "work" / "out"
        self.out.mkdir(parents=True)
        self.portrait, self.clip = portrait, clip

    def write(self, body: str) -> None:
        """Set what `animate` does; `facts` is a folder that the host can read afterwards."""
        source = "from faceorch_runner import Network\nclass Probe(Network):\n    def animate(self, job, progress):\n"
        source += "        facts = job.work.parent\n" + textwrap.indent(textwrap.dedent(body), " " * 8)
        write_code(self.network.code, runner=source)

    def build(self, builder: Builder = "classic") -> str:
        recipe = images.make_recipe(self.network, "cpu", self.base)
        assert recipe.parent is not None
        options, log = BuildOptions.of(builder=builder), self.out.parent / "build.log"
        if not any(image.inputs == recipe.parent.inputs for image in images.ours(self.api)):
            build(recipe.parent, options, log=log)
        return build(recipe, options, log=log)

    def ready(self) -> Ready:
        ready = DockerRuntime().ready(self.network, "cpu")
        assert isinstance(ready, Ready), ready
        return ready

    def launch(self, timeout_s: float | None = None, owner: Owner | None = None) -> Launch:
        return Launch(
            network=self.network,
            environment=self.ready(),
            owner=owner or Owner.me(),
            run="test-run",
            job={"id": "probe", "seed": 0, "settings": {}, "timeout_s": timeout_s},
            portrait=self.portrait,
            audio=self.clip,
            out=self.out,
            job_file=self.out.parent / "job.json",
        )


def make_probe(
    make_network: MakeNetwork, api: APIClient, base_image: str, tmp_path: Path, portrait: Path, clip: Path
) -> Iterator[Probe]:
    """Make a probe on the engine of `api`, and remove its images afterwards."""
    network = make_network("probe", runtimes=["docker"], ram_gb=0.25)
    (network.folder / "Dockerfile").write_text(textwrap.dedent(DOCKERFILE), "utf-8")
    made = Probe(network, api, base_image, tmp_path, portrait, clip)
    made.write("pass")
    yield made
    for image in images.ours(api):
        if image.network == "probe":
            api.remove_image(image.id, force=True)


@pytest.fixture
def probe(
    make_network: MakeNetwork, api: APIClient, base_image: str, tmp_path: Path, portrait: Path, clip: Path
) -> Iterator[Probe]:
    yield from make_probe(make_network, api, base_image, tmp_path, portrait, clip)
