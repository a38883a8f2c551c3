"""Real builds: the base first, upstream code by commit, patches, what fails and how it is told, pushing."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from faceorch.cli.main import cli
from faceorch.images import recipe as images
from faceorch.images.options import BUILD_NETWORK, Builder, find_builder
from faceorch.networks.discover import Network
from faceorch.networks.manifest import MANIFEST, read_manifest
from tests.conftest import wait_until
from tests.engine.conftest import REQUIRED, Probe

COMMIT = "0" * 40
UPSTREAM = """
    ARG BASE_IMAGE
    FROM ${BASE_IMAGE}
    ARG UPSTREAM
    ARG UPSTREAM_MIRROR
    RUN clone-upstream "${UPSTREAM}" /opt/upstream/animator %s
    COPY patch/faceorch_patch /opt/faceorch/patch/faceorch_patch
    COPY probe/patches.py /opt/faceorch/patches.py
    RUN PYTHONPATH=/opt/faceorch/patch python -m faceorch_patch /opt/faceorch/patches.py /opt/upstream
    COPY runner/faceorch_runner /opt/faceorch/runner/faceorch_runner
    COPY probe/code /opt/faceorch/network
    USER 65534:65534
"""
PATCHES = """
from faceorch_patch import Patch, ReplaceExpression
PATCHES = (Patch(name="plain-float", file="animator/code/model.py", reason="numpy has no np.float",
                 edits=(ReplaceExpression("np.float", "float"),)),)
