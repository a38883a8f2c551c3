"""`faceorch clean`: trouble of the engine is one line."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from faceorch.cli.main import cli
from tests.unit.engine.conftest import TROUBLE, Engine, trouble


@pytest.mark.parametrize("kind", TROUBLE)
@pytest.mark.parametrize("bad", ["system/df", "containers/json", "images/json"])
def test_cleaning_up_tells_trouble_in_one_line(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, bad: str, kind: str
) -> None:
    trouble(engine, monkeypatch, bad, kind)
    done = CliRunner().invoke(cli, ["clean", "--dry-run"])
    assert done.exit_code in (0, 10), done.output
    assert done.exit_code == 0 or "error: the container engine" in done.output
