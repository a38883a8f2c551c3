"""The whole examination: probe the host, check what was found, and report what can run here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from faceorch import __version__
from faceorch.doctor.container import CHECK as IN_CONTAINER
from faceorch.doctor.container import choose_image, judge_container, probe_container
from faceorch.doctor.disks import judge_disks
from faceorch.doctor.findings import Finding, Severity
from faceorch.doctor.judge_engine import judge_access, judge_engine, judge_kind, judge_toolkit
from faceorch.doctor.judge_gpu import bases_used, judge_driver, judge_gpu, judge_kernels
from faceorch.doctor.judge_host import judge_home, judge_memory, judge_system
from faceorch.doctor.probes import HostFacts, probe
from faceorch.engine.client import connect
from faceorch.engine.facts import EngineFacts
from faceorch.engine.gpu_access import Access, decide
from faceorch.errors import UserError
from faceorch.networks.bases import Base, load_bases
from faceorch.networks.discover import Network, find_judge, load_networks
from faceorch.networks.manifest import Needs
from faceorch.record.schemas import published
from faceorch.runs.plan import Planned, make_plan
from faceorch.runtimes.choose import make_runtimes
from faceorch.weights.manifest import load_weights
from faceorch.weights.store import Store


class NetworkState(msgspec.Struct, frozen=True, kw_only=True):
    """How a run that starts now would treat one network."""

    name: str
    ready: bool
    runtime: Annotated[str | None, Meta(description="docker or venv, when ready")] = None
    kind: Annotated[str | None, Meta(description="why it is not ready, as in run.json")] = None
    reason: str = ""
    remedy: str = ""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What `faceorch doctor --json` prints."""

    schema: Literal[1] = 1
    faceorch: Annotated[str, Meta(description="version")]
    errors: int
    warnings: int
    gpu_access: Annotated[str | None, Meta(description="request or cdi: how containers get GPUs; null: they cannot")]
    findings: tuple[Finding, ...]
    networks: tuple[NetworkState, ...]
    judge: Annotated[NetworkState | None, Meta(description="what judges the videos; null: there is none")] = None


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a report."""
    return published(Report, "urn:faceorch:doctor:1")


def examine(on_step: Callable[[str], None] = lambda _: None) -> Report:
    """Examine this host. Takes about a second; longer if a container can be started too."""
    on_step("examining this host")
    bases = load_bases()
    networks, wrong = _networks()
    needs = {network.name: network.manifest.needs for network in networks.values()}
    store = Store()
    facts = probe(store.root)
    access = decide(facts.engine) if isinstance(facts.engine, EngineFacts) else None
    findings = [*judge(facts, access, needs, bases), *wrong, *judge_disks(facts, networks, bases, store)]
    if isinstance(facts.engine, EngineFacts) and access is not None:
        on_step("computing on the GPUs inside a container")
        findings += _in_container(facts, facts.engine, access, needs, bases)
    on_step("planning")
    return Report(
        faceorch=__version__,
        errors=sum(finding.severity is Severity.ERROR for finding in findings),
        warnings=sum(finding.severity is Severity.WARNING for finding in findings),
        gpu_access=access.route.value if access is not None and access.route is not None else None,
        findings=tuple(findings),
        networks=_states(facts, networks.values()),
        judge=_judge(facts),
    )


def judge(
    facts: HostFacts, access: Access | None, needs: Mapping[str, Needs], bases: Mapping[str, Base]
) -> list[Finding]:
    """Check everything that was probed without starting a container."""
    engine, gpus = facts.engine, facts.gpus
    found = engine if isinstance(engine, EngineFacts) else None
    spared = [name for name, need in needs.items() if not need.gpu]
    findings = [
        judge_system(facts.machine, found.architecture if found else None),
        judge_memory(facts.machine, found.memory_bytes if found else 0, needs),
        judge_home(facts.home, facts.home_problem),
        judge_engine(engine),
    ]
    if found is not None:
        findings += judge_kind(found, facts.machine)
    findings.append(judge_driver(gpus, bases_used(needs, gpus, bases), spared))
    for gpu in gpus.gpus:
        findings += judge_gpu(gpu, facts.uses.get(gpu.uuid), needs)
    if gpus.gpus:
        findings += judge_kernels(gpus, needs, bases)
    if found is not None and access is not None:
        findings += judge_access(found, access, gpu=bool(gpus.gpus))
    else:
        findings.append(Finding(check="GPU access", severity=Severity.SKIPPED, found="not checked: there is no engine"))
    findings.append(judge_toolkit(facts.toolkit, engine, gpu=bool(gpus.gpus)))
    return findings


def _networks() -> tuple[dict[str, Network], list[Finding]]:
    """Read the networks' manifests; an invalid one is a finding and does not end the examination."""
    try:
        found = load_networks()
    except UserError as error:
        return {}, [_wrong(error, "no network can run")]
    findings = [_wrong(error, f"{name} cannot run") for name, error in found.broken.items()]
    for name, network in list(found.items()):
        try:
            load_weights(network)
        except UserError as error:
            findings.append(_wrong(error, f"{name} cannot run"))
            del found[name]
    return found, findings


def _judge(facts: HostFacts) -> NetworkState | None:
    """Return whether the videos of a run that starts now would be judged."""
    try:
        found = find_judge()
        return None if found is None else _states(facts, [found])[0]
    except UserError as error:  # a manifest that is wrong is a finding already
        return NetworkState(name="judge", ready=False, reason=error.message, remedy=error.remedy)


def _wrong(error: UserError, running: str) -> Finding:
    return Finding(
        check="networks",
        severity=Severity.ERROR,
        found=error.message,
        needed="valid manifests",
        running=running,
        remedy=error.remedy or "fix that file",
    )


def _in_container(
    facts: HostFacts, engine: EngineFacts, access: Access, needs: Mapping[str, Needs], bases: Mapping[str, Base]
) -> list[Finding]:
    """Compute in a container if there are a GPU, a way to pass it and an image; else return why not."""
    gpus = facts.gpus
    used = bases_used(needs, gpus, bases)
    image = choose_image(facts.images, bases, next((base.name for base in used if base.torch is not None), None))
    skipped = Finding(check=IN_CONTAINER, severity=Severity.SKIPPED, found="not tried: there is no GPU")
    if not gpus.gpus:
        return [skipped]
    if access.route is None:
        return [replace(skipped, found="not tried: the engine cannot pass GPUs to containers")]
    if image is None:
        return [replace(skipped, found="not tried: no image is built", remedy="run faceorch build first")]
    seen = probe_container(connect(), engine, image, access, [gpu.uuid for gpu in gpus.gpus])
    return judge_container(seen, bases.get(seen.base))


def _states(facts: HostFacts, networks: Iterable[Network]) -> tuple[NetworkState, ...]:
    """Return what the plan of a run would do with each network."""
    runtimes = make_runtimes("auto", {}, {})
    plan = make_plan(list(networks), runtimes=runtimes, gpus=facts.gpus, selected=facts.gpus.gpus, weights=Store())
    states = [_ready(planned) for planned in plan.planned]
    states += [
        NetworkState(
            name=o.network.name, ready=False, kind=o.reason.kind.value, reason=o.reason.text, remedy=o.reason.remedy
        )
        for o in plan.obstacles
    ]
    return tuple(sorted(states, key=lambda state: (not state.ready, state.name)))


def _ready(planned: Planned) -> NetworkState:
    note = "" if planned.ready.prepared else "its environment is built at the first run"
    return NetworkState(name=planned.network.name, ready=True, runtime=planned.runtime.name, reason=note)
