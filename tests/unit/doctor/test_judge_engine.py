"""Every judgement on the engine and its way to GPUs, over made-up probe values."""

from __future__ import annotations

from typing import Any

import pytest

from faceorch.doctor.findings import Severity
from faceorch.doctor.judge_engine import judge_access, judge_cgroup, judge_engine, judge_kind, judge_toolkit
from faceorch.doctor.probes import NoEngine, Toolkit
from faceorch.engine.facts import CdiSpecs, EngineFacts
from faceorch.engine.gpu_access import decide
from faceorch.engine.remedies import GENERATE_CDI, INSTALL_TOOLKIT
from tests.unit.doctor.conftest import machine, said

CDI = CdiSpecs(devices=("0", "all"))


def engine(version: str = "28.2.2", api: str = "1.50", **facts: Any) -> EngineFacts:
    return EngineFacts(
        endpoint="unix:///e.sock", name=facts.pop("name", "Docker Engine"), version=version, api=api, **facts
    )


class TestEngine:
    def test_a_usable_engine(self) -> None:
        assert said(judge_engine(engine())) == (
            "ok",
            "Docker Engine 28.2.2, API 1.50, at unix:///e.sock",
            "API 1.40 or newer",
            "",
        )

    @pytest.mark.parametrize(
        ("reason", "remedy"),
        [
            ("no container engine responds at unix:///e.sock", "install or start Docker"),
            ("this user may not use the container engine at unix:///e.sock", "sudo usermod -aG docker $USER"),
        ],
    )
    def test_no_engine_or_no_permission_is_told_with_its_own_remedy(self, reason: str, remedy: str) -> None:
        finding = judge_engine(NoEngine(reason=reason, remedy=remedy))
        assert said(finding) == ("error", reason, "Docker Engine with API 1.40 or newer, Linux containers", remedy)
        assert finding.running == "only networks that can run without a container will run"

    def test_an_old_engine(self) -> None:
        finding = judge_engine(engine("18.09.1", "1.39"))
        assert said(finding)[0] == "error"
        assert finding.found == "Docker Engine 18.09.1, API 1.39, at unix:///e.sock, linux containers"
        assert finding.remedy == "update Docker to 24 or newer"

    def test_windows_containers(self) -> None:
        finding = judge_engine(engine(os_type="windows"))
        assert (finding.severity, finding.remedy) == (Severity.ERROR, "switch Docker Desktop to Linux containers")

    @pytest.mark.parametrize(
        ("facts", "check", "severity", "running", "measuring"),
        [
            (
                {"elsewhere": "on gpu-server"},
                "remote engine",
                "warning",
                "it must see the run's folder under the same path; GPUs are not passed to containers",
                "NVML sees this machine's GPUs, not the engine's: GPU figures are not available",
            ),
            (
                {"name": "Podman", "version": "5.2.0"},
                "Podman",
                "warning",
                "not tested with faceorch: GPUs go in as CDI devices; limits and attached input may differ",
                "not tested: processes may not be attributed to their container",
            ),
            (
                {"rootless": True},
                "rootless",
                "note",
                "files that a run writes belong to you; "
                "GPUs are passed only with no-cgroups = true in the toolkit's config.toml",
                "memory and CPU limits and counters need cgroup version 2, as here",
            ),
            (
                {"rootless": True, "cdi": CDI, "cgroup_version": "1"},
                "rootless",
                "note",
                "files that a run writes belong to you; GPUs are passed as CDI devices",
                "memory and CPU limits and counters need cgroup version 2; this is version 1",
            ),
            (
                {"remaps_users": True},
                "user namespaces",
                "note",
                "runners opt out of the mapping, because they write the run's folder as you",
                "",
            ),
            (
                {"selinux": True},
                "SELinux",
                "warning",
                "containers may only use files labelled for them: a run may be denied its folder",
                "",
            ),
        ],
    )
    def test_what_kind_it_is_means_something_for_running_and_measuring(
        self, facts: dict[str, Any], check: str, severity: str, running: str, measuring: str
    ) -> None:
        _, finding = judge_kind(engine(**facts), machine())
        assert (finding.check, finding.severity.value, finding.running, finding.measuring) == (
            check,
            severity,
            running,
            measuring,
        )

    def test_a_plain_engine_has_only_its_cgroup_to_tell(self) -> None:
        assert [finding.check for finding in judge_kind(engine(), machine())] == ["cgroup"]

    def test_faceorch_in_a_container_whose_engine_is_outside(self) -> None:
        _, finding = judge_kind(engine(root_here=False), machine(container=True))
        assert (finding.check, finding.severity) == ("inside a container", Severity.WARNING)
        assert finding.remedy == "install faceorch on the host (pip install faceorch)"
        assert len(judge_kind(engine(root_here=True), machine(container=True))) == 1, "the engine is in it too"

    @pytest.mark.parametrize(
        ("facts", "severity", "found", "needed"),
        [
            ({}, "ok", "version 2", ""),
            ({"kernel": "5.15.0-91"}, "note", "version 2, Linux 5.15.0-91", "Linux 5.19 or newer for exact peaks"),
            ({"cgroup_version": "1"}, "note", "version 1", "2 from May 2029 on, when Docker drops version 1"),
            (
                {"memory_limit": False},
                "warning",
                "version 2, and the engine cannot limit memory",
                "memory limits",
            ),
        ],
    )
    def test_cgroups(self, facts: dict[str, Any], severity: str, found: str, needed: str) -> None:
        kernel = facts.pop("kernel", "6.8.0")
        assert said(judge_cgroup(engine(**facts), machine(kernel=kernel)))[:3] == (severity, found, needed)


