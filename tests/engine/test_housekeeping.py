"""What is built, and what can go: seen on a real engine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from faceorch.cli.main import cli
from faceorch.images import built
from faceorch.images import recipe as images
from faceorch.owner import Owner
from tests.engine.conftest import Probe

if TYPE_CHECKING:
    from docker import APIClient


@pytest.fixture(autouse=True)
def only_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at the images of these tests alone: `clean --yes` must not take what a developer has built."""

    def of_these_tests(api: APIClient) -> list[built.Image]:
        return [image for image in built.ours(api) if image.network == "probe"]

    monkeypatch.setattr("faceorch.housekeeping.ours", of_these_tests)


def rows() -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(CliRunner().invoke(cli, ["images", "--json"]).output)
    return found


def test_images_say_size_age_and_whether_they_are_current(probe: Probe) -> None:
    probe.build()
    recipe = images.make_recipe(probe.network, "cpu", probe.base)
    (row,) = (r for r in rows() if r["network"] == "probe")
    assert (row["image"], row["current"], row["builder"]) == (recipe.tag, True, "classic")
    assert row["inputs"] == recipe.inputs
    size, shared, own = row["size_bytes"], row["shared_bytes"], row["own_bytes"]
    assert isinstance(size, int)
    assert isinstance(shared, int)
    assert size > 100 * 2**20
    assert shared > 0.9 * size, "nearly all of it is the base"
    assert own == size - shared
    probe.write("raise ValueError('newer')")
    output = CliRunner().invoke(cli, ["images"]).output
    (line,) = (line for line in output.splitlines() if line.startswith(recipe.tag))
    assert " old " in line
    assert "remove what is no longer current: faceorch clean" in output
    assert any("-> faceorch build" in line and "probe" in line for line in output.splitlines())


@pytest.fixture
def stale(probe: Probe, own_home: Path) -> dict[str, Path | str]:
    """An old image, a container of a dead faceorch, an environment and a log that nothing needs any more."""
    probe.build()
    old = images.make_recipe(probe.network, "cpu", probe.base).tag
    probe.write("raise ValueError('newer')")
    probe.build()
    dead = replace(Owner.me(), pid=2**22 + 1)
    container = probe.api.create_container(old, labels={f"{images.LABEL}.owner": str(dead)}, name="faceorch-test-dead")
    environment = own_home / "venvs" / "probe-000000000000"
    environment.mkdir(parents=True)
    (environment / "file").write_bytes(b"x" * 5000)
    log = own_home / "build" / "probe-000000000000.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("log", "utf-8")
    return {"image": old, "container": str(container["Id"]), "environment": environment, "log": log}


def has(probe: Probe, stale: dict[str, Path | str]) -> dict[str, bool]:
    tags = [tag for image in built.ours(probe.api) for tag in image.tags]
    return {
        "image": stale["image"] in tags,
        "container": any(c["Id"] == stale["container"] for c in probe.api.containers(all=True)),
        "environment": Path(stale["environment"]).exists(),
        "log": Path(stale["log"]).exists(),
    }


def test_clean_shows_first_and_then_removes_what_is_stale_and_nothing_else(
    probe: Probe, stale: dict[str, Path | str]
) -> None:
    shown = CliRunner().invoke(cli, ["clean", "--dry-run"])
    assert shown.exit_code == 0
    for name in (stale["image"], "faceorch-test-dead", str(stale["environment"]), str(stale["log"])):
        assert str(name) in shown.output
    assert "5.0 kB" in shown.output
    assert set(has(probe, stale).values()) == {True}
    refused = CliRunner().invoke(cli, ["clean"])
    assert refused.exit_code == 2
    assert (
        "error: there is no terminal to confirm on; nothing was removed\n  try: faceorch clean --yes\n"
        in refused.output
    )
    assert set(has(probe, stale).values()) == {True}
    done = CliRunner().invoke(cli, ["clean", "--yes"])
    assert done.exit_code == 0, done.output
    assert set(has(probe, stale).values()) == {False}
    assert probe.ready().base == "cpu", "the current image is still there"
    left = CliRunner().invoke(cli, ["clean", "--dry-run"]).output
    assert "probe" not in left


def test_an_old_image_that_is_in_use_is_kept_and_said(probe: Probe) -> None:
    probe.build()
    old = images.make_recipe(probe.network, "cpu", probe.base).tag
    container = probe.api.create_container(old)
    try:
        probe.write("raise ValueError('newer')")
        done = CliRunner().invoke(cli, ["clean", "--yes"])
        assert done.exit_code == 1
        assert f"kept {old}: " in done.output
    finally:
        probe.api.remove_container(container["Id"])
