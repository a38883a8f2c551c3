"""What the engine says a container has used."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faceorch.telemetry.samples import UsageSample

if TYPE_CHECKING:
    from docker import APIClient

_ONE_SHOT_API = (1, 41)


class ContainerProbe:
    """Reads a container's usage: one short question to the engine each time, nothing stays open in between."""

    method = "docker_stats"

    def __init__(self, api: APIClient, container: str, *, pid: int = 0) -> None:
        self._api, self._container = api, container
        # Older engines take two seconds for an answer without a stream; the newer ones can be asked for one reading.
        version = tuple(int(part) for part in str(api.api_version).split("."))
        self._one_shot = True if version >= _ONE_SHOT_API else None
        self._peak = _peak_file(pid) if pid else None

    def read(self) -> UsageSample | None:
        """Return the container's usage now; None when it does not run (any more)."""
        import docker.errors
        import requests

        try:
            raw = self._api.stats(self._container, stream=False, one_shot=self._one_shot)
        except (docker.errors.APIError, requests.RequestException):
            return None
        sample = usage(raw, time.monotonic())
        if sample is None or self._peak is None:
            return sample
        return _with_high_water(sample, self._peak)


def usage(raw: Mapping[str, Any], t_s: float) -> UsageSample | None:
    """Return the sample that an engine's answer holds; None for a container that does not run."""
    if str(raw.get("read", "")).startswith("0001-"):
        return None
    memory = raw.get("memory_stats") or {}
    cpu_ns = (raw.get("cpu_stats") or {}).get("cpu_usage", {}).get("total_usage")
    networks = raw.get("networks")
    return UsageSample(
        t_s=t_s,
        cpu_s=None if cpu_ns is None else cpu_ns / 1e9,
        memory_bytes=_memory(memory),
        high_water_bytes=memory.get("max_usage"),
        read_bytes=_io(raw, "read"),
        write_bytes=_io(raw, "write"),
        # Without a network the engine leaves the key out: then nothing can have been sent, and that is known.
        received_bytes=sum(n.get("rx_bytes", 0) for n in networks.values()) if networks else 0,
        sent_bytes=sum(n.get("tx_bytes", 0) for n in networks.values()) if networks else 0,
        processes=(raw.get("pids_stats") or {}).get("current"),
    )


def _memory(stats: Mapping[str, Any]) -> int | None:
    """Return memory as `docker stats` counts it: what is used less the page cache that can go at once."""
    used = stats.get("usage")
    if used is None:
        return None
    details = stats.get("stats") or {}
    # cgroup v1 has both names, of which only the total counts children; v2 has the second alone.
    inactive = details.get("total_inactive_file", details.get("inactive_file", 0))
    return int(used - inactive) if inactive < used else int(used)


def _io(raw: Mapping[str, Any], direction: str) -> int | None:
    entries = (raw.get("blkio_stats") or {}).get("io_service_bytes_recursive")
    if entries is None:
        return None
    return sum(int(entry["value"]) for entry in entries if str(entry.get("op", "")).lower() == direction)


def _peak_file(pid: int) -> Path | None:
    """Return the file with a container's memory peak on cgroup v2, where the engine does not pass it on."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/cgroup").read_text("utf-8").splitlines():
            if line.startswith("0::/"):
                path = Path("/sys/fs/cgroup", line[4:], "memory.peak")
                return path if path.is_file() else None
    return None


def _with_high_water(sample: UsageSample, file: Path) -> UsageSample:
    import dataclasses

    try:
        return dataclasses.replace(sample, high_water_bytes=int(file.read_text("ascii")))
    except (OSError, ValueError):
        return sample  # the container has just ended
