"""What a network writes: a package of its own with one class in `runner.py`."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from .errors import RunnerError
from .events import EventKind, EventStream
from .jobs import Job

NETWORKS = "faceorch_networks"


class Progress:
    """How `animate` and `setup` tell what they are doing."""

    def __init__(self, events: EventStream, job: str | None) -> None:
        self._events, self._job = events, job
        self.current = ""

    def stage(self, name: str) -> None:
        """Report that the stage `name` begins (and the one before it ends)."""
        self.current = name
        self._events.emit(EventKind.STAGE, self._job, name=name)

    def update(self, done: int, total: int, unit: str = "frames") -> None:
        """Report that `done` of `total` units of the current stage are finished."""
        self._events.emit(EventKind.PROGRESS, self._job, done=done, total=total, unit=unit)

    def metric(self, name: str, value: float, unit: str) -> None:
        """Report one measured number; `unit` as in `s`, `bytes`, `frames`."""
        self._events.emit(EventKind.METRIC, self._job, name=name, value=value, unit=unit)

    def boxes(
        self,
        picture: str,
        parts: Mapping[str, Iterable[Sequence[float]]],
        shown: tuple[float, float, float, float],
    ) -> None:
        """Tell where parts of the face are in the `picture`, `portrait` or `video`, so that people can zoom to them.

        `parts` has points (n, 2 or more: right, down) of the `face`, the `eyes` and the `mouth`, of those that are
        known; `shown` is what the picture shows (left, top, right, bottom) in the same coordinates, such as pixels. A
        part is told as the rectangle around its points, as far as it lies within the picture. Of a video in which the
        head moves, the points of its beginning are meant.
        """
        left, top, right, bottom = shown
        for name, points in parts.items():
            across, down = zip(*((float(point[0]), float(point[1])) for point in points), strict=True)
            x, wide = _share(across, left, right)
            y, tall = _share(down, top, bottom)
            if wide and tall:
                self._events.emit(
                    EventKind.BOX, self._job, picture=picture, name=name, left=x, top=y, width=wide, height=tall
                )

    def note(self, message: str) -> None:
        """Report one sentence to show beside the video: what was done to the inputs, and what that means for it."""
        self._events.emit(EventKind.NOTE, self._job, message=message)


def _share(values: Sequence[float], first: float, last: float) -> tuple[float, float]:
    """Return where `values` begin and how far they reach, as shares of the way from `first` to `last`."""
    begin, end = ((min(max(edge, first), last) - first) / (last - first) for edge in (min(values), max(values)))
    return round(begin, 4), round(end - begin, 4)


class Network:
    """Base class of every network's runner. Its module belongs to the package `faceorch_networks.<name>`.

    With `checks_apart`, `check` runs in a process of its own while `setup` loads the models: a fork that knows what
    `__init__` did, and keeps what `check` adds to the network. What `check` returns is pickled then.
    """

    checks_apart = False
    jobs: Sequence[Job] = ()
    """Those that are known before `setup`; some may be refused, and others follow."""

    def check(self, job: Job) -> Any:
        """Check a job before any weights are read: raise `NoFace` or `BadInput` with a one-line message.

        What it returns, such as where the face is, is `job.found` in `animate`.
        """

    def setup(self, weights: Path | None, device: str) -> None:
        """Load the models, once. `weights` is the network's weight folder, `device` is `cpu` or `cuda`."""

    def animate(self, job: Job, progress: Progress) -> Path:
        """Animate one job and return the path of its video, which `job.video()` wrote or any other code."""
        raise NotImplementedError


def load_network(folder: Path, name: str) -> Network:
    """Return the network `name`, whose package is `folder`."""
    module = load_module(folder, name, "runner")
    found = [c for _, c in inspect.getmembers(module, _is_network) if c.__module__ == module.__name__]
    if len(found) != 1:
        raise RunnerError(f"{module.__file__} defines {len(found)} subclasses of faceorch_runner.Network, 1 needed")
    network: Network = found[0]()
    return network


def load_module(folder: Path, name: str, module: str) -> ModuleType:
    """Return a module of the package that a network's `folder` is: `faceorch_networks.<name>.<module>`.

    Nothing is put on `sys.path`, so a network's modules can neither shadow upstream's nor another network's.
    """
    for needed in ("__init__.py", f"{module}.py"):
        if not (folder / needed).is_file():
            raise RunnerError(f"{folder / needed} is missing")
    package = f"{NETWORKS}.{name}"
    loaded = sys.modules.get(package)
    if loaded is None:
        _load_package(folder, package)
    elif loaded.__spec__ is None or loaded.__spec__.submodule_search_locations != [str(folder)]:
        raise RunnerError(f"{package} was loaded from {loaded.__file__} before; a process has one network of a name")
    return importlib.import_module(f"{package}.{module}")


def _load_package(folder: Path, package: str) -> None:
    if NETWORKS not in sys.modules:
        parent = ModuleType(NETWORKS, "The networks of this process.")
        parent.__path__ = []
        sys.modules[NETWORKS] = parent
    spec = importlib.util.spec_from_file_location(
        package, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None
    assert spec.loader is not None
    sys.modules[package] = module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[package]
        raise


def _is_network(value: Any) -> bool:
    return inspect.isclass(value) and issubclass(value, Network) and value is not Network
