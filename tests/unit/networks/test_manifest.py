"""network.yaml: strict, typed, and the only place that knows a network."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from faceorch.errors import CannotRun, InputError, ManifestError
from faceorch.networks.discover import Network, find_judge, load_all, load_networks, pick
from faceorch.networks.manifest import read_manifest
from faceorch.paths import docker_folder
from tests.conftest import MakeNetwork

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


def edit(tmp_path: Path, network_folder: Path, **changes: object) -> Path:
    raw = yaml.safe_load((network_folder / "network.yaml").read_text("utf-8"))
    path = tmp_path / "network.yaml"
    path.write_text(yaml.safe_dump({**raw, **changes}), "utf-8")
    return path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"titel": "x"}, "unknown key 'titel' (did you mean 'title'?)"),
        ({"title": None}, "title: Expected `str`, got `null`"),
        ({"needs": {"gpu": True}}, "'needs.runtimes' is missing"),
        ({"uses": ["face"]}, "uses: faceorch_kit has no part 'face' (did you mean 'faces'?)"),
        (
            {"settings": {"size": {"type": "int", "default": 1, "min": 2, "max": 3, "help": "h"}}},
            "settings.size.default: 1 is outside 2 to 3",
        ),
        (
            {"caveats": [{"setting": "size", "equals": 1000, "text": "t"}]},
            "caveats: size: 1000 is outside 16 to 128",
        ),
        ({"caveats": [{"setting": "sise", "equals": 64, "text": "t"}]}, "caveats: sise: there is no such setting"),
        ({"presets": {"theirs": {"size": 64}}}, "presets.theirs: there is no such setting"),
        (
            {"settings": {"size": {"type": "int", "default": 2, "min": 2, "max": 3, "help": "h", "maximum": 3}}},
            "unknown key 'maximum' (did you mean 'max'?) in 'settings.size'",
        ),
    ],
)
def test_a_wrong_manifest_is_named(
    tmp_path: Path, make_network: MakeNetwork, changes: dict[str, object], message: str
) -> None:
    path = edit(tmp_path, make_network("grey").folder, **changes)
    with pytest.raises(ManifestError) as caught:
        read_manifest(path)
    assert caught.value.message == f"{path}: {message}"


def test_a_manifest_that_is_no_yaml_is_named(tmp_path: Path) -> None:
    path = tmp_path / "network.yaml"
    path.write_text("a: [", "utf-8")
    with pytest.raises(ManifestError, match=r"network\.yaml: while parsing a flow node"):
        read_manifest(path)


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


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [("size", "32", 32), ("loud", "on", True), ("loud", "0", False), ("mode", "b", "b"), ("gain", "0.5", 0.5)],
)
def test_settings_are_parsed(make_network: MakeNetwork, key: str, text: str, value: object) -> None:
    assert make_network("grey").parse_setting(key, text) == value


@pytest.mark.parametrize(
    ("key", "text", "message"),
    [
        ("size", "8", "grey.size is '8', a whole number from 16 to 128 needed"),
        ("size", "1.5", "grey.size is '1.5', a whole number from 16 to 128 needed"),
        ("gain", "nan", "grey.gain is 'nan', a number from 0 to 2 needed"),
        ("loud", "maybe", "grey.loud is 'maybe', on or off needed"),
        ("mode", "c", "grey.mode is 'c', one of a, b needed"),
        ("siz", "8", "grey has no setting 'siz' (did you mean 'size'?)"),
    ],
)
def test_a_wrong_setting_is_refused(make_network: MakeNetwork, key: str, text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        make_network("grey").parse_setting(key, text)
    assert caught.value.message == message


def test_defaults_fill_what_was_not_set(make_network: MakeNetwork) -> None:
    assert make_network("grey").settings({"mode": "b"}) == {"size": 64, "loud": False, "mode": "b", "gain": 1.0}


def test_caveats_are_those_of_the_settings_that_a_job_has(tmp_path: Path, make_network: MakeNetwork) -> None:
    made = make_network("grey")
    said = [{"setting": "loud", "equals": True, "text": "loud"}, {"setting": "size", "equals": 64, "text": "small"}]
    manifest = read_manifest(edit(tmp_path, made.folder, caveats=said))
    network = Network(made.folder, manifest)
    assert network.caveats(network.settings({})) == ["small"]
    assert network.caveats(network.settings({"loud": True, "size": 32})) == ["loud"]


def with_presets(tmp_path: Path, network_folder: Path, **theirs: object) -> Path:
    raw = yaml.safe_load((network_folder / "network.yaml").read_text("utf-8"))
    preset = {"type": "choice", "default": "own", "choices": ["own", "theirs"], "help": "h"}
    settings = {**raw["settings"], "preset": preset}
    return edit(tmp_path, network_folder, settings=settings, presets={"theirs": theirs})


def test_a_preset_sets_what_is_not_given(tmp_path: Path, make_network: MakeNetwork) -> None:
    folder = make_network("grey").folder
    network = Network(folder, read_manifest(with_presets(tmp_path, folder, size=128)))
    own = network.settings({})["size"]
    assert own != 128
    assert network.settings({"preset": "theirs"})["size"] == 128
    assert network.settings({"preset": "theirs", "size": 32})["size"] == 32
    assert network.settings({"preset": "own"})["size"] == own


@pytest.mark.parametrize(
    ("theirs", "message"),
    [
        ({"size": 1000}, r"presets\.theirs\.size: 1000 is outside 16 to 128"),
        ({"sise": 64}, r"presets\.theirs\.sise: there is no such setting"),
        ({"preset": "own"}, r"presets\.theirs: a preset sets no preset"),
    ],
)
def test_a_wrong_preset_is_refused(
    tmp_path: Path, make_network: MakeNetwork, theirs: dict[str, object], message: str
) -> None:
    with pytest.raises(ManifestError, match=message):
        read_manifest(with_presets(tmp_path, make_network("grey").folder, **theirs))
