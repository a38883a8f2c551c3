"""Packages of which only a part is used, without what the rest imports.

`import torchvision.models.resnet` runs `torchvision/__init__.py` first, which loads operators, data sets and torch's
compiler: seconds, at every start, for one class. And `import torch` runs modules for work that no network does.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import threading
from collections.abc import Mapping, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

# Of torch: shapes without values, export, quantization, distributions and data sets. A quarter of its import.
_UNUSED = ("_meta_registrations", "export", "quantization", "distributions", "utils.data")


def light(package: str, **names: str) -> None:
    """Import a package without running its `__init__.py`; its modules can be imported as always.

    `names` are those of the package's own names that somebody will ask it for, and the module of it that defines each.
    Whoever asks for another gets it too, at the price of the whole package. One that is loaded already, or not there,
    stays as it is.
    """
    if package in sys.modules:
        return
    try:
        spec = importlib.util.find_spec(package)
    except ModuleNotFoundError:  # of what it is a part of
        return
    if spec is None or spec.submodule_search_locations is None:
        return
    module = _Light(package, names)
    module.__dict__.update(
        __spec__=spec,
        __path__=list(spec.submodule_search_locations),
        __file__=spec.origin,
        __loader__=spec.loader,
        __package__=package,
    )
    sys.modules[package] = module
    parent, _, own = package.rpartition(".")
    if parent:
        setattr(sys.modules[parent], own, module)


def light_torch() -> None:
    """Let `import torch` put off modules until somebody asks them for something: then they run as always.

    Not for what computes with torch's meta device or its compiler: these want what a module does when it runs, and ask
    it for nothing.
    """
    if "torch" not in sys.modules:
        sys.meta_path.insert(0, _Later(frozenset(f"torch.{name}" for name in _UNUSED)))


class _Later(MetaPathFinder):
    """Finds modules of these names, which run when they are first asked for something."""

    def __init__(self, names: frozenset[str]) -> None:
        self._names = names

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path, target) if name in self._names else None
        if spec is not None and spec.loader is not None:
            spec.loader = _Waiting(spec.loader)
        return spec


class _Waiting(Loader):
    """Makes a module and does not run it.

    Not importlib's LazyLoader: to that, `inspect` looking for the file of any module is a reason to run every one, and
    newer torch (2.10) lets it look while it is imported.
    """

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Light(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        assert module.__spec__ is not None
        module.__spec__.loader = module.__loader__ = self._loader


class _Light(ModuleType):
    """A module that has not run, and does when it is asked for a name that it does not know.

    `names` are those that one of its own modules defines, which is asked instead.
    """

    def __init__(self, name: str, names: Mapping[str, str] | None = None) -> None:
        super().__init__(name)
        self.__dict__.update(_names=names or {}, _lock=threading.RLock(), _running=False)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__all__":  # of Python itself, which looks at modules in passing
            raise AttributeError(name)
        module = self.__dict__["_names"].get(name)
        if module is not None:
            return getattr(importlib.import_module(f"{self.__name__}.{module}"), name)
        with self.__dict__["_lock"]:  # whoever else wants something waits
            if type(self) is _Light:
                self._run(name)
        return getattr(self, name)

    def _run(self, wanted: str) -> None:
        if self.__dict__["_running"]:
            raise AttributeError(f"{self.__name__} has no {wanted} yet: it is being run", name=wanted, obj=self)
        assert self.__spec__ is not None
        assert self.__spec__.loader is not None
        self.__dict__["_running"] = True
        try:
            self.__spec__.loader.exec_module(self)
            self.__class__ = ModuleType  # type: ignore[assignment]
        finally:
            self.__dict__["_running"] = False
