"""Bases first, then networks side by side; one that fails does not stop the others."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from faceorch.images.assembly import Assembly, Item
from faceorch.images.built import Image
from faceorch.images.failures import Failed
from faceorch.images.options import BuildOptions
from faceorch.images.recipe import Recipe, make_base_recipe, make_recipe
from tests.conftest import FOR_EVER_S, LIMIT_S, MakeNetwork

OPTIONS = BuildOptions(builder="classic")
Build = Callable[[Recipe], str]


@pytest.fixture
def recipes(make_network: MakeNetwork) -> list[Recipe]:
    made = []
    for name, base in (("one", "cpu"), ("two", "cpu"), ("three", "cu121")):
        network = make_network(name, bases=[base])
        (network.folder / "Dockerfile").touch()
        made.append(make_recipe(network, base))
    return made


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> Callable[[Build], list[str]]:
    """Replace the build of one image; return the list of what was built, in order."""

    def replace(build: Build) -> list[str]:
        names: list[str] = []

        def fake(recipe: Recipe, options: BuildOptions, **how: object) -> str:
            how["on_step"]("[1/1] RUN")  # type: ignore[operator]
            identity = build(recipe)
            names.append(recipe.name)
            return identity

        monkeypatch.setattr("faceorch.images.build.build", fake)
        return names

    return replace


def present(recipe: Recipe) -> Image:
    network = recipe.network.name if recipe.network else ""
    return Image("sha256:0", (recipe.tag,), network, recipe.inputs, recipe.base.name, recipe.base_image, "classic", 0.0)


def states(assembly: Assembly) -> dict[str, str]:
    return {item.name: item.state for item in assembly.items}


def test_bases_come_first(recipes: list[Recipe], built: Callable[[Build], list[str]]) -> None:
    names = built(lambda recipe: "sha256:1")
    assembly = Assembly.of(recipes, [], OPTIONS, jobs=2)
    assembly.run()
    assert set(names[:2]) == {"base-cpu", "base-cu121"}
    assert set(names[2:]) == {"one", "two", "three"}
    assert set(states(assembly).values()) == {"built"}


def test_what_is_there_is_not_built_and_needs_no_base(
    recipes: list[Recipe], built: Callable[[Build], list[str]]
) -> None:
    names = built(lambda recipe: "sha256:1")
    assembly = Assembly.of(recipes, [present(recipe) for recipe in recipes[:2]], OPTIONS, jobs=2)
    assembly.run()
    assert names == ["base-cu121", "three"]
    assert states(assembly)["one"] == "current"


def test_an_untagged_image_counts_for_nothing(recipes: list[Recipe], built: Callable[[Build], list[str]]) -> None:
    names = built(lambda recipe: "sha256:1")
    parent = make_base_recipe("cpu")
    untagged = Image("sha256:0", (), "", parent.inputs, "cpu", parent.base_image, "classic", 0.0)
    Assembly.of(recipes[:1], [untagged], OPTIONS, jobs=1).run()
    assert names == ["base-cpu", "one"]


def test_without_the_cache_everything_is_built_again(
    recipes: list[Recipe], built: Callable[[Build], list[str]]
) -> None:
    names = built(lambda recipe: "sha256:1")
    there = [present(recipe) for recipe in recipes[:1]]
    Assembly.of(recipes[:1], there, BuildOptions(builder="classic", no_cache=True), jobs=1).run()
    assert names == ["base-cpu", "one"]


def test_networks_are_built_side_by_side(recipes: list[Recipe], built: Callable[[Build], list[str]]) -> None:
    both = threading.Barrier(2, timeout=LIMIT_S)

    def build(recipe: Recipe) -> str:
        if recipe.parent is not None:
            both.wait()  # passes only when two are here at once
        return "sha256:1"

    built(build)
    assembly = Assembly.of(recipes[:2], [], OPTIONS, jobs=2)
    assembly.run()
    assert set(states(assembly).values()) == {"built"}


def test_one_that_fails_does_not_stop_the_others(recipes: list[Recipe], built: Callable[[Build], list[str]]) -> None:
    def build(recipe: Recipe) -> str:
        if recipe.name == "one":
            raise Failed("one was not built: broken", "see its log", ("broken",))
        if recipe.name == "two":
            raise ZeroDivisionError("ours")
        return "sha256:1"

    built(build)
    assembly = Assembly.of(recipes, [], OPTIONS, jobs=1)
    seen: list[tuple[str, str]] = []
    assembly.on_change = lambda item: seen.append((item.name, item.state))
    assembly.run()
    assert states(assembly) == {
        "base-cpu": "built", "base-cu121": "built", "one": "failed", "two": "failed", "three": "built"
    }  # fmt: skip
    errors = {item.name: item.error.message for item in assembly.items if item.error}
    assert errors == {"one": "one was not built: broken", "two": "two: ZeroDivisionError: ours"}
    assert ("one", "failed") in seen


def test_a_base_that_fails_takes_its_networks_along(recipes: list[Recipe], built: Callable[[Build], list[str]]) -> None:
    def build(recipe: Recipe) -> str:
        if recipe.name == "base-cpu":
            raise Failed("base-cpu was not built: broken", "see its log", ())
        return "sha256:1"

    names = built(build)
    assembly = Assembly.of(recipes, [], OPTIONS, jobs=4)
    assembly.run()
    assert names == ["base-cu121", "three"]
    errors = {item.name: item.error.message for item in assembly.items if item.error}
    assert errors["one"] == "its base base-cpu failed"


def test_ctrl_c_ends_the_builders(recipes: list[Recipe], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    sleeping = subprocess.Popen([sys.executable, "-c", f"import time; time.sleep({FOR_EVER_S})"], text=True)

    def fake(recipe: Recipe, options: BuildOptions, **how: object) -> str:
        how["on_process"](sleeping)  # type: ignore[operator]
        how["on_step"]("[1/1] RUN sleep")  # type: ignore[operator]
        sleeping.wait()
        raise Failed("ended", "", ())

    monkeypatch.setattr("faceorch.images.build.build", fake)
    assembly = Assembly.of(recipes[:1], [], OPTIONS, jobs=1)

    def interrupt(item: Item) -> None:
        if item.step:
            raise KeyboardInterrupt

    assembly.on_change = interrupt
    with pytest.raises(KeyboardInterrupt):
        assembly.run()
    assert sleeping.wait(LIMIT_S) < 0
