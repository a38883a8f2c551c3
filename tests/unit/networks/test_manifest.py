"""network.yaml: strict, typed, and the only place that knows a network."""

from __future__ import annotations

from pathlib import Path

import pytest

from faceorch.errors import ManifestError
from faceorch.networks.manifest import read_manifest
from tests.conftest import MakeNetwork
from tests.unit.networks.conftest import edit, with_presets


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
