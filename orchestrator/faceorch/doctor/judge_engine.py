"""Checks of the engine: is there one, can it pass GPUs, and what does its kind mean for running and measuring."""

from __future__ import annotations

from faceorch.doctor.findings import Finding, Severity
from faceorch.doctor.probes import Machine, NoEngine, Toolkit
from faceorch.engine.facts import CDI_KIND, EngineFacts
from faceorch.engine.gpu_access import Access, Route, stale_cdi
from faceorch.engine.remedies import GENERATE_CDI
from faceorch.engine.versions import version_key
from faceorch.needs import API_MIN, engine_problem

# (fixed in, vulnerability), newest first: NVIDIA's security bulletins of July 2025 and of September 2024
_TOOLKIT_HOLES = (
    ("1.17.8", "CVE-2025-23266: an image can run code on the host"),
    ("1.16.2", "CVE-2024-0132: an image can reach the host's file system"),
)
_PEAK_SINCE = (5, 19)  # the file memory.peak of cgroup version 2
_UPDATE_TOOLKIT = "update nvidia-container-toolkit to {version} or newer, then restart Docker"


def judge_engine(engine: EngineFacts | NoEngine) -> Finding:
    """Check that there is an engine that can run the networks."""
    needed = f"Docker Engine with API {API_MIN} or newer, Linux containers"
    if isinstance(engine, NoEngine):
        return Finding(
            check="engine",
            severity=Severity.ERROR,
            found=engine.reason,
            needed=needed,
            running="only networks that can run without a container will run",
            remedy=engine.remedy,
        )
    found = f"{engine.name} {engine.version}, API {engine.api}, at {engine.endpoint}"
    problem = engine_problem(engine)
    if problem is not None:
        return Finding(
            check="engine",
            severity=Severity.ERROR,
            found=f"{found}, {engine.os_type} containers",
            needed=needed,
            running="no network can run in a container",
            remedy=problem.remedy,
        )
    return Finding(check="engine", severity=Severity.OK, found=found, needed=f"API {API_MIN} or newer")


def judge_access(engine: EngineFacts, access: Access, *, gpu: bool) -> list[Finding]:
    """Check how GPUs will reach containers. `gpu`: this machine has one; if not, the result is only a note."""
    has = [
        f"hook {'installed' if engine.hook else 'not found'}",
        f"nvidia runtime {'configured' if 'nvidia' in engine.runtimes else 'not configured'}",
        f"CDI devices {', '.join(engine.cdi.devices) or 'none'}",
    ]
    findings = []
    if access.route is None and not gpu:
        findings.append(Finding(check="GPU access", severity=Severity.NOTE, found=f"{access.reason}; no GPU to pass"))
    elif access.route is None:
        findings.append(
            Finding(
                check="GPU access",
                severity=Severity.ERROR,
                found=f"{access.reason} ({'; '.join(has)})",
                needed="the NVIDIA container toolkit, or CDI devices that the engine reads",
                running="networks that need a GPU cannot run in containers",
                remedy=access.remedy,
            )
        )
    else:
        way = {Route.REQUEST: "a --gpus request", Route.CDI: f"CDI devices by name ({CDI_KIND}=...)"}[access.route]
        findings.append(
            Finding(
                check="GPU access",
                severity=Severity.OK,
                found=f"{way}: {access.reason} ({'; '.join(has)})",
            )
        )
    return findings + _judge_cdi(engine, access)


def _judge_cdi(engine: EngineFacts, access: Access) -> list[Finding]:
    """Check the CDI specifications themselves."""
    findings = [
        Finding(
            check="CDI",
            severity=Severity.WARNING,
            found=text,
            needed="valid specifications",
            running="the engine ignores that file",
            remedy=GENERATE_CDI,
        )
        for text in engine.cdi.broken
    ]
    stale = stale_cdi(engine)
    if stale and access.route is not None:
        findings.append(
            Finding(
                check="CDI",
                severity=Severity.WARNING,
                found=stale,
                needed="specifications that match the installed driver",
                running="faceorch does not use them here; containers with CDI devices do not start",
                remedy=GENERATE_CDI,
            )
        )
    return findings


