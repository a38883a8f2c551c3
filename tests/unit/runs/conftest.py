"""Runners that fail in one line or refuse, runtimes that start nothing, and a listener that counts repetitions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import jsonschema

from faceorch.networks.discover import Network
from faceorch.record.folder import RunFolder, json_schema
from faceorch.record.reason import Reason
from faceorch.record.run import Gpu
from faceorch.runs.events import Event, RepetitionStarted
from faceorch.runs.plan import Plan, make_plan
from faceorch.runtimes import Launch, Preparing, Process, Ready, Running, Runtime
from faceorch.telemetry.nvml import Gpus
from faceorch.weights.store import Store


class Counting:
    """Keeps the repetitions that it hears of."""

    def __init__(self) -> None:
        self.repetitions: list[str] = []

    def __call__(self, event: Event) -> None:
        if isinstance(event, RepetitionStarted):
            self.repetitions.append(f"{event.network}: {event.name}")


def failing(line: str) -> str:
    """Return a runner that does `line` in the place of animating."""
    return f"""
        from faceorch_runner import Network, NoFace
        class Bad(Network):
            def animate(self, job, progress):
                {line}
    """


REFUSING = """
from faceorch_runner import Network, NoFace
class Refusing(Network):
    def check(self, job):
        raise NoFace("no face found in face.png")
"""


NO_GPUS = Gpus((), None, "no NVIDIA driver is installed")
READY = Ready(identity="1", name="env")


def gpu(index: int, compute_capability: str = "9.0") -> Gpu:
    return Gpu(index=index, uuid=f"GPU-{index}abc", name="H200", memory_bytes=1, compute_capability=compute_capability)


class FakeRuntime:
    elsewhere = ""

    def __init__(self, name: str, answer: Ready | Reason) -> None:
        self.name, self.answer = name, answer
        self.asked: list[str] = []
        self.gpu: list[bool] = []

    def ready(self, network: Network, base: str, *, gpu: bool = False) -> Ready | Reason:
        self.asked.append(base)
        self.gpu.append(gpu)
        return self.answer

    def prepare(self, network: Network, ready: Ready, preparing: Preparing) -> Ready:
        raise AssertionError("planning must not prepare")

    @contextmanager
    def start(self, launch: Launch) -> Iterator[Process]:
        raise AssertionError("planning must not start")
        yield

    def running(self) -> list[Running]:
        return []

    def sweep(self) -> list[str]:
        return []


def plan(network: Network, docker: Ready | Reason, venv: Ready | Reason, gpus: Gpus = NO_GPUS) -> Plan:
    runtimes: dict[str, Runtime] = {"docker": FakeRuntime("docker", docker), "venv": FakeRuntime("venv", venv)}
    return make_plan([network], runtimes=runtimes, gpus=gpus, selected=gpus.gpus, weights=Store())


def loaded(folder: RunFolder) -> RunFolder:
    """Return the run as it can be read again, by faceorch and by its schema."""
    text = (folder.path / "run.json").read_text("utf-8")
    jsonschema.validate(json.loads(text), json_schema())
    assert len(text) < 100_000
    return RunFolder.load(folder.path)
