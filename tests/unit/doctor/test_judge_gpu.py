"""Every judgement on the driver and the GPUs, over made-up probe values."""

from __future__ import annotations

import pytest

from faceorch.doctor.findings import Severity
from faceorch.doctor.judge_gpu import bases_used, judge_driver, judge_gpu, judge_kernels
from faceorch.doctor.probes import GpuActivity
from faceorch.networks.bases import load_bases
from faceorch.networks.manifest import Needs
from faceorch.record.run import Gpu
from faceorch.telemetry.nvml import Gpus, GpuState, GpuUser
from tests.unit.doctor.conftest import NEEDS, said

BASES = load_bases()
KERNELS_121 = "cu121 (torch 2.3.1: sm_50, sm_60, sm_70, sm_75, sm_80, sm_86, sm_90)"
KERNELS_128 = "cu128 (torch 2.10.0: sm_70, sm_75, sm_80, sm_86, sm_90, sm_100, sm_120)"


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
