"""Identity is what went in; labels say where it comes from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from faceorch import __version__
from faceorch.images import recipe as images
from faceorch.networks.bases import load_bases
from faceorch.networks.discover import Network
from faceorch.networks.manifest import UpstreamCode
from faceorch.paths import docker_folder
from tests.conftest import write_code

DIGEST = load_bases()["cpu"].image


def inputs(network: Network, base: str = "cu121", image: str | None = None) -> str:
    return images.make_recipe(network, base, image).inputs


@pytest.mark.parametrize(
    "name", ["Dockerfile", "code/runner.py", "code/deep/new.txt", "requirements.cu121.lock", "patches.py"]
)
def test_what_goes_in_changes_the_identity(network: Network, name: str) -> None:
    before = inputs(network)
    path = network.folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("# changed\n", "utf-8")
    assert inputs(network) != before


@pytest.mark.parametrize(
    "name",
    [
        "network.yaml",
        "weights.yaml",
        "requirements.in",
        "requirements.cu128.lock",
        "notes/anything.txt",
        "code/__pycache__/runner.pyc",
    ],
)
def test_what_stays_outside_does_not(network: Network, name: str) -> None:
    before = inputs(network)
    path = network.folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("# changed\n", "utf-8")
    assert inputs(network) == before


def test_a_network_owns_every_name_below_its_code(network: Network) -> None:
    before = inputs(network)
    (network.code / "network.yaml").write_text("its own\n", "utf-8")
    assert inputs(network) != before


def with_manifest(network: Network, **changes: Any) -> Network:
    return Network(network.folder, msgspec.structs.replace(network.manifest, **changes))


def test_upstream_code_is_an_input_and_a_build_argument(network: Network) -> None:
    codes = [UpstreamCode(url=f"https://example.org/{n}", commit=str(n) * 40, licence="MIT") for n in (1, 2)]
    one, two = with_manifest(network, upstream=codes[:1]), with_manifest(network, upstream=codes)
    assert len({inputs(network), inputs(one), inputs(two)}) == 3
    arguments = images.make_recipe(two, "cu121").arguments
    assert arguments["UPSTREAM"] == f"https://example.org/1@{'1' * 40}"
    assert arguments["UPSTREAM_2"] == f"https://example.org/2@{'2' * 40}"


def test_the_base_and_the_userland_are_inputs(network: Network) -> None:
    assert len({inputs(network), inputs(network, "cu128"), inputs(network, image="debian:12")}) == 3


def test_a_base_knows_nothing_of_networks_and_runners() -> None:
    recipe = images.make_base_recipe("cu121")
    names = {name for name, _ in recipe.files}
    assert {name.partition("/")[0] for name in names} == {"base"}
    assert "base/requirements.cu121.lock" in names
    assert not any("cu128" in name or name.endswith(".in") for name in names)
    assert recipe.tag == f"faceorch/base-cu121:{recipe.inputs[:12]}"
    assert recipe.arguments == {"BASE_IMAGE": recipe.base.image, "BASE": "cu121"}


def test_a_network_stands_on_its_base(network: Network) -> None:
    recipe = images.make_recipe(network, "cu121")
    assert recipe.parent == images.make_base_recipe("cu121")
    assert recipe.arguments == {"BASE_IMAGE": recipe.parent.tag, "BASE": "cu121"}
    assert recipe.dockerfile == "grey/Dockerfile"


def test_the_patch_engine_goes_to_networks_with_patches_alone(network: Network) -> None:
    def has() -> bool:
        return any(name.startswith("patch/") for name, _ in images.make_recipe(network, "cu121").files)

    assert not has()
    (network.folder / "patches.py").write_text("PATCHES = ()\n", "utf-8")
    assert has()


@pytest.fixture
def kit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of a kit with a part of each kind."""
    folder = tmp_path / "faceorch_kit"
    write_code(folder, alone="", lean="def f():\n    from .alone import x\n")
    write_code(folder / "deep", more="from ..lean import f\nfrom .other import y\n")
    monkeypatch.setattr(images, "kit_folder", lambda: folder)
    return folder


def parts(network: Network) -> set[str]:
    names = [name for name, _ in images.make_recipe(network, "cu121").files]
    return {name.removeprefix("kit/faceorch_kit/") for name in names if name.startswith("kit/")}


def test_declared_parts_of_the_kit_and_what_these_import_go_in(network: Network, kit: Path) -> None:
    assert parts(network) == set()
    assert parts(with_manifest(network, uses=("alone",))) == {"__init__.py", "alone.py"}
    assert parts(with_manifest(network, uses=("lean",))) == {"__init__.py", "alone.py", "lean.py"}
    everything = {"__init__.py", "alone.py", "lean.py", "deep/__init__.py", "deep/more.py"}
    assert parts(with_manifest(network, uses=("deep",))) == everything


def test_a_part_that_is_not_used_does_not_change_the_identity(network: Network, kit: Path) -> None:
    used = with_manifest(network, uses=("alone",))
    before = inputs(used)
    (kit / "lean.py").write_text("# changed\n", "utf-8")
    assert inputs(used) == before
    (kit / "alone.py").write_text("# changed\n", "utf-8")
    assert inputs(used) != before


def test_labels_say_where_an_image_comes_from(network: Network) -> None:
    recipe = images.make_recipe(network, "cu121")
    labels = images.labels_of(recipe, "buildx")
    assert labels.pop("org.opencontainers.image.created").endswith("+00:00")
    assert len(labels.pop("org.opencontainers.image.revision").partition("-")[0]) == 40
    assert labels == {
        "io.faceorch.network": "grey",
        "io.faceorch.inputs": recipe.inputs,
        "io.faceorch.base": "cu121",
        "io.faceorch.base-image": DIGEST,
        "io.faceorch.builder": "buildx",
        "org.opencontainers.image.title": "faceorch grey",
        "org.opencontainers.image.description": "A network of the tests.",
        "org.opencontainers.image.version": __version__,
        "org.opencontainers.image.source": images.SOURCE,
        "org.opencontainers.image.licenses": "Apache-2.0",
        "org.opencontainers.image.base.name": "nvidia/cuda:12.1.1-base-ubuntu22.04",
        "org.opencontainers.image.base.digest": DIGEST.partition("@")[2],
    }


def test_upstream_commits_are_on_the_label() -> None:
    from faceorch.networks.discover import load_all

    for network in (n for n in load_all([docker_folder()]).values() if not n.missing_files):
        label = images.labels_of(images.make_recipe(network, network.manifest.needs.bases[0]), "classic").get(
            "io.faceorch.upstream", ""
        )
        assert label.split() == [f"{code.url}@{code.commit}" for code in network.manifest.upstream]


def test_no_revision_is_claimed_outside_a_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "docker_folder", lambda: tmp_path / "docker")
    assert images.revision() == ""
