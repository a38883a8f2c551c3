"""Networks and judges are found as folders, and say what their settings mean."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from faceorch.errors import CannotRun, ManifestError
from faceorch.networks.discover import Network, find_judge, load_all, load_networks, pick
from faceorch.networks.manifest import read_manifest
from faceorch.paths import docker_folder
from tests.conftest import MakeNetwork
from tests.unit.networks.conftest import edit, with_presets

ROOT = Path(__file__).parents[3]


def test_all_five_networks_are_listed() -> None:
    assert list(load_networks()) == ["baseline", "echomimic", "hallo", "liveportrait", "sadtalker"]


def test_no_other_file_names_a_network() -> None:
    """A new network is a new folder: host code, tests of the host and build files must not know the names."""
    names = list(load_networks([docker_folder()]))
    searched = ["orchestrator", "docker/runner", "docker/base", "pyproject.toml", "Makefile"]
    for name in set(names) - {"baseline"}:
        found = subprocess.run(
            ["git", "grep", "-il", name, "--", *searched], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert found.stdout == "", f"{name} is named outside its folder"


def test_networks_of_the_user_are_found(make_network: MakeNetwork) -> None:
    make_network("mine")
    assert "mine" in load_networks()


def test_a_judge_is_no_network_and_is_found_as_what_it_is(make_network: MakeNetwork, make_judge: MakeNetwork) -> None:
    make_network("mine")
    assert make_judge().missing_files == ()
    assert "standin" not in load_networks()
    assert {"mine", "standin"} <= load_all().keys()
    found = find_judge()
    assert found is not None
    assert found.name == "standin"


@pytest.mark.parametrize(("wanted", "name"), [("off", None), ("first", "first"), ("", "second")])
def test_of_several_judges_one_is_named_or_the_last_is_taken(
    make_judge: MakeNetwork, monkeypatch: pytest.MonkeyPatch, wanted: str, name: str | None
) -> None:
    make_judge(name="first")
    make_judge(name="second")
    monkeypatch.setenv("FACEORCH_JUDGE", wanted)
    found = find_judge()
    assert (None if found is None else found.name) == name


def test_an_unknown_judge_is_named(make_judge: MakeNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    make_judge()
    monkeypatch.setenv("FACEORCH_JUDGE", "standing")
    with pytest.raises(CannotRun) as caught:
        find_judge()
    assert caught.value.message == "no judge is called 'standing' (did you mean 'standin'?)"


def test_two_networks_of_one_name_are_refused(make_network: MakeNetwork) -> None:
    folder = make_network("baseline").folder
    with pytest.raises(ManifestError) as caught:
        load_networks()
    assert caught.value.message == f"two networks are called baseline: {docker_folder() / 'baseline'} and {folder}"


def test_an_unknown_network_brings_the_nearest_name() -> None:
    with pytest.raises(CannotRun) as caught:
        pick(load_networks(), "sadtalkr")
    assert caught.value.message == "no network is called 'sadtalkr' (did you mean 'sadtalker'?)"


def test_defaults_fill_what_was_not_set(make_network: MakeNetwork) -> None:
    assert make_network("grey").settings({"mode": "b"}) == {"size": 64, "loud": False, "mode": "b", "gain": 1.0}


def test_caveats_are_those_of_the_settings_that_a_job_has(tmp_path: Path, make_network: MakeNetwork) -> None:
    made = make_network("grey")
    said = [{"setting": "loud", "equals": True, "text": "loud"}, {"setting": "size", "equals": 64, "text": "small"}]
    manifest = read_manifest(edit(tmp_path, made.folder, caveats=said))
    network = Network(made.folder, manifest)
    assert network.caveats(network.settings({})) == ["small"]
    assert network.caveats(network.settings({"loud": True, "size": 32})) == ["loud"]


def test_a_preset_sets_what_is_not_given(tmp_path: Path, make_network: MakeNetwork) -> None:
    folder = make_network("grey").folder
    network = Network(folder, read_manifest(with_presets(tmp_path, folder, size=128)))
    own = network.settings({})["size"]
    assert own != 128
    assert network.settings({"preset": "theirs"})["size"] == 128
    assert network.settings({"preset": "theirs", "size": 32})["size"] == 32
    assert network.settings({"preset": "own"})["size"] == own
