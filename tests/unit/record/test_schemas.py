"""The published schemas take what faceorch takes, and refuse a key that is not there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from faceorch.networks.new import TEMPLATE
from faceorch.paths import docker_folder

SCHEMAS = Path(__file__).parents[3] / "docs" / "reference" / "schema"
FILES = [
    path
    for name in ("network", "weights")
    for folder in (docker_folder(), TEMPLATE.parent)
    for path in sorted(folder.glob(f"*/{name}.yaml"))
]


def validator(path: Path) -> jsonschema.Draft202012Validator:
    schema: dict[str, Any] = json.loads((SCHEMAS / f"{path.stem}-1.json").read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_file_of_ours_is_valid_and_an_unknown_key_is_not(path: Path) -> None:
    content = yaml.safe_load(path.read_text("utf-8"))
    validator(path).validate(content)
    with pytest.raises(jsonschema.ValidationError, match="colour"):
        validator(path).validate({**content, "colour": "blue"})
