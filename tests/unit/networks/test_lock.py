"""`faceorch lock`: an error is one line with a remedy, and leaves the old lock as it was."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from faceorch.cli.main import cli
from faceorch.errors import BuildError, InputError, ManifestError
from faceorch.networks.discover import Network
from faceorch.networks.lock import lock
from faceorch.networks.new import make_network

# Does what uv does with the lock's file, and writes down how it was called.
_UV = """
import json, pathlib, sys
target = pathlib.Path(sys.argv[sys.argv.index("--output-file") + 1])
pathlib.Path({seen!r}).write_text(json.dumps([sys.argv[1:], target.read_text() if target.exists() else None]))
{body}
"""


@pytest.fixture
def network(tmp_path: Path) -> Network:
    return make_network("puppet", tmp_path / "networks")


def stand_in_uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> Path:
    """Put another program in the place of uv; return the file in which it says how it was called."""
    program, seen = tmp_path / "uv", tmp_path / "seen.json"
    script = tmp_path / "uv.py"
    script.write_text(_UV.format(seen=str(seen), body=body), "utf-8")
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{script}" "$@"\n', "utf-8")
    program.chmod(0o755)
    monkeypatch.setattr("faceorch.networks.lock.find_uv", lambda: os.fspath(program))
    return seen


def read(seen: Path) -> tuple[list[str], str | None]:
    import json

    arguments, old = json.loads(seen.read_text("utf-8"))
    return arguments, old


def test_it_is_made_on_top_of_its_base_and_replaces_the_old_one(
    network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = network.lock("cpu").read_text("utf-8")
    seen = stand_in_uv(tmp_path, monkeypatch, "target.write_text('new')")
    done = CliRunner().invoke(cli, ["lock", str(network.folder)])
    assert done.output == f"locked {network.lock('cpu')}\n"
    assert network.lock("cpu").read_text("utf-8") == "new"
    arguments, found = read(seen)
    assert found == old, "uv keeps the versions that it finds"
    assert "--generate-hashes" in arguments
    assert "--upgrade" not in arguments
    assert arguments[arguments.index("--constraint") + 1].endswith("base/requirements.cpu.lock")
    assert not any(path.name.startswith(".") for path in network.folder.iterdir())


def test_upgrade_forgets_the_versions_and_overrides_are_told(
    network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (network.folder / "overrides.txt").write_text("jax ; python_version < '0'\n", "utf-8")
    seen = stand_in_uv(tmp_path, monkeypatch, "target.write_text('new')")
    lock(network, "cpu", upgrade=True)
    arguments, found = read(seen)
    assert "--upgrade" in arguments
    assert found is None
    assert arguments[arguments.index("--override") + 1] == str(network.folder / "overrides.txt")


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        ("  \u2570\u2500\u25b6 Because nosuch was not found, requirements are unsatisfiable.", "requirements.in"),
        ("error: Failed to fetch: `x`", "UV_DEFAULT_INDEX"),
    ],
)
def test_an_error_of_uv_is_one_line_and_the_old_lock_stays(
    said: str, remedy: str, network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = network.lock("cpu").read_bytes()
    stand_in_uv(tmp_path, monkeypatch, f"target.write_text('half'); print({said!r}); sys.exit(1)")
    with pytest.raises(BuildError) as caught:
        lock(network, "cpu")
    assert said.strip(" \u2570\u2500\u25b6") in caught.value.message
    assert "\n" not in caught.value.message
    assert remedy in caught.value.remedy
    assert network.lock("cpu").read_bytes() == old
    assert not any(path.name.startswith(".") for path in network.folder.iterdir())


def test_without_requirements_there_is_nothing_to_lock(network: Network) -> None:
    (network.folder / "requirements.in").unlink()
    with pytest.raises(InputError, match=r"requirements\.in does not exist"):
        lock(network, "cpu")


def test_a_folder_that_holds_no_network_is_refused(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["lock", str(tmp_path)])
    assert done.exit_code == ManifestError.exit_code
    assert "contains no network.yaml" in done.output
    assert "faceorch new NAME" in done.output
