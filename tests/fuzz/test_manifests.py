"""network.yaml, weights.yaml and base files that are damaged: one clear line, whatever it was."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from faceorch.errors import ManifestError
from faceorch.networks.discover import Network, load_networks
from faceorch.networks.manifest import read_manifest
from faceorch.paths import docker_folder
from faceorch.weights.manifest import load_weights
from tests.fuzz.conftest import inputs
from tests.fuzz.mutation import damaged_bytes, damaged_value

SEEDS = {name: (docker_folder() / "sadtalker" / name).read_bytes() for name in ("network.yaml", "weights.yaml")}


@inputs("manifests")
@given(data=st.data())
def test_a_damaged_manifest_is_one_clear_line(tmp_path_factory: Any, data: st.DataObject) -> None:
    folder: Path = tmp_path_factory.getbasetemp() / "manifests" / "sadtalker"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, seed in SEEDS.items():
        (folder / name).write_bytes(seed)
    name = data.draw(st.sampled_from(list(SEEDS)))
    if data.draw(st.booleans()):
        content = data.draw(damaged_bytes([SEEDS[name]]))
    else:
        value = data.draw(damaged_value(yaml.safe_load(SEEDS[name])))
        content = yaml.safe_dump(value, allow_unicode=True).encode("utf-8", "surrogatepass")
    (folder / name).write_bytes(content)
    try:
        load_weights(Network(folder, read_manifest(folder / "network.yaml")))
    except ManifestError as error:
        assert error.message.isprintable()
    found = load_networks([folder.parent])
    assert {*found, *found.broken} == {"sadtalker"}
