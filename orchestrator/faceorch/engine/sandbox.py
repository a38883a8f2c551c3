"""The sandbox that every container of faceorch runs in (docs/guide/images.md lists what it protects from)."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from faceorch.engine.facts import EngineFacts
from faceorch.engine.gpu_access import Access
from faceorch.errors import EngineError
from faceorch.telemetry.nvml import read_gpus

if TYPE_CHECKING:
    from docker import APIClient
    from docker.types import DeviceRequest, Mount

TMP = "rw,exec,nosuid,nodev,size=4g,mode=1777"
SHM_BYTES = 2 * 2**30  # torch's data loaders fail with the engine's default of 64 MiB
# Engine 29 lowered the default to 1024. An engine cannot grant more than its own limit, often 20000.
FILES = 16384
PROCESSES = 4096
ENV_USER = "FACEORCH_CONTAINER_USER"
NOBODY = 65534  # whom the images name
_USER = re.compile(r"(\d{1,9}):(\d{1,9})")


def container_user(facts: EngineFacts) -> tuple[int, int]:
    """Return the user and group id that a container runs as: the caller's, but nobody's where the caller is root.

    `FACEORCH_CONTAINER_USER` overrides it. A rootless engine maps its root to the caller: there root is the caller.
    """
    given = os.environ.get(ENV_USER)
    if given:
        found = _USER.fullmatch(given)
        if found is None:
            raise EngineError(f"{ENV_USER} is {given!r}, UID:GID needed", f"{ENV_USER}=1000:1000, or unset it")
        return int(found[1]), int(found[2])
    if facts.rootless:
        return 0, 0
    return (os.getuid(), os.getgid()) if os.geteuid() else (NOBODY, NOBODY)


def sandbox(
    api: APIClient,
    facts: EngineFacts,
    *,
    mounts: Sequence[Mount],
    memory_bytes: int,
    gpus: Sequence[DeviceRequest],
    log_bytes: int = 0,
) -> dict[str, Any]:
    """Return the sandbox as the engine's host configuration.

    The engine keeps the last `log_bytes` of the output. 0 keeps nothing, for callers that attach to it.
    """
    from docker.types import LogConfig, Ulimit

    return api.create_host_config(
        # Without a limit, a container's output can fill the engine's disk.
        log_config=LogConfig(type="json-file", config={"max-size": str(log_bytes), "max-file": "1"})
        if log_bytes
        else LogConfig(type="none"),
        network_mode="none",
        read_only=True,
        tmpfs={"/tmp": TMP},
        mounts=list(mounts),
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
        pids_limit=PROCESSES,
        mem_limit=memory_bytes,
        memswap_limit=memory_bytes,
        shm_size=SHM_BYTES,
        ulimits=[Ulimit(name="nofile", soft=FILES, hard=FILES), Ulimit(name="core", soft=0, hard=0)],
        init=True,
        device_requests=list(gpus) or None,
        # With userns-remap, the container would run as another user, who may not write to the run's folder.
        userns_mode="host" if facts.remaps_users else None,
    )


def gpu_requests(access: Access, uuids: Sequence[str]) -> list[DeviceRequest]:
    """Return the device requests for the GPUs `uuids`; empty if there are none."""
    from docker.types import DeviceRequest

    if not uuids:
        return []
    wanted = access.request(uuids, {gpu.uuid: gpu.index for gpu in read_gpus().gpus})
    return [
        DeviceRequest(
            driver=wanted.driver,
            device_ids=list(wanted.device_ids),
            capabilities=[list(wanted.capabilities)] if wanted.capabilities else [],
        )
    ]
