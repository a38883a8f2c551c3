"""Reads the engine's description of itself and this machine's GPU support for containers; draws no conclusions."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import yaml
from msgspec import Struct

from faceorch.engine.client import asked

if TYPE_CHECKING:
    from docker import APIClient

CDI_KIND = "nvidia.com/gpu"
CDI_FOLDERS = ("/etc/cdi", "/var/run/cdi")
# The PATH of system services, and NixOS's. The engine's own PATH cannot be read.
_SERVICE_PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/run/current-system/sw/bin")
_HOOK = "nvidia-container-runtime-hook"
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class CdiSpecs(Struct, frozen=True, kw_only=True):
    """This machine's CDI specifications of NVIDIA GPUs."""

    folders: tuple[str, ...] = CDI_FOLDERS
    devices: tuple[str, ...] = ()
    missing_files: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()


class EngineFacts(Struct, frozen=True, kw_only=True):
    """One engine, as it describes itself.

    `elsewhere` is where it runs if not on this machine's kernel; `root_here`: its files are on this machine.
    """

    endpoint: str
    name: str
    version: str
    api: str
    os_type: str = "linux"
    architecture: str = "x86_64"
    operating_system: str = ""
    elsewhere: str = ""
    rootless: bool = False
    remaps_users: bool = False
    selinux: bool = False
    cgroup_version: str = "2"
    memory_limit: bool = True
    memory_bytes: int = 0
    root: str = "/var/lib/docker"
    root_here: bool = True
    containerd_store: bool = False
    runtimes: tuple[str, ...] = ()
    hook: bool = False
    cdi_on: bool = False
    cdi: CdiSpecs = CdiSpecs()
    wsl: bool = False

    @property
    def podman(self) -> bool:
        """Whether it is Podman behind a Docker-compatible socket."""
        return "podman" in self.name.lower()


@asked()
def read_facts(api: APIClient, endpoint: str) -> EngineFacts:
    """Return the engine's facts, and this machine's GPU support for containers."""
    info: dict[str, Any] = api.info()
    version: dict[str, Any] = api.version()
    components = version.get("Components") or [{}]
    options = [str(option) for option in info.get("SecurityOptions") or []]
    elsewhere = _elsewhere(endpoint, info)
    discovered = info.get("DiscoveredDevices") or []
    folders = tuple(info.get("CDISpecDirs") or ()) or CDI_FOLDERS
    specs = read_cdi(folders) if not elsewhere else CdiSpecs(folders=folders)
    if discovered:  # reported by Engine 28.2 and newer
        specs = CdiSpecs(
            folders=specs.folders,
            devices=_own_names(str(device.get("ID", "")) for device in discovered),
            missing_files=specs.missing_files,
            broken=specs.broken,
        )
    return EngineFacts(
        endpoint=endpoint,
        name=_name(str(components[0].get("Name", "")), version),
        version=str(version.get("Version", "unknown")),
        api=str(version.get("ApiVersion", "0")),
        os_type=str(info.get("OSType", "linux")),
        architecture=_architecture(str(info.get("Architecture", platform.machine()))),
        operating_system=str(info.get("OperatingSystem", "")),
        elsewhere=elsewhere,
        rootless=any("rootless" in option for option in options),
        remaps_users=any("name=userns" in option for option in options),
        selinux=any("name=selinux" in option for option in options),
        cgroup_version=str(info.get("CgroupVersion") or "1"),
        memory_limit=bool(info.get("MemoryLimit", True)),
        memory_bytes=int(info.get("MemTotal") or 0),
        root=str(info.get("DockerRootDir", "")),
        root_here=os.path.lexists(str(info.get("DockerRootDir", ""))),
        containerd_store=any("io.containerd.snapshotter" in str(row) for row in info.get("DriverStatus") or []),
        runtimes=tuple(sorted(info.get("Runtimes") or {})),
        hook=not elsewhere and _find(_HOOK),
        cdi_on=bool(info.get("CDISpecDirs") or discovered),
        cdi=specs,
        wsl=is_wsl(str(info.get("KernelVersion", ""))),
    )


def is_wsl(kernel: str) -> bool:
    """Return whether a kernel is that of Linux under Windows (WSL2)."""
    return "microsoft" in kernel.lower()


def read_cdi(folders: Iterable[str] = CDI_FOLDERS) -> CdiSpecs:
    """Read the CDI specifications in `folders`: names of NVIDIA GPUs, and mounted files that do not exist."""
    folders = tuple(folders)
    devices: list[str] = []
    missing: list[str] = []
    broken: list[str] = []
    for path in _spec_files(folders):
        try:
            spec = yaml.load(path.read_text("utf-8"), _LOADER)  # JSON is a subset of YAML
            if spec["kind"] != CDI_KIND:
                continue
            edits = [spec.get("containerEdits") or {}]
            for device in spec["devices"]:
                devices.append(str(device["name"]))
                edits.append(device.get("containerEdits") or {})
            mounts = [str(mount["hostPath"]) for edit in edits for mount in edit.get("mounts") or []]
            missing += [mount for mount in mounts if not os.path.lexists(mount)]
        except (
            OSError,
            UnicodeDecodeError,
            yaml.YAMLError,
            KeyError,
            TypeError,
            AttributeError,
            RecursionError,
        ) as error:
            why = error.strerror if isinstance(error, OSError) else "not a CDI specification"
            broken.append(f"{path}: {why}")
    return CdiSpecs(
        folders=folders,
        devices=tuple(dict.fromkeys(devices)),
        missing_files=tuple(dict.fromkeys(missing)),
        broken=tuple(broken),
    )


def _spec_files(folders: Iterable[str]) -> list[Path]:
    found: list[Path] = []
    for folder in folders:
        try:
            names = sorted(Path(folder).iterdir())
        except OSError:  # no folder, so no specifications
            continue
        found += [path for path in names if path.suffix in (".json", ".yaml", ".yml")]
    return found


def _own_names(identities: Iterable[str]) -> tuple[str, ...]:
    prefix = f"{CDI_KIND}="
    return tuple(name.removeprefix(prefix) for name in identities if name.startswith(prefix))


def _elsewhere(endpoint: str, info: dict[str, Any]) -> str:
    """Return where the engine runs if not on this machine's kernel: a socket may belong to a virtual machine."""
    where = urlsplit(endpoint)
    if where.scheme in ("tcp", "http", "https", "ssh") and where.hostname not in ("localhost", "127.0.0.1", "::1"):
        return f"on {where.hostname}"
    kernel = str(info.get("KernelVersion", ""))
    if kernel and kernel != platform.release():
        return f"in a virtual machine or on another host ({info.get('OperatingSystem', 'unknown')}, kernel {kernel})"
    return ""


def _name(component: str, version: dict[str, Any]) -> str:
    if "podman" in component.lower():
        return "Podman"
    platform_name = str((version.get("Platform") or {}).get("Name", ""))
    return "Docker Desktop" if "Docker Desktop" in platform_name else "Docker Engine"


def _architecture(name: str) -> str:
    return {"amd64": "x86_64", "arm64": "aarch64"}.get(name, name)


def _find(program: str) -> bool:
    path = os.pathsep.join([os.environ.get("PATH", ""), *_SERVICE_PATH])
    return shutil.which(program, path=path) is not None
