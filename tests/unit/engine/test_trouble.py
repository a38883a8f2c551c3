"""An engine that fails, talks nonsense, hangs up or says nothing is an `EngineError`, whatever it was asked."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from faceorch.engine import client
from faceorch.engine.client import connect
from faceorch.errors import EngineError
from faceorch.images.built import ours
from faceorch.owner import Owner
from faceorch.record.kinds import OutcomeKind
from faceorch.record.reason import Reason
from faceorch.runtimes import Launch, Ready
from faceorch.runtimes import docker as docker_runtime
from faceorch.runtimes.choose import sweep
from faceorch.runtimes.docker import DockerRuntime
from faceorch_runner import Job
from tests.conftest import MakeNetwork
from tests.unit.engine.conftest import TROUBLE, Engine, trouble


@pytest.mark.parametrize("kind", TROUBLE)
@pytest.mark.parametrize("bad", ["version", "info", "images/json"])
def test_an_engine_in_trouble_is_a_reason(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, make_network: MakeNetwork, bad: str, kind: str
) -> None:
    trouble(engine, monkeypatch, bad, kind)
    runtime = DockerRuntime()
    found = runtime.ready(make_network("one"), "cpu")
    assert isinstance(found, Reason)
    # An object without what was asked for may still be an engine: then it has no image.
    assert found.kind in (OutcomeKind.NO_ENGINE, OutcomeKind.NOT_BUILT)
    assert found.found
    assert found.remedy


@pytest.mark.parametrize("kind", ["500", "stalled"])
def test_an_engine_in_trouble_that_was_asked_ahead_is_a_reason(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, make_network: MakeNetwork, kind: str
) -> None:
    trouble(engine, monkeypatch, "info", kind)
    runtime = DockerRuntime()
    runtime.ask()
    found = runtime.ready(make_network("one"), "cpu")
    assert isinstance(found, Reason)
    assert found.kind is OutcomeKind.NO_ENGINE


def test_an_engine_that_was_asked_ahead_is_not_asked_again(engine: Engine, make_network: MakeNetwork) -> None:
    runtime = DockerRuntime()
    runtime.ask()
    assert runtime.facts is not None
    assert isinstance(runtime.ready(make_network("one"), "cpu"), Reason)
    assert engine.asked == Counter({"version": 2, "info": 1, "images/json": 1}), "the SDK asks for the version too"


ASKING: dict[str, tuple[str, Callable[[], object]]] = {
    "images": ("images/json", lambda: ours(connect())),
    "running": ("containers/json", lambda: DockerRuntime().running()),
    "sweep": ("containers/json", lambda: DockerRuntime().sweep()),
}


@pytest.mark.parametrize("kind", [kind for kind in TROUBLE if kind != "null"])
@pytest.mark.parametrize("name", list(ASKING))
def test_whatever_goes_wrong_is_an_engine_error(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, name: str, kind: str
) -> None:
    bad, ask = ASKING[name]
    connect()
    trouble(engine, monkeypatch, bad, kind)
    if kind == "stalled":
        client._connect.cache_clear()
    with pytest.raises(EngineError, match="the container engine"):
        ask()
    if name == "images":
        return
    (line,) = sweep({"docker": DockerRuntime()})
    assert line.startswith("leftovers in the container engine stay: the container engine")


@pytest.mark.parametrize("kind", TROUBLE)
@pytest.mark.parametrize("bad", ["create", "x/attach", "x/start", "x/json", "x"])
def test_trouble_around_a_container_is_an_engine_error_or_none(
    engine: Engine,
    monkeypatch: pytest.MonkeyPatch,
    make_network: MakeNetwork,
    tmp_path: Path,
    portrait: Path,
    clip: Path,
    bad: str,
    kind: str,
) -> None:
    trouble(engine, monkeypatch, f"containers/{bad}", kind)
    monkeypatch.setattr(docker_runtime, "_STOP_STEPS", ((None, 0.0),))
    order = Job(id="x", portrait=portrait, audio=clip, seed=0, settings={}, work=tmp_path)
    (tmp_path / "out").mkdir()
    launch = Launch(
        network=make_network("one"),
        environment=Ready(identity="x", name="x"),
        owner=Owner.me(),
        run="x",
        order=order,
        out=tmp_path / "out",
        job_file=tmp_path / "job.json",
    )
    with contextlib.suppress(EngineError), DockerRuntime().start(launch) as process:
        process.send(b"x")
        process.wait(0.0)
        process.stop()
