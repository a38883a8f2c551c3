"""The container engine's address, and a client for it. One client per process, because each costs a round trip."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Callable, Iterable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faceorch import bugs
from faceorch.errors import EngineError, UserError

if TYPE_CHECKING:
    from docker import APIClient

_TIMEOUT_S = 60
_SEE = "see the engine's log (journalctl -u docker), or restart it"


class Missing(EngineError):
    """The engine does not have what it was asked about."""


@contextlib.contextmanager
def asked() -> Iterator[None]:
    """Turn whatever goes wrong while the engine is asked, and while its answer is read, into an `EngineError`.

    Whoever talks to the engine does it in here, and nothing else.
    """
    import http.client

    import docker.errors
    import requests
    import urllib3.exceptions

    from faceorch.engine.messages import explain

    try:
        yield
    except UserError:
        raise
    except docker.errors.NotFound as error:
        told = explain(str(error))
        raise Missing(told.message, told.remedy) from error
    except docker.errors.APIError as error:
        raise explain(str(error)) from error
    except (
        *(requests.RequestException, urllib3.exceptions.HTTPError, http.client.HTTPException),
        *(ConnectionError, TimeoutError),
    ) as error:
        raise EngineError(f"the container engine does not answer ({bugs.describe(error)})", _SEE) from error
    except Exception as error:
        log = bugs.write_log(error)
        message = f"the container engine's answer cannot be used ({bugs.describe(error)})"
        raise EngineError(message, _SEE + (f"; details: {log}" if log else "")) from error


def answers(ask: Callable[[], Iterable[Any]]) -> Iterator[dict[str, Any]]:
    """Yield the objects of an answer that comes piece by piece, such as that of a build; `EngineError` as in `asked`.

    What the caller does between two of them is its own affair.
    """
    with asked():
        pieces = iter(ask())
    while True:
        with asked():
            piece = next(pieces, None)
            if piece is not None and not isinstance(piece, dict):
                raise TypeError(f"an object was expected, not {type(piece).__name__}")
        if piece is None:
            return
        yield piece


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
            f"{file} cannot be read: {bugs.describe(error)}", "fix that file, or set DOCKER_HOST"
        ) from error


def connect() -> APIClient:
    """Return the client of the engine at `endpoint()`; raise `EngineError` if it does not respond."""
    return _connect(endpoint())


def new_client() -> APIClient:
    """Return a new client of the engine, for use in another thread; the caller closes it (or uses `with`)."""
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
        raise EngineError(f"the container engine at {where} is on another machine, which is not supported", remedy)
    with asked():
        try:
            api = docker.from_env(timeout=_TIMEOUT_S).api
        except (docker.errors.DockerException, requests.RequestException, ValueError) as error:
            text = str(error)
            if "is too old" in text or "client version" in text:
                message = f"the container engine at {where} is too old for this client: {text}"
                raise EngineError(message, "update Docker") from error
            raise _nobody(where) from error
    # The SDK attaches without its own limit: an engine that says nothing would hold us for good.
    api.post = partial(api.post, timeout=_TIMEOUT_S)  # type: ignore[method-assign]
    return api


def _knock(where: str) -> None:
    """Open and close the socket. The system's error is more specific than the client's, and no connection leaks."""
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
        f"no container engine responds at {where}",
        "install or start Docker (systemctl start docker), or set DOCKER_HOST",
    )


def remove_container(api: APIClient, name: str) -> None:
    """Remove a container, running or not; it is not an error if it is gone or being removed.

    If the engine itself is gone, the container stays: the next start removes containers of ended owners.
    """
    import docker.errors

    with contextlib.suppress(Missing):
        try:
            with asked():
                api.remove_container(name, force=True, v=True)
        except EngineError as error:
            cause = error.__cause__
            answered = isinstance(cause, docker.errors.APIError)
            # 409: its removal is already in progress. Without an answer, a later start removes it.
            if answered and getattr(cause, "status_code", None) != 409:
                raise
