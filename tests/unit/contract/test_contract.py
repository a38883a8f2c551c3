"""Each check of the contract fails on what it is there for, and says what was found and what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from faceorch.cli.test_network import command
from faceorch.contract import examine
from faceorch.contract.broken import Broken
from faceorch.contract.making import Maker
from faceorch.networks.discover import Network, open_network
from faceorch.networks.new import make_network

WEIGHTS = "schema: 1\nfiles: []\n"
PATCHES = "raise ValueError('not today')\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_network("puppet", tmp_path).folder


def replaced(name: str, old: str, new: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        text = (folder / name).read_text("utf-8")
        assert old in text
        (folder / name).write_text(text.replace(old, new), "utf-8")

    return change


def written(name: str, text: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).write_text(text, "utf-8")

    return change


def removed(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


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
    change: Callable[[Path], None], check: str, found: str, remedy: str, folder: Path
) -> None:
    change(folder)
    wrong = {name: error for name, error in broken(folder).items() if name.startswith(check)}
    assert len(wrong) == 1
    (error,) = wrong.values()
    assert found in str(error)
    assert remedy in error.remedy


def test_the_command_names_what_fails_and_ends_with_1(folder: Path) -> None:
    removed("Dockerfile")(folder)
    done = CliRunner().invoke(command, [str(folder)])
    assert done.exit_code == 1
    assert "FAILED   the folder is whole: Dockerfile missing\n         try: " in done.output
    assert "ok       the runner is what the contract asks for\n" in done.output


def test_what_needs_a_gpu_or_a_container_is_not_run_here(folder: Path) -> None:
    replaced("network.yaml", "[docker, venv]", "[docker]")(folder)
    done = CliRunner().invoke(command, [str(folder)])
    assert done.exit_code == 0, done.output
    assert done.output.count("only in a container: faceorch build puppet, then faceorch smoke puppet") == 4


def test_videos_that_differ_or_do_not_are_noticed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network: Network = open_network(folder)
    hashes = {"first": "a", "again": "b", "other": "a"}

    class Info:
        def __init__(self, sha256: str) -> None:
            self.sha256 = sha256

    monkeypatch.setattr(Maker, "_make", lambda self, out, *, seed: (None, Info(hashes[out])))
    with Maker(network) as maker:
        with pytest.raises(Broken, match="two videos with --seed 3 differ"):
            maker.repeats()
        with pytest.raises(Broken, match="are the same"):
            maker.varies()
        hashes["again"], hashes["other"] = "a", "b"
        assert maker.repeats() == maker.varies() == ""
