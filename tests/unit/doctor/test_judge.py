"""Every judgement of `faceorch doctor`, over made-up probe values."""

from __future__ import annotations

from typing import Any

import pytest

from faceorch.doctor.findings import Finding, Severity
from faceorch.doctor.judge_engine import judge_access, judge_cgroup, judge_engine, judge_kind, judge_toolkit
from faceorch.doctor.judge_gpu import bases_used, judge_driver, judge_gpu, judge_kernels
from faceorch.doctor.judge_host import judge_memory, judge_space, judge_system
from faceorch.doctor.probes import GpuActivity, Machine, NoEngine, Space, Toolkit
from faceorch.engine.facts import CdiSpecs, EngineFacts
from faceorch.engine.gpu_access import decide
from faceorch.engine.remedies import GENERATE_CDI, INSTALL_TOOLKIT
from faceorch.networks.bases import load_bases
from faceorch.networks.manifest import Needs
from faceorch.record.run import Gpu
from faceorch.telemetry.nvml import Gpus, GpuState, GpuUser

BASES = load_bases()
NEEDS = {
    "floor": Needs(gpu=False, runtimes=("docker", "venv"), bases=("cpu",), ram_gb=2),
    "large": Needs(gpu=True, runtimes=("docker",), bases=("cu121", "cu128"), ram_gb=16, vram_gb=10),
    "small": Needs(gpu=True, runtimes=("docker",), bases=("cu121", "cu128"), ram_gb=8, vram_gb=6),
}
CDI = CdiSpecs(devices=("0", "all"))
KERNELS_121 = "cu121 (torch 2.3.1: sm_50, sm_60, sm_70, sm_75, sm_80, sm_86, sm_90)"
KERNELS_128 = "cu128 (torch 2.10.0: sm_70, sm_75, sm_80, sm_86, sm_90, sm_100, sm_120)"


def engine(version: str = "28.2.2", api: str = "1.50", **facts: Any) -> EngineFacts:
    return EngineFacts(
        endpoint="unix:///e.sock", name=facts.pop("name", "Docker Engine"), version=version, api=api, **facts
    )


def machine(**facts: Any) -> Machine:
    given: dict[str, Any] = {
        "system": "Linux",
        "kernel": "6.8.0",
        "architecture": "x86_64",
        "container": False,
        "memory_bytes": 64 * 10**9,
        "available_bytes": 60 * 10**9,
    }
    return Machine(**{**given, **facts})


def gpu(index: int = 0, capability: str = "9.0", gb: float = 24, name: str = "H200") -> Gpu:
    return Gpu(index=index, uuid=f"GPU-{index}", name=name, memory_bytes=int(gb * 10**9), compute_capability=capability)


def gpus(*found: Gpu, driver: str | None = "580.95.05", reason: str = "") -> Gpus:
    return Gpus(found, driver, reason)


def use(*users: GpuUser, free_gb: float = 20, mig: tuple[float, ...] | None = None) -> GpuActivity:
    state = GpuState(
        uuid="GPU-0",
        free_bytes=int(free_gb * 10**9),
        mig=mig is not None,
        mig_bytes=tuple(int(gb * 10**9) for gb in mig or ()),
        users=users,
    )
    return GpuActivity(state=state, names={1: "python3", 2: "Xorg"})


def said(finding: Finding) -> tuple[str, str, str, str]:
    """What a person reads first: how bad, found, needed, what to do."""
    return (finding.severity.value, finding.found, finding.needed, finding.remedy)


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


