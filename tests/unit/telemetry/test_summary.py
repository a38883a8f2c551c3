"""What a job's samples say together, and what is pointed out about them."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from faceorch.record.run import ForeignProcess, Gpu, GpuUse, Measured
from faceorch.telemetry.samples import GpuSample, Watched
from faceorch.telemetry.summary import Figures, attributions, gpu_remarks, summarise, throttled
from tests.fake_nvml import MIB
from tests.unit.telemetry.conftest import TARGET, THEIRS, process, sample


class TestOneContainerOnTwoGpus:
    GPUS = tuple(
        Gpu(index=i, uuid=f"GPU-{i}", name="Test", memory_bytes=8192 * MIB, compute_capability="8.6") for i in (0, 1)
    )

    def seen(self, *, shared: bool = False) -> Watched:
        stranger = (process(9, 100, THEIRS),) if shared else ()
        return Watched(
            target=TARGET,
            begun_s=0.0,
            ended_s=3600.0,
            before=[sample(0, gpu="GPU-0"), sample(0, gpu="GPU-1")],
            gpus=[
                sample(1, process(7, 900), gpu="GPU-0"),
                sample(1, gpu="GPU-1"),
                sample(2, process(7, 500), gpu="GPU-0"),
                sample(2, process(7, 600), *stranger, gpu="GPU-1"),
            ],
        )

    def figures(self, seen: Watched, **metrics: Measured) -> Figures:
        return summarise(seen, attributions(seen), self.GPUS, reported=metrics, video_s=None)

    def test_the_peak_is_of_one_moment_and_each_gpu_has_its_own(self) -> None:
        found = self.figures(self.seen())
        assert [gpu.vram_peak_bytes.value for gpu in found.gpus] == [900 * MIB, 600 * MIB]
        peak = found.metrics["vram_peak_bytes"]
        assert (peak.value, peak.method) == (1100 * MIB, "per_process")

    def test_energy_is_of_both(self) -> None:
        found = self.figures(self.seen())
        used = found.metrics["energy_wh"]
        assert used.value == pytest.approx(2 * 200 / 3600)
        assert used.method == "energy_counter"

    def test_one_shared_gpu_ends_the_energy_of_both(self) -> None:
        found = self.figures(self.seen(shared=True))
        for name in ("energy_wh", "energy_wh_per_video_s"):
            metric = found.metrics[name]
            assert (metric.value, metric.note) == (None, "the GPU was shared: process 9 used it while it ran")
        assert [gpu.exclusive for gpu in found.gpus] == [True, False]
        assert found.gpus[0].energy_wh.value is not None

    def test_what_the_driver_does_not_tell_is_taken_from_torch_and_said(self) -> None:
        seen = self.seen()
        seen.gpus = [replace(s, processes=None) for s in seen.gpus if s.gpu == "GPU-0"]
        torch = Measured(value=700 * MIB, unit="bytes", method="allocator")
        peak = self.figures(seen, torch_peak_reserved_bytes=torch).metrics["vram_peak_bytes"]
        assert (peak.value, peak.method) == (700 * MIB, "allocator")
        assert peak.note == "torch's reserved memory, without CUDA's own: the driver lists no processes"


class TestRemarks:
    def gpu(self, **changes: Any) -> GpuUse:
        nothing = Measured(value=None, unit="bytes", method="unavailable")
        return GpuUse(
            uuid="GPU-0", index=0, name="T", exclusive=False, vram_peak_bytes=nothing, energy_wh=nothing, **changes
        )

    def test_a_foreign_process_is_pointed_out_with_what_to_do(self) -> None:
        use = self.gpu(foreign=[ForeignProcess(pid=12, memory_bytes=None, before=True)])
        assert gpu_remarks([use]) == [
            "GPU 0 was shared with process 12: times are not this network's alone; "
            "end other programs on it, or choose another with --gpus, and run it again"
        ]

    def test_heat_is_pointed_out_with_what_to_do(self) -> None:
        samples = [GpuSample(t_s=t, gpu="GPU-0", throttle=bits) for t, bits in enumerate([0x20, 0x40, 0x1, 0x4])]
        use = self.gpu(throttled=throttled(samples, None))
        assert use.throttled == {"thermal": 0.5, "power": 0.25}
        assert gpu_remarks([use]) == [
            "GPU 0 slowed down because of heat in 50 % of the samples: times are longer than it can do; "
            "let it cool, improve its cooling, and run it again"
        ]
