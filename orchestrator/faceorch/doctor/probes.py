"""Reads the state of this machine; drawing conclusions is left to the checks."""

from __future__ import annotations

import os
import platform
import re
import shutil
from pathlib import Path

import psutil
from msgspec import Struct

from faceorch import proc
from faceorch.engine.client import connect, endpoint
from faceorch.engine.facts import EngineFacts, is_wsl, read_facts
from faceorch.errors import UserError
from faceorch.files import home_problem
from faceorch.images.built import Image, ours
from faceorch.paths import home
from faceorch.telemetry.nvml import Gpus, GpuState, read_gpus, read_states

# Both are of the same release and print its version; older toolkits only have the second.
_TOOLKIT = (("nvidia-ctk", "--version"), ("nvidia-container-cli", "--version"))
_CONTAINERD_ROOT = "/var/lib/containerd"


class NoEngine(Struct, frozen=True, kw_only=True):
    """Why no engine can be used, and the remedy."""

    reason: str
    remedy: str


class Machine(Struct, frozen=True, kw_only=True):
    """This machine. `container` is true if faceorch itself runs in one."""

    system: str
    kernel: str
    architecture: str
    container: bool
    memory_bytes: int
    available_bytes: int

    @property
    def wsl(self) -> bool:
        """Whether this is Linux under Windows (WSL2)."""
        return is_wsl(self.kernel)


class Space(Struct, frozen=True, kw_only=True):
    """Free space on the disk of a folder; None, with the `reason`, if it cannot be read. `device` is the disk."""

    path: str
    free_bytes: int | None
    reason: str = ""
    device: int | None = None


class Toolkit(Struct, frozen=True, kw_only=True):
    """The NVIDIA container toolkit. `version` is None if it is not installed or does not report one."""

    version: str | None
    program: str | None = None


class GpuActivity(Struct, frozen=True, kw_only=True):
    """What a GPU is doing now, and its users by name; `state` is None if NVML does not report it."""

    state: GpuState | None
    names: dict[int, str]


class HostFacts(Struct, frozen=True, kw_only=True):
    """Everything that was probed."""

    machine: Machine
    gpus: Gpus
    uses: dict[str, GpuActivity]
    engine: EngineFacts | NoEngine
    images: tuple[Image, ...]
    toolkit: Toolkit
    image_space: Space | None
    weight_space: Space
    home: str = ""
    home_problem: str = ""


def probe(weights: Path) -> HostFacts:
    """Probe everything; `weights` is the folder that weights are downloaded to."""
    engine, images = probe_engine()
    gpus = read_gpus()
    return HostFacts(
        machine=probe_machine(),
        gpus=gpus,
        uses={state.uuid: GpuActivity(state=state, names=_names(state)) for state in read_states()},
        engine=engine,
        images=images,
        toolkit=probe_toolkit(),
        image_space=probe_image_space(engine),
        weight_space=probe_space(weights),
        home=os.fspath(home()),
        home_problem=home_problem(),
    )


def probe_engine() -> tuple[EngineFacts | NoEngine, tuple[Image, ...]]:
    """Return the engine's facts, and the images of faceorch that it has."""
    try:
        api = connect()
        return read_facts(api, endpoint()), tuple(ours(api))
    except UserError as error:
        return NoEngine(reason=error.message, remedy=error.remedy), ()


def probe_machine() -> Machine:
    """Return the facts of this machine."""
    memory = psutil.virtual_memory()
    return Machine(
        system=platform.system(),
        kernel=platform.release(),
        architecture={"AMD64": "x86_64", "arm64": "aarch64"}.get(platform.machine(), platform.machine()),
        container=Path("/.dockerenv").exists() or Path("/run/.containerenv").exists(),
        memory_bytes=memory.total,
        available_bytes=memory.available,
    )


def probe_image_space(engine: EngineFacts | NoEngine) -> Space | None:
    """Return the free space for images; None if they are stored on another machine or in a virtual one."""
    if isinstance(engine, NoEngine) or engine.elsewhere or not engine.root_here:
        return None
    return probe_space(_image_folder(engine))


def probe_space(folder: Path) -> Space:
    """Return the free space for `folder`, which may not exist yet."""
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if os.path.lexists(path))
    try:
        free_bytes = psutil.disk_usage(str(existing)).free
        return Space(path=str(folder), free_bytes=free_bytes, device=existing.stat().st_dev)
    except OSError as error:
        return Space(path=str(folder), free_bytes=None, reason=error.strerror or str(error))


def probe_toolkit() -> Toolkit:
    """Return the version of the NVIDIA container toolkit."""
    for program, *arguments in _TOOLKIT:
        if shutil.which(program) is None:
            continue
        try:
            done = proc.run([program, *arguments])
        except OSError:  # installed, but this user may not run it
            continue
        found = re.search(r"version:?\s+v?(\d+\.\d+\.\d+)", "\n".join(done.tail))
        return Toolkit(version=found[1] if found else None, program=program)
    return Toolkit(version=None)


def _image_folder(engine: EngineFacts) -> Path:
    """Return where the engine stores images; Engine 29's containerd store is not in the engine's own folder."""
    if engine.containerd_store and Path(_CONTAINERD_ROOT).is_dir():
        return Path(_CONTAINERD_ROOT)
    return Path(engine.root or "/var/lib/docker")


def _names(state: GpuState) -> dict[int, str]:
    names = {}
    for user in state.users or ():
        try:
            names[user.pid] = psutil.Process(user.pid).name()
        except psutil.Error:  # in another container, or it has just ended
            names[user.pid] = "unknown"
    return names
