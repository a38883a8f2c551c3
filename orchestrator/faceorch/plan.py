"""What will run, what cannot and why, before anything starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum

import psutil

from faceorch import __version__
from faceorch.bases import choose_base, load_bases, pick_base
from faceorch.doctor.problems import Problem, driver_problem, kernel_problem, ram_problem, vram_problem
from faceorch.errors import CannotRun
from faceorch.networks import Network, SettingValue
from faceorch.record import Gpu, OutcomeKind
from faceorch.runtimes import NotReady, Ready, Runtime
from faceorch.telemetry.nvml import Gpus
from faceorch.weights.check import NO_WEIGHTS, Lacking, Weighed, check_weights
from faceorch.weights.manifest import load_weights
from faceorch.weights.store import Store


class Purpose(Enum):
    """What a plan is for: the others bring no weights, or their own, and need no GPU."""

    RUN = "run"
    SMOKE = "smoke"
    CONVERT = "convert"


@dataclass(frozen=True, slots=True)
class Planned:
    """A network that will run: where, in what, on which GPUs."""

    network: Network
    runtime: Runtime
    ready: Ready
    gpus: tuple[str, ...] = ()
    weights: Weighed = NO_WEIGHTS


@dataclass(frozen=True, slots=True)
class Obstacle:
    """A network that cannot run here: why, and what to do."""

    network: Network
    kind: OutcomeKind
    reason: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Plan:
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
    store: Store | None = None,
    purpose: Purpose = Purpose.RUN,
) -> Plan:
    """Decide for each network. `runtimes` are tried in order: the first in which a network is ready is taken.

    `gpus` is what the host has, `selected` what the user allows; `base` overrides the choice of base.
    `memory_bytes` is the host's memory, this machine's when None. `settings` (by network) decide which weights are
    needed from the `store`. A smoke run makes its own weights, and may run a GPU network on the CPU.
    """
    if memory_bytes is None:
        memory_bytes = psutil.virtual_memory().total
    if base is not None:
        pick_base(load_bases(), base)
    store = store or Store()
    planned: list[Planned] = []
    obstacles: list[Obstacle] = []
    for network in networks:
        decided = _decide(network, runtimes, gpus, selected, base, memory_bytes, purpose)
        if isinstance(decided, Planned) and purpose is Purpose.RUN:
            values = network.settings((settings or {}).get(network.name, {}))
            decided = _weigh(decided, values, store)
        if isinstance(decided, Planned):
            planned.append(decided)
        else:
            obstacles.append(decided)
    # The cheapest first: what is wrong with the portrait shows in seconds, not behind an hour of diffusion.
    planned.sort(key=lambda p: (p.network.manifest.needs.gpu, p.network.name))
    return Plan(tuple(planned), tuple(obstacles))


def _decide(
    network: Network,
    runtimes: Mapping[str, Runtime],
    gpus: Gpus,
    selected: Sequence[Gpu],
    wanted: str | None,
    memory_bytes: int,
    purpose: Purpose,
) -> Planned | Obstacle:
    needs = network.manifest.needs
    if network.missing_files:
        return Obstacle(
            network,
            OutcomeKind.NOT_AVAILABLE,
            f"its image is not part of faceorch {__version__} yet{_unfinished(network)}",
            "update faceorch when it is released (pip install --upgrade faceorch)",
        )
    standin = network.code / "synthetic.py"
    if purpose is Purpose.SMOKE and load_weights(network) is not None and not standin.is_file():
        reason = f"it has no stand-in weights: {standin} missing"
        return Obstacle(network, OutcomeKind.NOT_AVAILABLE, reason, "update faceorch when it is released")
    if needs.gpu and not selected and purpose is Purpose.RUN:
        reason = gpus.reason or "the run was limited to --gpus none"
        return Obstacle(
            network, OutcomeKind.NO_GPU, f"needs an NVIDIA GPU: {reason}", "run it on a host with an NVIDIA GPU"
        )
    base = _base(network, selected if needs.gpu else (), wanted)
    if isinstance(base, Obstacle):
        return base
    problem = _host_problem(network, base, gpus, selected, memory_bytes, purpose)
    if problem is not None:
        return _obstacle(network, problem)
    not_ready: list[NotReady] = []
    for runtime in runtimes.values():
        ready = runtime.ready(network, base, gpu=needs.gpu and bool(selected))
        if isinstance(ready, Ready):
            return Planned(network, runtime, ready, tuple(gpu.uuid for gpu in selected) if needs.gpu else ())
        not_ready.append(ready)
    # When nothing is ready, the preferred runtime of those that the network can use at all says what to do.
    usable = [n for runtime, n in zip(runtimes, not_ready, strict=True) if runtime in needs.runtimes]
    best = (usable or not_ready)[0]
    return Obstacle(network, OutcomeKind(best.kind), best.reason, best.remedy)


def _weigh(planned: Planned, settings: Mapping[str, SettingValue], store: Store) -> Planned | Obstacle:
    """Add the weights, or say which are not there."""
    found = check_weights(planned.network, settings, store)
    if isinstance(found, Lacking):
        return Obstacle(planned.network, OutcomeKind.MISSING_WEIGHT, found.reason, found.remedy)
    return replace(planned, weights=found)


def _base(network: Network, gpus: Sequence[Gpu], wanted: str | None) -> str | Obstacle:
    """Return the base that `network` will run on: the first of its own that covers every GPU, or the `wanted` one."""
    names = network.manifest.needs.bases
    if wanted is not None and wanted not in names:
        reason, remedy = f"it has no locks for the base {wanted}", f"its bases: {', '.join(names)}"
        return Obstacle(network, OutcomeKind.NOT_AVAILABLE, reason, remedy)
    tried = names if wanted is None else [wanted]
    problem = kernel_problem(tried, gpus, forced=wanted is not None)
    if problem is not None:
        return _obstacle(network, problem)
    chosen = choose_base(tried, gpus)
    assert chosen is not None  # or there would be a problem
    return chosen.name


def _host_problem(
    network: Network, base: str, gpus: Gpus, selected: Sequence[Gpu], memory_bytes: int, purpose: Purpose
) -> Problem | None:
    """Return what of this host keeps `network` from running on `base`."""
    needs = network.manifest.needs
    if purpose is not Purpose.RUN:  # stand-ins need neither the memory of the true models nor, on the CPU, a driver
        return driver_problem(gpus.driver, load_bases()[base]) if needs.gpu and selected else None
    found: list[Problem | None] = [ram_problem(memory_bytes, needs.ram_gb)]
    if needs.gpu:
        found = [driver_problem(gpus.driver, load_bases()[base]), vram_problem(selected, needs.vram_gb), *found]
    return next((problem for problem in found if problem is not None), None)


def _obstacle(network: Network, problem: Problem) -> Obstacle:
    return Obstacle(network, problem.kind, problem.reason, problem.remedy)


def _unfinished(network: Network) -> str:
    """Name what is missing of a network that somebody has begun; say nothing of one that is a manifest alone."""
    begun = any((network.folder / name).is_file() for name in ("code/runner.py", "Dockerfile"))
    return f": {', '.join(network.missing_files)} missing" if begun else ""


def demand(plan: Plan, named: Sequence[str]) -> None:
    """Raise `CannotRun` when a named network cannot run, or when nothing can."""
    missing = [o for o in plan.obstacles if o.network.name in named]
    if missing:
        raise CannotRun("; ".join(f"{o.network.name} cannot run here: {o.reason}" for o in missing), missing[0].remedy)
    if not plan.planned:
        reasons = "; ".join(f"{o.network.name}: {o.reason}" for o in plan.obstacles)
        raise CannotRun(f"no network can run here: {reasons}", plan.obstacles[0].remedy if plan.obstacles else "")


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
