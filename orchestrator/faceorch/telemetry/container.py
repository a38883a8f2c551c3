"""Resource usage of a container: from its control group if that can be read, else from the engine."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faceorch.telemetry.samples import UsageSample

if TYPE_CHECKING:
    from docker import APIClient

_ONE_SHOT_API = (1, 41)
# cgroup v1 attributes writeback to no group (kernel: Documentation/admin-guide/cgroup-v1/blkio-controller.rst).
_V1_WRITES = "control groups of version 1 do not count buffered writes"


class CgroupProbe:
    """Reads the control group of a container of this host: the numbers that `docker stats` shows, without the engine.

    `pid` is any process in it. `reasons` has, for each field that stays unknown, the reason.
    """

    method = "cgroup"

    def __init__(self, pid: int, *, proc: Path = Path("/proc"), root: Path = Path("/sys/fs/cgroup")) -> None:
        self._net = proc / str(pid) / "net" / "dev"
        self._folders = _folders(proc / str(pid) / "cgroup", root)
        self._v2 = "" in self._folders and (self._folders[""] / "memory.current").is_file()
        self.reasons: Mapping[str, str] = {} if self._v2 else {"write_bytes": _V1_WRITES}

    @property
    def readable(self) -> bool:
        """Whether there is a memory control group to read."""
        return self._v2 or "memory" in self._folders

    def read(self) -> UsageSample | None:
        """Return the container's current usage; None if it has ended."""
        try:
            return self._read_v2() if self._v2 else self._read_v1()
        except (OSError, ValueError):
            return None

    def _read_v2(self) -> UsageSample:
        folder = self._folders[""]
        used = int(_text(folder / "memory.current"))
        io = _optional(folder / "io.stat")
        received, sent = self._network()
        return UsageSample(
            t_s=time.monotonic(),
            cpu_s=_value(_text(folder / "cpu.stat"), "usage_usec") / 1e6,
            memory_bytes=_without(used, _value(_text(folder / "memory.stat"), "inactive_file")),
            high_water_bytes=_number(_optional(folder / "memory.peak")),
            read_bytes=None if io is None else sum(map(int, re.findall(r"\brbytes=(\d+)", io))),
            write_bytes=None if io is None else sum(map(int, re.findall(r"\bwbytes=(\d+)", io))),
            received_bytes=received,
            sent_bytes=sent,
            threads=_number(_optional(folder / "pids.current")),
        )

    def _read_v1(self) -> UsageSample:
        memory = self._folders["memory"]
        used = int(_text(memory / "memory.usage_in_bytes"))
        cpu = self._optional_v1("cpuacct", "cpuacct.usage")
        io = self._optional_v1("blkio", "blkio.throttle.io_service_bytes")
        received, sent = self._network()
        return UsageSample(
            t_s=time.monotonic(),
            cpu_s=None if cpu is None else int(cpu) / 1e9,
            memory_bytes=_without(used, _value(_text(memory / "memory.stat"), "total_inactive_file")),
            high_water_bytes=_number(_optional(memory / "memory.max_usage_in_bytes")),
            read_bytes=None if io is None else sum(map(int, re.findall(r"Read (\d+)", io))),
            received_bytes=received,
            sent_bytes=sent,
            threads=_number(self._optional_v1("pids", "pids.current")),
        )

    def _optional_v1(self, controller: str, name: str) -> str | None:
        folder = self._folders.get(controller)
        return None if folder is None else _optional(folder / name)

    def _network(self) -> tuple[int, int]:
        """Return the bytes received and sent over all interfaces except the loopback."""
        lines = [line.partition(":") for line in _text(self._net).splitlines()[2:]]
        counts = [rest.split() for name, _, rest in lines if name.strip() != "lo"]
        return sum(int(c[0]) for c in counts), sum(int(c[8]) for c in counts)


class ContainerProbe:
    """Asks the engine for a container's usage. Used if the control group cannot be read from here."""

    method = "docker_stats"

    def __init__(self, api: APIClient, container: str) -> None:
        self._api, self._container = api, container
        # Older engines take two seconds for a reading without a stream; newer ones have `one-shot`.
        version = tuple(int(part) for part in str(api.api_version).split("."))
        self._one_shot = True if version >= _ONE_SHOT_API else None
        self.reasons: Mapping[str, str] = {"write_bytes": f"{_V1_WRITES}, or the engine counts none"}

    def read(self) -> UsageSample | None:
        """Return the container's current usage; None if it is not running."""
        try:
            raw = self._api.stats(self._container, stream=False, one_shot=self._one_shot)
            return usage(raw, time.monotonic())
        except Exception:  # an engine that says nothing, or nonsense, gives no sample
            return None


def usage(raw: Mapping[str, Any], t_s: float) -> UsageSample | None:
    """Return the sample in an engine's response; None for a container that is not running."""
    if str(raw.get("read", "")).startswith("0001-"):
        return None
    memory = raw.get("memory_stats") or {}
    details = memory.get("stats") or {}
    v1 = "total_inactive_file" in details
    inactive = details.get("total_inactive_file" if v1 else "inactive_file", 0)
    used = memory.get("usage")
    cpu_ns = (raw.get("cpu_stats") or {}).get("cpu_usage", {}).get("total_usage")
    networks = raw.get("networks") or {}  # absent for a container without a network, which cannot send anything
    return UsageSample(
        t_s=t_s,
        cpu_s=None if cpu_ns is None else cpu_ns / 1e9,
        memory_bytes=None if used is None else _without(int(used), int(inactive)),
        high_water_bytes=memory.get("max_usage"),
        read_bytes=_io(raw, "read"),
        write_bytes=None if v1 else _io(raw, "write"),
        received_bytes=sum(int(n.get("rx_bytes", 0)) for n in networks.values()),
        sent_bytes=sum(int(n.get("tx_bytes", 0)) for n in networks.values()),
        threads=(raw.get("pids_stats") or {}).get("current"),
    )


def _without(used: int, inactive: int) -> int:
    """Return memory as `docker stats` counts it: usage minus inactive page cache."""
    return used - inactive if inactive < used else used


def _io(raw: Mapping[str, Any], direction: str) -> int | None:
    entries: Iterable[Mapping[str, Any]] = (raw.get("blkio_stats") or {}).get("io_service_bytes_recursive") or ()
    found = [int(entry["value"]) for entry in entries if str(entry.get("op", "")).lower() == direction]
    return sum(found) if found else None


def _folders(file: Path, root: Path) -> dict[str, Path]:
    """Return the control group's folder for each controller; version 2 has one, under the empty name."""
    folders: dict[str, Path] = {}
    text = _optional(file) or ""
    for line in text.splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        for controller in controllers.split(","):
            folder = root / controller / path.lstrip("/")
            if folder.is_dir():
                folders[controller] = folder
    return folders


def _value(text: str, name: str) -> int:
    """Return the number after `name` in lines of names and numbers."""
    found = re.search(rf"^{name} (\d+)$", text, re.MULTILINE)
    if found is None:
        raise ValueError(f"no {name}")
    return int(found.group(1))


def _text(path: Path) -> str:
    return path.read_text("ascii")


def _optional(path: Path) -> str | None:
    try:
        return path.read_text("ascii")
    except OSError:
        return None


def _number(text: str | None) -> int | None:
    return None if text is None else int(text)
