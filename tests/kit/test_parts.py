"""What holds for every part of the kit."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from faceorch.networks.discover import load_all
from faceorch.networks.kit import imported_parts, kit_parts, kit_paths
from faceorch.paths import docker_folder, kit_folder

PARTS = kit_parts(kit_folder())
# These differ between the networks' environments.
_NOT_HERE = {"diffusers", "transformers"}


@pytest.mark.parametrize("name", PARTS)
def test_a_part_imports_nothing_that_differs_between_networks(name: str) -> None:
    files = sorted(PARTS[name].rglob("*.py")) if PARTS[name].is_dir() else [PARTS[name]]
    for file in files:
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            modules += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            assert not _NOT_HERE & {module.partition(".")[0] for module in modules}, file


@pytest.mark.parametrize("name", PARTS)
def test_a_part_is_there_because_a_network_needs_it(name: str) -> None:
    manifests = [network.manifest for network in load_all([docker_folder()]).values()]
    assert any(PARTS[name] in kit_paths(kit_folder(), manifest.uses) for manifest in manifests)


@pytest.mark.parametrize(
    ("source", "inside", "found"),
    [
        ("from faceorch_kit import a, b", False, {"a", "b"}),
        ("from faceorch_kit import a as c", False, {"a"}),
        ("from faceorch_kit.a import x", False, {"a"}),
        ("from faceorch_kit.a.deep import x", False, {"a"}),
        ("import faceorch_kit.a", False, {"a"}),
        ("def f():\n    from faceorch_kit.a import x", False, {"a"}),
        ("from .a import x", False, set()),
        ("from .a import x", True, {"a"}),
        ("from . import a", True, {"a"}),
        ("from ..a import x", True, set()),
        ("from faceorch_runner import x\nimport numpy", True, set()),
    ],
)
def test_what_code_imports_of_the_kit(tmp_path: Path, source: str, inside: bool, found: set[str]) -> None:
    path = tmp_path / "x.py"
    path.write_text(source, "utf-8")
    assert imported_parts(path, inside=inside) == found
