"""Every judgement on the machine itself, over made-up probe values."""

from __future__ import annotations

import pytest

from faceorch.doctor.findings import Severity
from faceorch.doctor.judge_host import judge_memory, judge_space, judge_system
from faceorch.doctor.probes import Space
from tests.unit.doctor.conftest import NEEDS, machine, said


class TestHost:
    def test_linux(self) -> None:
        assert said(judge_system(machine(), None)) == ("ok", "Linux 6.8.0, x86_64", "Linux on x86_64", "")

    def test_wsl2(self) -> None:
        finding = judge_system(machine(kernel="5.15.167.4-microsoft-standard-WSL2"), "x86_64")
        assert finding.severity is Severity.WARNING
        assert finding.found == "Linux 5.15.167.4-microsoft-standard-WSL2, x86_64 (WSL2)"
        assert finding.running == "containers get every GPU or none: one of several cannot be chosen"
        assert (
            finding.measuring
            == "Windows does not report the GPU memory of a process: peaks come from torch's allocator"
        )

    @pytest.mark.parametrize(
        ("facts", "engine_architecture", "found"),
        [
            ({"architecture": "aarch64"}, None, "Linux 6.8.0, aarch64"),
            ({}, "aarch64", "Linux 6.8.0, x86_64; the engine's machine is aarch64"),
        ],
    )
    def test_another_processor(self, facts: dict[str, str], engine_architecture: str | None, found: str) -> None:
        assert said(judge_system(machine(**facts), engine_architecture)) == (
            "error",
            found,
            "Linux on x86_64",
            "run it on a host with an x86_64 processor",
        )

    def test_a_mac(self) -> None:
        finding = judge_system(machine(system="Darwin", architecture="x86_64"), "x86_64")
        assert (finding.severity, finding.remedy) == (Severity.WARNING, "run it on Linux, or in WSL2 under Windows")

    @pytest.mark.parametrize(
        ("total", "available", "engine_gb", "severity", "found", "running"),
        [
            (64, 60, 64, "ok", "64.0 GB, 60.0 GB available", ""),
            (
                16.5,
                15.9,
                16.5,
                "warning",
                "16.5 GB, 15.9 GB available",
                "too little is available now for large: the kernel may kill it",
            ),
            (12, 11, 12, "error", "12.0 GB, 11.0 GB available", "large cannot run here"),
            (
                64,
                60,
                7.7,
                "error",
                "7.7 GB for the engine's containers; this machine has 64.0 GB",
                "large, small cannot run here",
            ),
            (64, 60, 0, "ok", "64.0 GB, 60.0 GB available", ""),
        ],
    )
    def test_memory(
        self, total: float, available: float, engine_gb: float, severity: str, found: str, running: str
    ) -> None:
        facts = machine(memory_bytes=int(total * 10**9), available_bytes=int(available * 10**9))
        finding = judge_memory(facts, int(engine_gb * 10**9), NEEDS)
        assert (finding.severity.value, finding.found, finding.needed, finding.running) == (
            severity,
            found,
            "16 GB for large",
            running,
        )

    @pytest.mark.parametrize(
        ("free_gb", "needed_gb", "expected"),
        [
            (50, 9, ("ok", "50.0 GB free at /d", "9.0 GB for images", "")),
            (8, 9, ("error", "8.0 GB free at /d", "9.0 GB for images", "free some")),
            (0, 0, ("ok", "0 B free at /d", "nothing, images", "")),
            (
                None,
                9,
                (
                    "warning",
                    "the free space at /d cannot be read: Permission denied",
                    "9.0 GB for images",
                    "check how much is free there: df -h",
                ),
            ),
        ],
    )
    def test_disks(self, free_gb: float | None, needed_gb: float, expected: tuple[str, str, str, str]) -> None:
        free = None if free_gb is None else int(free_gb * 10**9)
        space = Space(path="/d", free_bytes=free, reason="" if free else "Permission denied")
        assert said(judge_space("disk", space, int(needed_gb * 10**9), "images", "free some")) == expected
