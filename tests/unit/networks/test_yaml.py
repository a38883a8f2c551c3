"""What is no YAML is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from faceorch.errors import ManifestError
from faceorch.networks.manifest import read_manifest


def test_a_manifest_that_is_no_yaml_is_named(tmp_path: Path) -> None:
    path = tmp_path / "network.yaml"
    path.write_text("a: [", "utf-8")
    with pytest.raises(ManifestError, match=r"network\.yaml: while parsing a flow node"):
        read_manifest(path)
