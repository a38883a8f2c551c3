"""A real container engine; where there is none the tests skip with the reason, or fail when one was promised."""

from __future__ import annotations

import hashlib
import os
import tempfile
import textwrap
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import filelock
import pytest

from faceorch.engine.client import connect, endpoint
from faceorch.errors import EngineError
from faceorch.images import built
from faceorch.images import recipe as images
from faceorch.images.build import build
from faceorch.images.options import Builder, BuildOptions
from faceorch.networks.discover import Network
from faceorch.owner import Owner
from faceorch.runtimes import Launch, Ready
from faceorch.runtimes.docker import DockerRuntime
from faceorch_runner import Job
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


def containers_left(api: APIClient) -> list[dict[str, Any]]:
    """Return the containers of runs of this process and of those that have ended; another faceorch may run here too."""

    def ours(owner: Owner | None) -> bool:
        return owner is not None and (owner == Owner.me() or not owner.alive())

    runs = api.containers(all=True, filters={"label": f"{images.LABEL}.run"})
    return [entry for entry in runs if ours(Owner.parse(entry["Labels"].get(f"{images.LABEL}.owner", "")))]


@pytest.fixture(autouse=True)
def alone(api: APIClient) -> Iterator[None]:
    """Take turns with the tests of another checkout on the same engine: their images have the same names."""
    name = hashlib.sha256(endpoint().encode()).hexdigest()[:12]
    with filelock.FileLock(Path(tempfile.gettempdir()) / f"faceorch-engine-tests-{name}.lock"):
        yield


@pytest.fixture(autouse=True)
def nothing_is_left(api: APIClient, alone: None) -> Iterator[None]:
    """No test may leave a container of ours behind; one that was killed before this run may have."""
    before = {entry["Id"] for entry in containers_left(api)}
    yield
    left = [entry for entry in containers_left(api) if entry["Id"] not in before]
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
        self.run = f"test-{uuid.uuid4().hex}"

    def write(self, body: str) -> None:
        """Set what `animate` does; `facts` is a folder that the host can read afterwards."""
        source = "from faceorch_runner import Network\nclass Probe(Network):\n    def animate(self, job, progress):\n"
        source += "        facts = job.work.parent\n" + textwrap.indent(textwrap.dedent(body), " " * 8)
        write_code(self.network.code, runner=source)

    def build(self, builder: Builder = "classic") -> str:
        recipe = images.make_recipe(self.network, "cpu", self.base)
        assert recipe.parent is not None
        options, log = BuildOptions.of(builder=builder), self.out.parent / "build.log"
        if not any(image.inputs == recipe.parent.inputs for image in built.ours(self.api)):
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
            run=self.run,
            order=Job(
                id="probe",
                portrait=self.portrait,
                audio=self.clip,
                seed=0,
                settings={},
                work=self.out,
                timeout_s=timeout_s,
            ),
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
    for image in built.ours(api):
        if image.network == "probe":
            api.remove_image(image.id, force=True)


@pytest.fixture
def probe(
    make_network: MakeNetwork, api: APIClient, base_image: str, tmp_path: Path, portrait: Path, clip: Path
) -> Iterator[Probe]:
    yield from make_probe(make_network, api, base_image, tmp_path, portrait, clip)
