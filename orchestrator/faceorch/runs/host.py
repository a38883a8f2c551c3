"""Facts about this machine for the record."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from pathlib import Path

import psutil

from faceorch.record.run import Host
from faceorch.runtimes import Runtime
from faceorch.runtimes.docker import DockerRuntime
from faceorch.telemetry.nvml import Gpus


def describe(gpus: Gpus, runtimes: Mapping[str, Runtime]) -> Host:
    """Return what the record says about this machine, and about the engine that `runtimes` use."""
    docker = runtimes.get("docker")
    return Host(
        os=_os(),
        kernel=f"{platform.system()} {platform.release()} {platform.machine()}",
        cpu=_cpu(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory_bytes=psutil.virtual_memory().total,
        python=platform.python_version(),
        driver=gpus.driver,
        gpus=list(gpus.gpus),
        engine=docker.facts if isinstance(docker, DockerRuntime) else None,
    )


def _os() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.platform(terse=True)


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.processor() or platform.machine()
