"""What the client makes of the engine's answers, and where it looks for the engine."""

from __future__ import annotations

import pytest

from faceorch.engine import client
from faceorch.engine.client import Missing, asked, connect, remove_container
from faceorch.errors import EngineError
from tests.unit.engine.conftest import Engine, trouble


def test_what_is_not_there_is_told_apart(engine: Engine) -> None:
    engine.bad, engine.trouble = "containers/x/json", "404"
    with pytest.raises(Missing), asked():
        connect().inspect_container("x")


@pytest.mark.parametrize("kind", ["closed", "stalled", "404"])
def test_a_container_that_cannot_be_removed_now_is_no_error(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    trouble(engine, monkeypatch, "containers/x", kind)
    remove_container(connect(), "x")


def test_what_is_ours_passes_through() -> None:
    error = EngineError("a", "b")
    with pytest.raises(EngineError) as raised, asked():
        raise error
    assert raised.value is error
    with pytest.raises(KeyboardInterrupt), asked():
        raise KeyboardInterrupt


@pytest.mark.parametrize("text", ['{"currentContext": 5}', '{"currentContext": {"a": []}}'])
def test_a_damaged_configuration_of_docker(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    folder = tmp_path_factory.mktemp("docker")
    (folder / "config.json").write_text(text, "utf-8")
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    with pytest.raises(EngineError, match=r"config\.json cannot be read"):
        client.endpoint()