"""


def faceorch_build(*arguments: str) -> Result:
    return CliRunner(catch_exceptions=False).invoke(cli, ["build", *arguments])


def free_port() -> int:
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        return int(door.getsockname()[1])


def wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    def listens() -> bool:
        with socket.socket() as door:
            return door.connect_ex(("127.0.0.1", port)) == 0

    wait_until(lambda: server.poll() is not None or listens(), f"{server.args!r} at port {port}")
    assert server.poll() is None, f"{server.args!r} does not start"


def needed(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        (pytest.fail if os.environ.get(REQUIRED) == "1" else pytest.skip)(f"{program} is not installed")
    assert found is not None
    return found


@pytest.fixture(params=["classic", "buildx"])
def builder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Builder:
    """Each of the two builders, as if it were the one that this host has."""
    chosen: Builder = request.param
    if chosen == "buildx" and find_builder() != "buildx":
        pytest.skip("the Docker CLI has no buildx plugin")
    monkeypatch.setattr("faceorch.images.options.find_builder", lambda: chosen)
    return chosen


def build_nothing(*_: object, **__: object) -> str:
    raise AssertionError("nothing is to be built")


def labels(probe: Probe) -> dict[str, str]:
    recipe = images.make_recipe(probe.network, "cpu", probe.base)
    found: dict[str, str] = probe.api.inspect_image(recipe.tag)["Config"]["Labels"]  # type: ignore[no-untyped-call]
    return found


def test_the_base_is_built_first_and_what_is_there_is_not_built_again(
    probe: Probe, builder: Builder, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = faceorch_build("probe", "--base-image", probe.base)
    assert done.exit_code == 0, done.output
    recipe = images.make_recipe(probe.network, "cpu", probe.base)
    assert recipe.parent is not None
    lines = done.output.splitlines()
    assert lines[-1].startswith(f"probe: built {recipe.tag} (")
    assert f"with {builder}; log: " in lines[-1]
    assert labels(probe)["io.faceorch.builder"] == builder
    assert labels(probe)["org.opencontainers.image.base.name"] == probe.base
    parent = probe.api.inspect_image(recipe.parent.tag)  # type: ignore[no-untyped-call]
    child = probe.api.inspect_image(recipe.tag)  # type: ignore[no-untyped-call]
    shared = parent["RootFS"]["Layers"]
    assert child["RootFS"]["Layers"][: len(shared)] == shared, "the network's image stands on the base's layers"
    monkeypatch.setattr("faceorch.images.build.build", build_nothing)
    again = faceorch_build("probe", "--base-image", probe.base)
    assert (again.exit_code, again.output) == (0, f"probe: {recipe.tag} is there and current\n")


def test_a_base_can_be_built_alone(probe: Probe) -> None:
    probe.build()
    done = faceorch_build("base-cpu", "--base-image", probe.base)
    assert done.output == f"base-cpu: {images.make_base_recipe('cpu', probe.base).tag} is there and current\n"


class Upstream:
    """A repository on a git server of this host."""

    def __init__(self, folder: Path, probe: Probe) -> None:
        self._probe = probe
        self.folder = folder / "somebody" / "animator"
        (self.folder / "code").mkdir(parents=True)
        self.git("init", "--quiet")
        self.git("config", "uploadpack.allowReachableSHA1InWant", "true")
        (self.folder / "run.sh").write_text("#!/bin/sh\n", "utf-8")
        (self.folder / "run.sh").chmod(0o755)
        self.first = self.commit("x = np.float(1)\n")
        self.second = self.commit("x = float(1)\n")

    def git(self, *arguments: str) -> str:
        who = ["-c", "user.name=somebody", "-c", "user.email=somebody@example.org"]
        command = ["git", "-C", str(self.folder), *who, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def commit(self, code: str) -> str:
        (self.folder / "code" / "model.py").write_text(code, "utf-8")
        self.git("add", ".")
        self.git("commit", "--quiet", "--message", "code")
        return self.git("rev-parse", "HEAD")

    def use(self, commit: str, names: str = "") -> None:
        folder = self._probe.network.folder
        (folder / "Dockerfile").write_text(textwrap.dedent(UPSTREAM % names), "utf-8")
        (folder / "patches.py").write_text(PATCHES, "utf-8")
        manifest = yaml.safe_load((folder / MANIFEST).read_text("utf-8"))
        code = {"url": "https://example.org/somebody/animator", "commit": commit, "licence": "MIT"}
        (folder / MANIFEST).write_text(yaml.safe_dump({**manifest, "upstream": [code]}), "utf-8")
        self._probe.network = Network(folder, read_manifest(folder / MANIFEST))


@pytest.fixture
def upstream(probe: Probe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Upstream]:
    if os.environ.get(BUILD_NETWORK) != "host":
        pytest.skip(f"builds reach this host's loopback only with {BUILD_NETWORK}=host")
    needed("git")
    made, port = Upstream(tmp_path / "git", probe), free_port()
    monkeypatch.setenv("FACEORCH_UPSTREAM_MIRROR", f"git://127.0.0.1:{port}")
    command = ["git", "daemon", "--export-all", "--listen=127.0.0.1", f"--port={port}", "--reuseaddr"]
    with subprocess.Popen([*command, f"--base-path={tmp_path / 'git'}"], start_new_session=True) as daemon:
        try:
            wait_for(port, daemon)
            yield made
        finally:
            os.killpg(daemon.pid, 15)


def test_upstream_code_is_fetched_by_commit_and_patched(probe: Probe, upstream: Upstream, builder: Builder) -> None:
    upstream.use(upstream.first)
    done = faceorch_build("probe", "--base-image", probe.base)
    assert done.exit_code == 0, done.output
    tag = images.make_recipe(probe.network, "cpu", probe.base).tag
    script = "cat animator/code/model.py && stat -c %a animator/run.sh && ls -A animator"
    container = probe.api.create_container(tag, ["-c", f"cd /opt/upstream && {script}"], entrypoint="/bin/sh")
    try:
        probe.api.start(container["Id"])
        probe.api.wait(container["Id"])
        assert probe.api.logs(container["Id"]).decode() == (
            "x = float(1)\n# Changed by faceorch (plain-float): numpy has no np.float\n755\ncode\nrun.sh\n"
        )
    finally:
        probe.api.remove_container(container["Id"])


@pytest.mark.parametrize("leaves_out", ["true", "false"], ids=["partial", "whole"])
def test_only_the_named_parts_of_upstream_are_fetched(probe: Probe, upstream: Upstream, leaves_out: str) -> None:
    """From a server that can leave out files, as those of public hosts can, and from one that cannot."""
    upstream.git("config", "uploadpack.allowFilter", leaves_out)
    upstream.git("config", "uploadpack.allowAnySHA1InWant", leaves_out)
    upstream.use(upstream.first, "code")
    done = faceorch_build("probe", "--base-image", probe.base, "--no-cache")
    assert done.exit_code == 0, done.output
    tag = images.make_recipe(probe.network, "cpu", probe.base).tag
    container = probe.api.create_container(tag, ["-c", "cd /opt/upstream/animator && find ."], entrypoint="/bin/sh")
    try:
        probe.api.start(container["Id"])
        probe.api.wait(container["Id"])
        assert sorted(probe.api.logs(container["Id"]).decode().split()) == [".", "./code", "./code/model.py"]
    finally:
        probe.api.remove_container(container["Id"])


def test_upstream_code_that_has_changed_fails_the_build(probe: Probe, upstream: Upstream, builder: Builder) -> None:
    upstream.use(upstream.second)
    done = faceorch_build("probe", "--base-image", probe.base)
    assert done.exit_code == 11
    assert "patch plain-float does not fit animator/code/model.py: expected 1 x `np.float`, found 0" in done.output
    assert "  try: update faceorch: its patches were written for another commit of the upstream code\n" in done.output


def test_a_commit_that_is_not_there_is_named(probe: Probe, upstream: Upstream) -> None:
    upstream.use(COMMIT)
    done = faceorch_build("probe", "--base-image", probe.base)
    assert done.exit_code == 11
    assert f"clone-upstream: commit {COMMIT} of https://example.org/somebody/animator cannot be fetched" in done.output
    assert (
        "  try: check the network, or set FACEORCH_UPSTREAM_MIRROR to a server that has the repository" in done.output
    )


GONE = "the base image is no longer in its registry: name a mirror of it with --base-image"
UNREACHABLE = "the registry cannot be reached: check the network, or name a mirror of the base with --base-image"


@contextmanager
def serve_registry(folder: Path, **settings: object) -> Iterator[str]:
    program, port = needed("docker-registry"), free_port()
    settings |= {"version": 0.1, "http": {"addr": f"127.0.0.1:{port}"}}
    settings["storage"] = {"filesystem": {"rootdirectory": str(folder)}}
    (folder / "config.yml").write_text(yaml.safe_dump(settings), "utf-8")
    with (
        open(folder / "log", "wb") as log,
        subprocess.Popen([program, "serve", str(folder / "config.yml")], stdout=log, stderr=log) as process,
    ):
        try:
            wait_for(port, process)
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A registry of our own on this host."""
    with serve_registry(tmp_path_factory.mktemp("registry")) as address:
        yield address


