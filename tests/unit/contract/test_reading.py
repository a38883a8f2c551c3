"""Each check of a network's files fails on what it is there for, and says what was found and what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from faceorch.contract import examine
from faceorch.contract.broken import Broken
from faceorch.networks.discover import open_network
from tests.unit.contract.conftest import removed, replaced

WEIGHTS = "schema: 1\nfiles: []\n"
PATCHES = "raise ValueError('not today')\n"


def written(name: str, text: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).write_text(text, "utf-8")

    return change


def broken(folder: Path) -> dict[str, Broken]:
    """Return what does not hold, by check; a folder that is broken makes nothing."""
    results = list(examine(open_network(folder)))
    assert [r.skipped for r in results[-4:]] == ["fix what is above first"] * 4
    return {r.check: r.broken for r in results if r.broken is not None}


@pytest.mark.parametrize(
    ("change", "check", "found", "remedy"),
    [
        (
            replaced("network.yaml", "  head_motion: small\n", ""),
            "the manifest",
            "expected.head_motion",
            "network.yaml",
        ),
        (replaced("network.yaml", "gpu: false", "gpu: true"), "the manifest", "vram_gb is missing", "both or neither"),
        (replaced("network.yaml", "[cpu]", "[cqu]"), "the manifest", "no base is called 'cqu'", "choose from"),
        (replaced("network.yaml", "help: frames per second", 'help: " "'), "the manifest", "settings.fps.help", "fps"),
        (removed("Dockerfile"), "the folder", "Dockerfile missing", "faceorch new"),
        (removed("requirements.cpu.lock"), "the folder", "requirements.cpu.lock missing", "faceorch lock "),
        (written("weights.yaml", WEIGHTS), "the folder", "code/synthetic.py", "faceorch new"),
        (replaced("code/runner.py", "(Network)", "(object)"), "the runner", "0 subclasses", "class Name(Network)"),
        (replaced("code/runner.py", "def animate", "def animated"), "the runner", "no method animate", "animate"),
        (written("code/runner.py", "class ("), "the runner", "is not Python", "fix"),
        (replaced("Dockerfile", "RUN install", "RUN --mount=type=cache install"), "the Dockerfile", "BuildKit", "with"),
        (replaced("Dockerfile", "USER 65534:65534", "USER root"), "the Dockerfile", "USER root", "not root"),
        (replaced("Dockerfile", "puppet/code", "mypuppet/code"), "the Dockerfile", "mypuppet/code", "puppet/"),
        (replaced("Dockerfile", "FROM ${BASE_IMAGE}", "FROM debian"), "the Dockerfile", "FROM ${BASE", "begin"),
        (replaced("Dockerfile", "# ARG UPSTREAM\n", "ARG UPSTREAM\n"), "upstream", "declares UPSTREAM", "ARG UPSTREAM"),
        (written("code/extra.py", "from faceorch_kit import voice\n"), "it declares", "[voice]", "uses: [voice]"),
        (written("requirements.in", "numpy\n"), "every package", "'numpy' has no reason", "say why"),
        (written("requirements.cpu.lock", "numpy==1.0\n"), "every package", "numpy==1.0 has no hash", "faceorch lock "),
        (written("requirements.cpu.lock", "numpy>=1\n"), "every package", "'numpy>=1'", "faceorch lock "),
        (written("requirements.cpu.lock", "# nothing\n"), "every package", "is empty", "faceorch lock "),
        (written("patches.py", PATCHES), "its patches", "not today", "patches.py"),
        (written("weights.yaml", WEIGHTS), "its weights", "weights.yaml", ""),
    ],
)
def test_what_is_wrong_is_found(
    change: Callable[[Path], None], check: str, found: str, remedy: str, puppet: Path
) -> None:
    change(puppet)
    wrong = {name: error for name, error in broken(puppet).items() if name.startswith(check)}
    assert len(wrong) == 1
    (error,) = wrong.values()
    assert found in str(error)
    assert remedy in error.remedy
