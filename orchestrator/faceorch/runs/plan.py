"""What will run, what cannot and why, before anything starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import psutil
from msgspec import Struct
from msgspec.structs import replace

from faceorch import __version__
from faceorch.errors import CannotRun, InputError, ManifestError
from faceorch.files import check_home
from faceorch.needs import driver_problem, kernel_problem, no_gpu_problem, ram_problem, vram_problem
from faceorch.networks.bases import choose_base, load_bases
from faceorch.networks.discover import Network
from faceorch.record.kinds import OutcomeKind
from faceorch.record.reason import Reason
from faceorch.record.request import SettingValue
from faceorch.record.run import Gpu
from faceorch.runtimes import Ready, Runtime
from faceorch.telemetry.nvml import Gpus
from faceorch.weights.check import check_weights
from faceorch.weights.manifest import load_weights
from faceorch.weights.source import NO_WEIGHTS, Source, StandIn
from faceorch.weights.store import Store


class Planned(Struct, frozen=True):
    """A network that will run: where, in what, on which GPUs."""

    network: Network
    runtime: Runtime
    ready: Ready
    gpus: tuple[str, ...] = ()
    weights: Source = NO_WEIGHTS


class Obstacle(Struct, frozen=True):
    """A network that cannot run here, and why."""

    network: Network
    reason: Reason


class Plan(Struct, frozen=True):
    """Every network of a run, as one or the other."""

    planned: tuple[Planned, ...]
    obstacles: tuple[Obstacle, ...]


def make_plan(
    networks: Sequence[Network],
    *,
    runtimes: Mapping[str, Runtime],
    gpus: Gpus,
    selected: Sequence[Gpu],
    base: str | None = None,
    memory_bytes: int | None = None,
    settings: Mapping[str, Mapping[str, SettingValue]] | None = None,
    weights: Store | StandIn | None,
) -> Plan:
    """Decide for each network. `runtimes` are tried in order: the first in which a network is ready is taken.

    `gpus` is what the host has, `selected` what the user allows; `base` overrides the choice of base.
    `memory_bytes` is the host's memory, this machine's when None. `weights` are those of a store, of which `settings`
    (by network) decide which are needed; or stand-ins, or none at all: then a GPU network may run on the CPU.
    """
    if memory_bytes is None:
        memory_bytes = psutil.virtual_memory().total
    planned: list[Planned] = []
    obstacles: list[Obstacle] = []
    for network in networks:
        decided: Planned | Obstacle
        try:
            decided = _decide(network, runtimes, gpus, selected, base, memory_bytes, weights)
            if isinstance(decided, Planned):
                decided = _weigh(decided, network.settings((settings or {}).get(network.name, {})), weights)
        except ManifestError as error:
            decided = Obstacle(network, unusable(error))
        if isinstance(decided, Planned):
            planned.append(decided)
        else:
            obstacles.append(decided)
    # The cheapest first: what is wrong with the portrait shows in seconds, not behind an hour of diffusion.
    planned.sort(key=lambda p: (p.network.manifest.needs.gpu, p.network.name))
    return Plan(tuple(planned), tuple(obstacles))


def unusable(error: ManifestError) -> Reason:
    """Return why a network whose manifest cannot be used cannot run."""
    return Reason(kind=OutcomeKind.NOT_AVAILABLE, found=error.message, remedy=error.remedy or "fix that file")


def _decide(
    network: Network,
    runtimes: Mapping[str, Runtime],
    gpus: Gpus,
    selected: Sequence[Gpu],
    wanted: str | None,
    memory_bytes: int,
    weights: Store | StandIn | None,
) -> Planned | Obstacle:
    needs, real = network.manifest.needs, isinstance(weights, Store)
    if network.missing_files:
        found = f"its image is not part of faceorch {__version__} yet{_unfinished(network)}"
        remedy = "update faceorch when it is released (pip install --upgrade faceorch)"
        return _obstacle(network, OutcomeKind.NOT_AVAILABLE, found, remedy)
    standin = network.stand_in
    if isinstance(weights, StandIn) and load_weights(network) is not None and not standin.is_file():
        found, remedy = f"it has no stand-in weights: {standin} missing", "update faceorch when it is released"
        return _obstacle(network, OutcomeKind.NOT_AVAILABLE, found, remedy)
    without = no_gpu_problem(needs, selected, gpus.reason or "the run was limited to --gpus none")
    if without is not None and real:
        return Obstacle(network, without)
    base = _base(network, selected if needs.gpu else (), wanted)
    if isinstance(base, Obstacle):
        return base
    problem = _host_problem(network, base, gpus, selected, memory_bytes, real=real)
    if problem is not None:
        return Obstacle(network, problem)
    not_ready: list[Reason] = []
    for runtime in runtimes.values():
        ready = runtime.ready(network, base, gpu=needs.gpu and bool(selected))
        if isinstance(ready, Ready):
            return Planned(network, runtime, ready, tuple(gpu.uuid for gpu in selected) if needs.gpu else ())
        not_ready.append(ready)
    # An interpreter that the user has named is what they ask about.
    given = [n for n in not_ready if n.kind is OutcomeKind.NO_PYTHON]
    # When nothing is ready, the preferred runtime of those that the network can use at all says what to do.
    usable = [n for runtime, n in zip(runtimes, not_ready, strict=True) if runtime in needs.runtimes]
    return Obstacle(network, (given or usable or not_ready)[0])


def _weigh(
    planned: Planned, settings: Mapping[str, SettingValue], weights: Store | StandIn | None
) -> Planned | Obstacle:
    """Add where its weights come from, or return what is wrong with them."""
    network = planned.network
    if isinstance(weights, StandIn):
        return replace(planned, weights=weights if network.stand_in.is_file() else NO_WEIGHTS)
    if weights is None:
        return planned
    found = check_weights(network, settings, weights)
    return Obstacle(network, found) if isinstance(found, Reason) else replace(planned, weights=found)


def _base(network: Network, gpus: Sequence[Gpu], wanted: str | None) -> str | Obstacle:
    """Return the base that `network` will run on: the first of its own that covers every GPU, or the `wanted` one."""
    names = network.manifest.needs.bases
    if wanted is not None and wanted not in names:
        reason, remedy = f"it has no locks for the base {wanted}", f"its bases: {', '.join(names)}"
        return _obstacle(network, OutcomeKind.NOT_AVAILABLE, reason, remedy)
    tried = names if wanted is None else [wanted]
    problem = kernel_problem(tried, gpus, forced=wanted is not None)
    if problem is not None:
        return Obstacle(network, problem)
    chosen = choose_base(tried, gpus)
    assert chosen is not None  # or there would be a problem
    return chosen.name


def _host_problem(
    network: Network, base: str, gpus: Gpus, selected: Sequence[Gpu], memory_bytes: int, *, real: bool
) -> Reason | None:
    """Return what of this host keeps `network` from running on `base`."""
    needs = network.manifest.needs
    if not real:  # stand-ins need neither the memory of the true models nor, on the CPU, a driver
        return driver_problem(gpus.driver, load_bases()[base]) if needs.gpu and selected else None
    found: list[Reason | None] = [ram_problem(memory_bytes, needs.ram_gb)]
    if needs.gpu:
        found = [driver_problem(gpus.driver, load_bases()[base]), vram_problem(selected, needs.vram_gb), *found]
    return next((problem for problem in found if problem is not None), None)


def _obstacle(network: Network, kind: OutcomeKind, found: str, remedy: str) -> Obstacle:
    return Obstacle(network, Reason(kind=kind, found=found, remedy=remedy))


def _unfinished(network: Network) -> str:
    """Name what is missing of a network that somebody has begun; say nothing of one that is a manifest alone."""
    begun = any((network.folder / name).is_file() for name in ("code/runner.py", "Dockerfile"))
    return f": {', '.join(network.missing_files)} missing" if begun else ""


def check_places(plan: Plan) -> None:
    """Raise `OutputError` when a network runs on this host and there is no place for its environment and its notes."""
    if any(planned.runtime.name == "venv" for planned in plan.planned):
        check_home()


def demand(plan: Plan, named: Sequence[str]) -> None:
    """Raise `CannotRun` when a named network cannot run, or when nothing can."""
    missing = [o for o in plan.obstacles if o.network.name in named]
    if missing:
        reasons = "; ".join(f"{o.network.name} cannot run here: {o.reason.text}" for o in missing)
        raise CannotRun(reasons, missing[0].reason.remedy)
    if not plan.planned:
        reasons = "; ".join(f"{o.network.name}: {o.reason.text}" for o in plan.obstacles)
        raise CannotRun(
            f"no network can run here: {reasons}", plan.obstacles[0].reason.remedy if plan.obstacles else ""
        )


def without_too_short(plan: Plan, clip_s: float, named: Sequence[str]) -> Plan:
    """Turn networks that need a longer clip into obstacles; refuse when the user named one of them."""
    fitting: list[Planned] = []
    obstacles = list(plan.obstacles)
    for planned in plan.planned:
        needed_s = planned.network.manifest.needs.shortest_clip_s
        if clip_s >= needed_s:
            fitting.append(planned)
            continue
        reason = f"the clip lasts {clip_s:.2f} s, {planned.network.name} needs {needed_s:g} s"
        if planned.network.name in named:
            raise InputError(reason, "use a longer clip")
        why = Reason(kind=OutcomeKind.BAD_INPUT, found=reason, remedy="use a longer clip")
        obstacles.append(Obstacle(planned.network, why))
    return Plan(tuple(fitting), tuple(obstacles))


def select_gpus(wanted: str, gpus: Gpus) -> tuple[Gpu, ...]:
    """Return the GPUs that `--gpus` names: `all`, `none`, indices or UUIDs, separated by commas."""
    if wanted == "all":
        return gpus.gpus
    if wanted == "none":
        return ()
    chosen: dict[str, Gpu] = {}
    for word in (part.strip() for part in wanted.split(",")):
        found = [g for g in gpus.gpus if word == str(g.index) or (word and g.uuid.lower().startswith(word.lower()))]
        if len(found) != 1:
            has = ", ".join(f"{g.index} ({g.name}, {g.uuid})" for g in gpus.gpus) or f"none: {gpus.reason}"
            raise CannotRun(
                f"--gpus names {word!r}; this host has {has}", "--gpus all, --gpus none, or name one of these"
            )
        chosen[found[0].uuid] = found[0]
    return tuple(chosen.values())