class TestGpu:
    def test_a_driver_that_is_new_enough(self) -> None:
        found = gpus(gpu())
        finding = judge_driver(found, bases_used(NEEDS, found, BASES), ["floor"])
        assert said(finding) == ("ok", "580.95.05", "530.30.02 or newer for cu121", "")

    @pytest.mark.parametrize("driver", ["525.85.12", "530.29", "470.256.02"])
    def test_a_driver_that_is_too_old(self, driver: str) -> None:
        found = gpus(gpu(), driver=driver)
        assert said(judge_driver(found, bases_used(NEEDS, found, BASES), ["floor"])) == (
            "error",
            f"NVIDIA driver {driver}",
            "530.30.02 or newer for CUDA 12.1 (cu121)",
            "update the NVIDIA driver to 530.30.02 or newer, then restart the host",
        )

    @pytest.mark.parametrize(
        ("driver", "reason", "needed", "remedy"),
        [
            (
                None,
                "no NVIDIA driver is installed",
                "an NVIDIA GPU, and its driver 530.30.02 or newer for cu121",
                "if this host has an NVIDIA GPU, install the NVIDIA driver (530.30.02 or newer), then restart the host",
            ),
            (
                None,
                "NVML does not start: Driver/library version mismatch",
                "an NVIDIA GPU, and its driver 530.30.02 or newer for cu121",
                "restart the host: the driver was updated, but the old one is still loaded",
            ),
            (
                None,
                "NVML does not start: Driver Not Loaded",
                "an NVIDIA GPU, and its driver 530.30.02 or newer for cu121",
                "sudo modprobe nvidia; if that fails, install the driver again (Secure Boot must trust it)",
            ),
            (
                "580.95.05",
                "the NVIDIA driver sees no GPU",
                "an NVIDIA GPU",
                "check that lspci lists the GPU and that it is not bound to another driver (vfio-pci, nouveau)",
            ),
        ],
    )
    def test_no_gpu_says_why_and_what_still_runs(
        self, driver: str | None, reason: str, needed: str, remedy: str
    ) -> None:
        found = gpus(driver=driver, reason=reason)
        finding = judge_driver(found, bases_used(NEEDS, found, BASES), ["floor"])
        assert said(finding) == ("error", reason, needed, remedy)
        assert finding.running == "only networks that need no GPU can run here: floor"

    @pytest.mark.parametrize(
        ("found", "severity", "text"),
        [
            ((gpu(),), "ok", f"sm_90; large, small run on {KERNELS_121}"),
            ((gpu(capability="8.9", name="RTX 4090"),), "ok", f"sm_89; large, small run on {KERNELS_121}"),
            (
                (gpu(capability="12.0", name="RTX 5090"),),
                "ok",
                f"sm_120; large, small run on {KERNELS_128}, because {KERNELS_121} has none for GPU 0 (RTX 5090)",
            ),
            (
                (gpu(), gpu(1, "12.0", name="RTX 5090")),
                "ok",
                f"sm_120, sm_90; large, small run on {KERNELS_128}, "
                f"because {KERNELS_121} has none for GPU 1 (RTX 5090)",
            ),
            (
                (gpu(capability="3.5", name="Tesla K40"),),
                "error",
                "no base of it (cu121, cu128) has kernels for GPU 0 (Tesla K40, compute capability 3.5)",
            ),
            (
                (gpu(capability="6.1", name="P40"), gpu(1, "12.0", name="RTX 5090")),
                "error",
                "no base of it (cu121, cu128) has kernels for all of GPU 0 (P40, compute capability 6.1), "
                "1 (RTX 5090, compute capability 12.0)",
            ),
        ],
    )
    def test_the_images_torch_against_the_architecture(self, found: tuple[Gpu, ...], severity: str, text: str) -> None:
        (finding,) = judge_kernels(gpus(*found), NEEDS, BASES)
        assert (finding.severity.value, finding.found) == (severity, text)
        if severity == "error":
            assert finding.needed == f"kernels in {KERNELS_121} or {KERNELS_128}"

    def test_torch_2_3_1_alone_has_nothing_for_blackwell(self) -> None:
        needs = {"old": Needs(gpu=True, runtimes=("docker",), bases=("cu121",), ram_gb=8, vram_gb=6)}
        (finding,) = judge_kernels(gpus(gpu(capability="12.0", name="RTX 5090")), needs, BASES)
        assert said(finding) == (
            "error",
            "no base of it (cu121) has kernels for GPU 0 (RTX 5090, compute capability 12.0)",
            f"kernels in {KERNELS_121}",
            "choose another GPU with --gpus",
        )

    def test_a_free_gpu(self) -> None:
        (finding,) = judge_gpu(gpu(), use(), NEEDS)
        assert said(finding) == (
            "ok",
            "H200, compute capability 9.0, 24.0 GB, 20.0 GB free; not in use",
            "10 GB for large",
            "",
        )

    def test_a_gpu_that_others_compute_on(self) -> None:
        (finding,) = judge_gpu(gpu(), use(GpuUser(1, 17 * 10**9, True), GpuUser(9, None, True), free_gb=7), NEEDS)
        assert said(finding) == (
            "warning",
            "H200, compute capability 9.0, 24.0 GB, 7.0 GB free; in use by python3 (pid 1, 17.0 GB), "
            "unknown (pid 9, memory n/a)",
            "10 GB for large",
            "wait for those processes, or choose another GPU with --gpus",
        )
        assert finding.running == "too little is free now for large"
        assert finding.measuring == "energy and memory of the whole GPU are only reported if no other process uses it"

    def test_a_gpu_that_only_draws_is_no_warning(self) -> None:
        (finding,) = judge_gpu(gpu(), use(GpuUser(2, 300 * 10**6, False)), NEEDS)
        assert finding.severity is Severity.NOTE
        assert finding.found.endswith("in use by Xorg (pid 2, 300.0 MB)")

    def test_a_gpu_whose_users_are_unknown_is_not_called_free(self) -> None:
        (finding,) = judge_gpu(gpu(), None, NEEDS)
        assert finding.found == "H200, compute capability 9.0, 24.0 GB; the driver does not report who uses it"

    @pytest.mark.parametrize(
        ("gb", "running", "remedy"),
        [
            (8.6, "large cannot run on it", "use a GPU with 10 GB or more, or leave this one out with --gpus"),
            (4.1, "large, small cannot run on it", "use a GPU with 6 GB or more, or leave this one out with --gpus"),
        ],
    )
    def test_a_gpu_with_too_little_memory(self, gb: float, running: str, remedy: str) -> None:
        (finding,) = judge_gpu(gpu(gb=gb), use(), NEEDS)
        assert (finding.severity, finding.running, finding.remedy) == (Severity.ERROR, running, remedy)

    def test_a_card_sold_with_10_gb_has_10_gb(self) -> None:
        (finding,) = judge_gpu(gpu(gb=10240 * 2**20 / 10**9), use(), NEEDS)
        assert finding.severity is Severity.OK

    @pytest.mark.parametrize(
        ("instances", "found", "running"),
        [
            (
                (20.4, 20.4),
                "instances of 20.4 GB, 20.4 GB",
                "not tested with faceorch; a network sees one instance, not the GPU",
            ),
            (
                (9.8,),
                "instances of 9.8 GB",
                "not tested with faceorch; a network sees one instance, not the GPU; too small for large",
            ),
            (
                (),
                "it has no instances",
                "not tested with faceorch; a network sees one instance, not the GPU; too small for large, small",
            ),
        ],
    )
    def test_a_divided_gpu(self, instances: tuple[float, ...], found: str, running: str) -> None:
        _, finding = judge_gpu(gpu(), use(mig=instances), NEEDS)
        assert (finding.check, finding.severity.value, finding.found, finding.running) == (
            "GPU 0 MIG",
            "warning",
            f"the GPU is partitioned (MIG): {found}",
            running,
        )
        assert (
            finding.measuring
            == "NVML does not report utilisation of a partitioned GPU; power and energy are the whole GPU's"
        )


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
