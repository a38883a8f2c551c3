"""How an engine passes GPUs to containers: one pure decision, used by `faceorch run` and reported by `doctor`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum

from msgspec import Struct

from faceorch.engine.facts import CDI_KIND, EngineFacts
from faceorch.engine.remedies import ENABLE_CDI, GENERATE_CDI, INSTALL_TOOLKIT, INSTALL_TOOLKIT_ROOTLESS
from faceorch.engine.versions import version_key
from faceorch.errors import EngineError

_CAPABILITIES = ("gpu", "compute", "utility", "video")
_CDI_SINCE = (25,)  # behind features.cdi
_CDI_DEFAULT_SINCE = (28, 2)  # enabled by default


class Route(str, Enum):
    """A way to pass GPUs to a container."""

    REQUEST = "request"
    CDI = "cdi"


class GpuRequest(Struct, frozen=True, kw_only=True):
    """One device request, in the engine's terms."""

    driver: str
    device_ids: tuple[str, ...]
    capabilities: tuple[str, ...]


class Access(Struct, frozen=True, kw_only=True):
    """The route that is used, and why; without a route, the reason and the remedy.

    `devices` are CDI's names. `together`: GPUs can only be requested all at once.
    """

    route: Route | None
    reason: str
    remedy: str = ""
    devices: tuple[str, ...] = ()
    together: bool = False

    def request(self, uuids: Sequence[str], indices: Mapping[str, int]) -> GpuRequest:
        """Return the request for `uuids`; `indices` has this host's GPUs. Raise `EngineError` if one has no name."""
        match self.route:
            case Route.REQUEST:
                if self.together and set(uuids) != set(indices):
                    raise EngineError("under WSL2 a container gets every GPU or none", "--gpus all")
                names = ("all",) if self.together else tuple(uuids)
                return GpuRequest(driver="", device_ids=names, capabilities=_CAPABILITIES)
            case Route.CDI:
                names = tuple(f"{CDI_KIND}={name}" for name in self._names(uuids, indices))
                return GpuRequest(driver="cdi", device_ids=names, capabilities=())
            case None:
                raise EngineError(self.reason, self.remedy)

    def _names(self, uuids: Sequence[str], indices: Mapping[str, int]) -> list[str]:
        """Return the CDI names of the GPUs: by UUID, by index, or the one for all of them."""
        names = [next((n for n in (uuid, str(indices.get(uuid))) if n in self.devices), None) for uuid in uuids]
        found = [name for name in names if name is not None]
        if len(found) == len(uuids):
            return found
        if "all" in self.devices and set(uuids) == set(indices):
            return ["all"]
        known = ", ".join(self.devices)
        lacking = ", ".join(uuid for uuid, name in zip(uuids, names, strict=True) if name is None)
        raise EngineError(f"the CDI specifications name {known}, but not {lacking}", f"{GENERATE_CDI}, or --gpus all")


def decide(facts: EngineFacts) -> Access:
    """Choose between a `--gpus` request and CDI devices by name, from the facts of the engine and this machine."""
    if facts.elsewhere:
        return Access(
            route=None,
            reason=f"the engine runs {facts.elsewhere}: it does not have this machine's GPUs",
            remedy="run faceorch on the engine's own machine, or point DOCKER_HOST at an engine of this one",
        )
    stale = stale_cdi(facts)
    cdi = facts.cdi.devices if _reads_cdi(facts) and not stale else ()
    # A rootless engine may not change the devices cgroup, as the hook does. Podman does not support the NVIDIA hook.
    if cdi and (facts.rootless or facts.podman):
        kind = "Podman" if facts.podman else "a rootless engine"
        return Access(route=Route.CDI, reason=f"{kind} takes GPUs as CDI devices", devices=cdi)
    if facts.podman and not stale:
        return Access(route=None, reason="Podman takes GPUs only as CDI devices, and has none", remedy=GENERATE_CDI)
    if facts.hook and not facts.podman:
        return Access(
            route=Route.REQUEST, reason="the NVIDIA container toolkit's hook is installed", together=facts.wsl
        )
    if cdi:
        return Access(route=Route.CDI, reason="CDI devices, and no NVIDIA hook", devices=cdi)
    if "nvidia" in facts.runtimes and not facts.podman:
        return Access(route=Route.REQUEST, reason="the engine has the nvidia runtime", together=facts.wsl)
    return _none(facts)


def stale_cdi(facts: EngineFacts) -> str:
    """Return which missing file the CDI specifications mount, as after a driver update; "" if none."""
    missing = facts.cdi.missing_files
    more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
    return f"the CDI specifications mount {missing[0]}{more}, which does not exist" if missing else ""


def _none(facts: EngineFacts) -> Access:
    if stale := stale_cdi(facts):
        return Access(route=None, reason=stale, remedy=GENERATE_CDI)
    if not facts.cdi.devices:
        return Access(
            route=None,
            reason="the engine cannot reach NVIDIA GPUs: no container toolkit and no CDI specification",
            remedy=INSTALL_TOOLKIT_ROOTLESS if facts.rootless else INSTALL_TOOLKIT,
        )
    if version_key(facts.version) < _CDI_SINCE:
        return Access(
            route=None,
            reason=f"there are CDI specifications, but Docker {facts.version} does not read them (25 or newer needed)",
            remedy=f"update Docker, or {INSTALL_TOOLKIT}",
        )
    return Access(
        route=None,
        reason="there are CDI specifications, but the engine does not read them: features.cdi is off",
        remedy=ENABLE_CDI,
    )


def _reads_cdi(facts: EngineFacts) -> bool:
    """Return whether the engine reads CDI specifications; some that do list no folders (NVIDIA/NemoClaw#3675)."""
    return facts.cdi_on or facts.podman or version_key(facts.version) >= _CDI_DEFAULT_SINCE