class TestAccess:
    def test_by_request(self) -> None:
        facts = engine(hook=True, runtimes=("nvidia", "runc"))
        (finding,) = judge_access(facts, decide(facts), gpu=True)
        assert said(finding) == (
            "ok",
            "a --gpus request: the NVIDIA container toolkit's hook is installed "
            "(hook installed; nvidia runtime configured; CDI devices none)",
            "",
            "",
        )

    def test_by_cdi_alone(self) -> None:
        facts = engine("26.1.5", cdi=CDI, cdi_on=True)
        (finding,) = judge_access(facts, decide(facts), gpu=True)
        assert said(finding)[:2] == (
            "ok",
            "CDI devices by name (nvidia.com/gpu=...): CDI devices, and no NVIDIA hook "
            "(hook not found; nvidia runtime not configured; CDI devices 0, all)",
        )

    def test_not_at_all(self) -> None:
        facts = engine()
        (finding,) = judge_access(facts, decide(facts), gpu=True)
        assert said(finding) == (
            "error",
            "the engine cannot reach NVIDIA GPUs: no container toolkit and no CDI specification "
            "(hook not found; nvidia runtime not configured; CDI devices none)",
            "the NVIDIA container toolkit, or CDI devices that the engine reads",
            INSTALL_TOOLKIT,
        )

    def test_without_a_gpu_it_is_only_a_note(self) -> None:
        facts = engine()
        (finding,) = judge_access(facts, decide(facts), gpu=False)
        assert (finding.severity, finding.remedy) == (Severity.NOTE, "")

    def test_specifications_older_than_the_driver(self) -> None:
        specs = CdiSpecs(devices=("0",), missing_files=("/usr/lib/libcuda.so.525", "/x"))
        facts = engine(cdi=specs, cdi_on=True)
        (finding,) = judge_access(facts, decide(facts), gpu=True)
        told = "the CDI specifications mount /usr/lib/libcuda.so.525 (and 1 more), which does not exist"
        assert finding.severity is Severity.ERROR
        assert finding.found.startswith(told)
        assert finding.remedy == GENERATE_CDI
        facts = engine(hook=True, cdi=specs, cdi_on=True)
        by_request, finding = judge_access(facts, decide(facts), gpu=True)
        assert by_request.severity is Severity.OK
        assert said(finding)[:2] == ("warning", told)

    def test_a_broken_specification(self) -> None:
        specs = CdiSpecs(broken=("/etc/cdi/nvidia.yaml: not a CDI specification",))
        facts = engine(hook=True, cdi=specs)
        _, finding = judge_access(facts, decide(facts), gpu=True)
        assert said(finding)[:2] == ("warning", "/etc/cdi/nvidia.yaml: not a CDI specification")

    @pytest.mark.parametrize(
        ("version", "severity", "found"),
        [
            ("1.17.8", "ok", "1.17.8"),
            ("1.18.0", "ok", "1.18.0"),
            ("1.17.4", "warning", "1.17.4 (CVE-2025-23266: an image can run code on the host)"),
            (
                "1.14.3",
                "warning",
                "1.14.3 (CVE-2025-23266: an image can run code on the host; "
                "CVE-2024-0132: an image can reach the host's file system)",
            ),
        ],
    )
    def test_holes_of_the_toolkit(self, version: str, severity: str, found: str) -> None:
        finding = judge_toolkit(Toolkit(version=version, program="nvidia-ctk"), engine(hook=True), gpu=True)
        assert said(finding)[:3] == (severity, found, "1.17.8 or newer")

    @pytest.mark.parametrize(
        ("toolkit", "hook", "found"),
        [
            (
                Toolkit(version=None, program="nvidia-ctk"),
                True,
                "installed, but nvidia-ctk does not report its version",
            ),
            (Toolkit(version=None), True, "installed, but the hook does not report its version"),
        ],
    )
    def test_a_toolkit_of_unknown_version(self, toolkit: Toolkit, hook: bool, found: str) -> None:
        finding = judge_toolkit(toolkit, engine(hook=hook), gpu=True)
        assert said(finding)[:3] == ("warning", found, "1.17.8 or newer")

    @pytest.mark.parametrize(
        ("facts", "has_gpu", "found"),
        [
            (engine(cdi=CDI), True, "not installed, and not needed here"),
            (engine(), False, "not installed, and not needed here"),
            (engine(), True, "not installed"),
        ],
    )
    def test_no_toolkit(self, facts: EngineFacts, has_gpu: bool, found: str) -> None:
        finding = judge_toolkit(Toolkit(version=None), facts, gpu=has_gpu)
        assert (finding.severity, finding.found) == (Severity.NOTE, found)
