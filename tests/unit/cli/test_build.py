"""`faceorch build`: which images, on which base, and what it refuses before anything is built."""

from __future__ import annotations

import io

import pytest
from click.testing import CliRunner
from rich.console import Console

from faceorch.cli import build
from faceorch.cli.main import cli
from faceorch.errors import CannotRun
from faceorch.images.recipe import Recipe
from faceorch.networks.discover import Network
from faceorch.record.run import Gpu
from faceorch.telemetry.nvml import Gpus
from tests.conftest import MakeNetwork


@pytest.fixture
def heavy(make_network: MakeNetwork) -> Network:
    network = make_network("heavy", gpu=True, bases=["cu121", "cu128"], runtimes=["docker"])
    (network.folder / "Dockerfile").write_text("ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\n", "utf-8")
    return network


def recipes(*names: str, base: str | None = None, everything: bool = False) -> tuple[list[Recipe], str]:
    """Return the recipes and what was printed."""
    console = Console(file=io.StringIO(), soft_wrap=True)
    made = build._recipes(names, base, None, console, everything=everything)
    assert isinstance(console.file, io.StringIO)
    return made, console.file.getvalue()


def on_gpus(monkeypatch: pytest.MonkeyPatch, *capabilities: str) -> None:
    gpus = tuple(
        Gpu(index=i, uuid=f"GPU-{i}", name="x", memory_bytes=1, compute_capability=c)
        for i, c in enumerate(capabilities)
    )
    monkeypatch.setattr("faceorch.telemetry.nvml.read_gpus", lambda: Gpus(gpus, "580", "" if gpus else "none"))


@pytest.mark.parametrize(
    ("capabilities", "base", "chosen"),
    [([], None, "cu121"), (["9.0"], None, "cu121"), (["12.0"], None, "cu128"), (["12.0"], "cu121", "cu121")],
)
def test_the_base_is_the_one_that_a_run_here_would_take(
    heavy: Network, monkeypatch: pytest.MonkeyPatch, capabilities: list[str], base: str | None, chosen: str
) -> None:
    on_gpus(monkeypatch, *capabilities)
    (recipe,), printed = recipes("heavy", base=base)
    assert (recipe.base.name, printed) == (chosen, "")


def test_a_host_that_no_base_covers_is_told(heavy: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    on_gpus(monkeypatch, "3.5")
    (recipe,), printed = recipes("heavy")
    assert recipe.base.name == "cu121"
    assert printed == "heavy: no base of it (cu121, cu128) has kernels for every GPU here; building on cu121\n"


def test_a_base_is_named_like_an_image() -> None:
    (recipe,), _ = recipes("base-cu128")
    assert (recipe.name, recipe.parent, recipe.base.torch) == ("base-cu128", None, "2.10.0")


@pytest.mark.parametrize(
    ("names", "base", "message"),
    [
        (["base-cu12"], None, "no base is called 'cu12' (did you mean 'cu128'?)"),
        (["havy"], None, "no network is called 'havy' (did you mean 'heavy'?)"),
        (["heavy"], "cpu", "heavy cannot be built: it has no lock for the base cpu, only for cu121, cu128"),
        (
            ["unfinished"],
            None,
            "unfinished cannot be built: its image is not part of faceorch yet: Dockerfile missing",
        ),
        (["plain"], None, "plain cannot be built: it runs only without a container"),
    ],
)
def test_what_cannot_be_built_is_refused_by_name(
    heavy: Network, make_network: MakeNetwork, names: list[str], base: str | None, message: str
) -> None:
    make_network("unfinished", runtimes=["docker"])
    make_network("plain")
    with pytest.raises(CannotRun) as caught:
        recipes(*names, base=base)
    assert caught.value.message == message


def test_without_names_only_what_this_host_can_run_is_built(heavy: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    on_gpus(monkeypatch)
    made, printed = recipes()
    assert [recipe.name for recipe in made] == ["baseline", "judge"]
    assert "heavy: skipped: needs an NVIDIA GPU: none (name it, or --all, to build it all the same)\n" in printed
    made, printed = recipes(everything=True)
    assert "heavy" in [recipe.name for recipe in made]
    assert "heavy: skipped" not in printed


def test_without_names_what_is_unfinished_is_skipped_and_said(
    heavy: Network, make_network: MakeNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_gpus(monkeypatch, "9.0")
    make_network("unfinished", runtimes=["docker"])
    made, printed = recipes(base="cu121")
    assert "heavy" in [recipe.name for recipe in made]
    assert "unfinished: skipped: its image is not part of faceorch yet: Dockerfile missing\n" in printed
    assert "baseline: skipped: it has no lock for the base cu121, only for cpu\n" in printed


@pytest.mark.parametrize("command", ["build", "run", "smoke"])
def test_a_base_that_there_is_not_is_refused_where_it_is_typed(command: str) -> None:
    done = CliRunner().invoke(cli, [command, "--base", "cu12"])
    assert done.exit_code == CannotRun.exit_code
    assert "no base is called 'cu12' (did you mean 'cu128'?)" in done.output