@pytest.fixture
def closed_registry(tmp_path: Path) -> Iterator[str]:
    """A registry that knows nobody."""
    people = tmp_path / "people"
    people.write_text("", "utf-8")
    with serve_registry(tmp_path, auth={"htpasswd": {"realm": "closed", "path": str(people)}}) as address:
        yield address


def test_a_digest_that_is_gone_is_told(probe: Probe, registry: str, builder: Builder) -> None:
    done = faceorch_build("probe", "--base-image", f"{registry}/cuda@sha256:{'0' * 64}")
    assert done.exit_code == 11, done.output
    assert f"  try: {GONE}\n" in done.output
    assert "probe: not built: its base base-cpu failed\n" in done.output


def test_a_registry_that_does_not_answer_is_told(probe: Probe, builder: Builder) -> None:
    done = faceorch_build("probe", "--base-image", f"127.0.0.1:{free_port()}/cuda@sha256:{'0' * 64}")
    assert done.exit_code == 11, done.output
    assert f"  try: {UNREACHABLE}\n" in done.output


def test_images_are_pushed_and_run_from_a_registry(probe: Probe, registry: str) -> None:
    probe.build()
    done = faceorch_build("probe", "--base-image", probe.base, "--push", registry)
    assert done.exit_code == 0, done.output
    recipe = images.make_recipe(probe.network, "cpu", probe.base)
    assert f"{recipe.tag} is there and current; pushed to {registry} (sha256:" in done.output
    remote = f"{registry}/{recipe.tag}"
    for tag in (recipe.tag, remote):
        probe.api.remove_image(tag)
    probe.api.pull(remote)
    ready = probe.ready()
    assert ready.name == remote, "an image that was pulled is one of ours, by its labels and its name"
    assert ready.note == f"its image was pulled from {registry}"


def test_a_registry_that_is_not_there_is_told(probe: Probe) -> None:
    probe.build()
    address = f"127.0.0.1:{free_port()}"
    done = faceorch_build("probe", "--base-image", probe.base, "--push", address)
    assert done.exit_code == 11
    assert f"error: {address}/faceorch/probe was not pushed: " in done.output
    assert f"  try: check that a registry answers at {address}\n" in done.output


def test_a_registry_that_refuses_says_to_log_in(probe: Probe, closed_registry: str, builder: Builder) -> None:
    done = faceorch_build("probe", "--base-image", f"{closed_registry}/cuda@sha256:{'0' * 64}")
    assert done.exit_code == 11, done.output
    assert "  try: the registry refused the base image: docker login, or name a mirror" in done.output
    probe.build()
    done = faceorch_build("probe", "--base-image", probe.base, "--push", closed_registry)
    assert done.exit_code == 11, done.output
    assert f"error: {closed_registry}/faceorch/probe was not pushed: " in done.output
    assert f"  try: docker login {closed_registry}\n" in done.output


def test_only_the_given_certificate_authorities_are_trusted(probe: Probe, tmp_path: Path) -> None:
    """A bundle with a stranger's certificate: if it is used, the package index is not believed."""
    bundle = tmp_path / "ca.pem"
    command = [needed("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=stranger"]
    paths = ["-keyout", str(tmp_path / "key.pem"), "-out", str(bundle)]
    subprocess.run([*command, *paths], check=True, capture_output=True)
    done = faceorch_build("base-cpu", "--base-image", f"{probe.base}", "--ca-bundle", str(bundle), "--no-cache")
    assert done.exit_code == 11, done.output
    assert "  try: a proxy signs downloads: pass its certificate authority with --ca-bundle\n" in done.output