def judge_toolkit(toolkit: Toolkit, engine: EngineFacts | NoEngine, *, gpu: bool) -> Finding:
    """Check the toolkit's version for known vulnerabilities: code inside these containers is not trusted."""
    newest = _TOOLKIT_HOLES[0][0]
    needed = f"{newest} or newer"
    if toolkit.version is None:
        hook = isinstance(engine, EngineFacts) and engine.hook
        if toolkit.program is not None or hook:
            who = toolkit.program or "the hook"
            found = f"installed, but {who} does not report its version"
            return Finding(check="NVIDIA toolkit", severity=Severity.WARNING, found=found, needed=needed)
        unused = not gpu or isinstance(engine, NoEngine) or bool(engine.cdi.devices) or bool(engine.elsewhere)
        return Finding(
            check="NVIDIA toolkit",
            severity=Severity.NOTE,
            found="not installed, and not needed here" if unused else "not installed",
            needed="" if unused else needed,
        )
    holes = [hole for fixed, hole in _TOOLKIT_HOLES if version_key(toolkit.version) < version_key(fixed)]
    if holes:
        return Finding(
            check="NVIDIA toolkit",
            severity=Severity.WARNING,
            found=f"{toolkit.version} ({'; '.join(holes)})",
            needed=needed,
            running="a malicious image or checkpoint can escape the container",
            remedy=_UPDATE_TOOLKIT.format(version=newest),
        )
    return Finding(check="NVIDIA toolkit", severity=Severity.OK, found=toolkit.version, needed=needed)


def judge_kind(engine: EngineFacts, machine: Machine) -> list[Finding]:
    """Return what the kind of engine means: where it runs, as which user, and with what confinement."""
    findings = [judge_cgroup(engine, machine)]
    if engine.elsewhere:
        findings.append(
            Finding(
                check="remote engine",
                severity=Severity.WARNING,
                found=f"the engine runs {engine.elsewhere}",
                needed="an engine on this machine",
                running="it must see the run's folder under the same path; GPUs are not passed to containers",
                measuring="NVML sees this machine's GPUs, not the engine's: GPU figures are not available",
                remedy="run faceorch on the engine's own machine (docker context use default, or unset DOCKER_HOST)",
            )
        )
    if engine.podman:
        findings.append(
            Finding(
                check="Podman",
                severity=Severity.WARNING,
                found=f"Podman {engine.version} answers as Docker",
                needed="Docker Engine, which faceorch is tested with",
                running="not tested with faceorch: GPUs go in as CDI devices; limits and attached input may differ",
                measuring="not tested: processes may not be attributed to their container",
                remedy="use Docker Engine for measurements",
            )
        )
    if engine.rootless:
        gpus = "as CDI devices" if engine.cdi.devices else "only with no-cgroups = true in the toolkit's config.toml"
        findings.append(
            Finding(
                check="rootless",
                severity=Severity.NOTE,
                found=f"{engine.name} runs rootless",
                running=f"files that a run writes belong to you; GPUs are passed {gpus}",
                measuring="memory and CPU limits and counters need cgroup version 2"
                + (", as here" if engine.cgroup_version == "2" else f"; this is version {engine.cgroup_version}"),
            )
        )
    if engine.remaps_users:
        findings.append(
            Finding(
                check="user namespaces",
                severity=Severity.NOTE,
                found="the engine remaps users (userns-remap)",
                running="runners opt out of the mapping, because they write the run's folder as you",
            )
        )
    if engine.selinux:
        findings.append(
            Finding(
                check="SELinux",
                severity=Severity.WARNING,
                found="the engine confines containers with SELinux",
                running="containers may only use files labelled for them: a run may be denied its folder",
                remedy="chcon -Rt container_file_t on the --out folder and on faceorch's cache",
            )
        )
    if machine.container and not engine.root_here:  # not where the engine runs in the same container
        findings.append(
            Finding(
                check="inside a container",
                severity=Severity.WARNING,
                found="faceorch itself runs in a container",
                needed="the same paths in this container and on the engine's host",
                running="the engine looks for the run's folder on the host: mount it here under the same path",
                measuring="processes of other containers are not identified",
                remedy="install faceorch on the host (pip install faceorch)",
            )
        )
    return findings


def judge_cgroup(engine: EngineFacts, machine: Machine) -> Finding:
    """Check how containers are limited and accounted."""
    found = f"version {engine.cgroup_version}"
    if not engine.memory_limit:
        return Finding(
            check="cgroup",
            severity=Severity.WARNING,
            found=f"{found}, and the engine cannot limit memory",
            needed="memory limits",
            running="a network that uses up all memory takes this host down",
            measuring="the memory use of containers is not available",
            remedy="rootless: delegate the memory controller to your user; else boot with cgroup_enable=memory",
        )
    if engine.cgroup_version == "1":
        return Finding(
            check="cgroup",
            severity=Severity.NOTE,
            found=found,
            needed="2 from May 2029 on, when Docker drops version 1",
            measuring="everything that faceorch reports about a container is available",
        )
    if version_key(machine.kernel) < _PEAK_SINCE:
        return Finding(
            check="cgroup",
            severity=Severity.NOTE,
            found=f"{found}, Linux {machine.kernel}",
            needed="Linux 5.19 or newer for exact peaks",
            measuring="the kernel does not record a container's peak memory: the highest sample is used",
        )
    return Finding(check="cgroup", severity=Severity.OK, found=found)
