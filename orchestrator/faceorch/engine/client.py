"""The container engine: where it is, and a client of it. One client per process: each costs a round trip."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from faceorch import bugs
from faceorch.errors import EngineError

if TYPE_CHECKING:
    from docker import APIClient

_TIMEOUT_S = 60


def endpoint() -> str:
    """Return the engine's URL: DOCKER_HOST, else that of the CLI's current context, else the default socket."""
    given = os.environ.get("DOCKER_HOST")
    if given:
        return given
    from docker.context import ContextAPI

    try:
        return str(ContextAPI.kwargs_from_context().get("base_url") or "unix:///var/run/docker.sock")
    except Exception as error:  # a damaged config.json makes the SDK stumble in many ways
        file = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker") / "config.json"
        raise EngineError(
            f"{file} cannot be read: {bugs.describe(error)}", "mend that file, or set DOCKER_HOST"
        ) from error


def connect() -> APIClient:
    """Return the client of the engine at `endpoint()`; `EngineError` when none answers there."""
    return _connect(endpoint())


def new_client() -> APIClient:
    """Return another client of the engine, for a thread of its own; the caller closes it (or uses `with`)."""
    return _open(endpoint())


@cache
def _connect(where: str) -> APIClient:
    return _open(where)


def _open(where: str) -> APIClient:
    import docker
    import docker.errors
    import requests

    if where.startswith("unix://"):
        _knock(where)
    if where.startswith("ssh://"):
        remedy = f"run faceorch on {where.removeprefix('ssh://').rpartition('@')[2]} itself, or unset DOCKER_HOST"
        raise EngineError(f"the container engine at {where} is on another machine, which runs cannot use", remedy)
    try:
        return docker.from_env(timeout=_TIMEOUT_S).api
    except (docker.errors.DockerException, requests.RequestException, ValueError) as error:
        text = str(error)
        if "is too old" in text or "client version" in text:
            message = f"the container engine at {where} is too old for this client: {text}"
            raise EngineError(message, "update Docker") from error
        raise _nobody(where) from error


def _knock(where: str) -> None:
    """Open and close the socket: the system's own error says more than the client's, and leaks nothing."""
    with socket.socket(socket.AF_UNIX) as door:
        door.settimeout(_TIMEOUT_S)
        try:
            door.connect(where.removeprefix("unix://"))
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EPERM):
                remedy = "sudo usermod -aG docker $USER, then log in again"
                raise EngineError(f"this user may not use the container engine at {where}", remedy) from error
            raise _nobody(where) from error


def _nobody(where: str) -> EngineError:
    return EngineError(
        f"no container engine answers at {where}",
        "install or start Docker (systemctl start docker), or set DOCKER_HOST",
    )


def remove_container(api: APIClient, name: str) -> None:
    """Remove a container, running or not; one that is gone, or that somebody else is removing, is no error.

    When the engine itself has gone, the container stays: the next start removes what a dead owner left.
    """
    import docker.errors
    import requests

    with contextlib.suppress(docker.errors.NotFound, requests.RequestException):
        try:
            api.remove_container(name, force=True, v=True)
        except docker.errors.APIError as error:
            if error.status_code != 409:  # 409: its removal is already in progress
                raise
