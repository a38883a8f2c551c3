"""What a network writes: one class in `runner.py`."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from pathlib import Path
from typing import Any

from .errors import RunnerError
from .events import EventKind, EventStream
from .jobs import Job


class Progress:
    """How `animate` and `setup` tell what they are doing."""

    def __init__(self, events: EventStream, job: str | None) -> None:
        self._events, self._job = events, job
        self.current = ""

    def stage(self, name: str) -> None:
        """Say that the stage `name` begins (and the one before it ends)."""
        self.current = name
        self._events.emit(EventKind.STAGE, self._job, name=name)

    def update(self, done: int, total: int, unit: str = "frames") -> None:
        """Say that `done` of `total` units of the current stage are finished."""
        self._events.emit(EventKind.PROGRESS, self._job, done=done, total=total, unit=unit)

    def metric(self, name: str, value: float, unit: str) -> None:
        """Report one measured number; `unit` as in `s`, `bytes`, `frames`."""
        self._events.emit(EventKind.METRIC, self._job, name=name, value=value, unit=unit)


class Network:
    """Base class of every network's runner. Its folder is on `sys.path` when it is loaded."""

    def check(self, job: Job) -> None:
        """Refuse a job cheaply, before any weight is read: raise `NoFace` or `BadInput` with one line."""

    def setup(self, weights: Path | None, device: str) -> None:
        """Load the models, once. `weights` is the network's weight folder, `device` is `cpu` or `cuda`."""

    def animate(self, job: Job, progress: Progress) -> Path:
        """Animate one job and return the path of its video, which `job.video()` wrote or any other code."""
        raise NotImplementedError


def load_network(folder: Path) -> Network:
    """Return the network whose `runner.py` lies in `folder`."""
    source = folder / "runner.py"
    spec = importlib.util.spec_from_file_location("faceorch_network", source)
    if spec is None or spec.loader is None or not source.is_file():
        raise RunnerError(f"{source} is missing")
    sys.path.insert(0, str(folder))
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    found = [c for _, c in inspect.getmembers(module, _is_network) if c.__module__ == spec.name]
    if len(found) != 1:
        raise RunnerError(f"{source} defines {len(found)} subclasses of faceorch_runner.Network, 1 needed")
    network: Network = found[0]()
    return network


def _is_network(value: Any) -> bool:
    return inspect.isclass(value) and issubclass(value, Network) and value is not Network
