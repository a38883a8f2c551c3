"""What a job cost in money: computed from its record and the prices of the request."""

from __future__ import annotations

import pytest

from faceorch.record.kinds import JobStatus
from faceorch.record.request import Request
from faceorch.record.run import GpuUse, Job, Measured, Times
from faceorch.report.costs import energy_cost, gpu_time_cost

REQUEST = Request(portrait="p", clip="c", price_per_kwh=0.5, price_per_gpu_hour=2.0, currency="EUR")
SHARED = "the GPU was shared: process 9 used it while it ran"


def job(energy: Measured, *, gpus: int = 2, prepare_s: float | None = None) -> Job:
    use = GpuUse(uuid="GPU-0", index=0, name="T", exclusive=True, vram_peak_bytes=energy, energy_wh=energy)
    return Job(
        network="a",
        title="A",
        status=JobStatus.DONE,
        times=Times(total_s=3600.0 + (prepare_s or 0.0), prepare_s=prepare_s),
        metrics={"energy_wh": energy, "vram_peak_bytes": energy},
        gpus=[use] * gpus,
    )


def test_energy_costs_what_a_kilowatt_hour_costs() -> None:
    cost = energy_cost(job(Measured(value=400.0, unit="Wh", method="energy_counter")), REQUEST)
    assert cost is not None
    assert cost.value == pytest.approx(0.2)
    assert (cost.unit, cost.method) == ("EUR", "energy_counter")


def test_energy_that_is_not_known_has_no_price_and_says_why() -> None:
    cost = energy_cost(job(Measured(value=None, unit="Wh", method="unavailable", note=SHARED)), REQUEST)
    assert cost is not None
    assert (cost.value, cost.note) == (None, SHARED)


def test_every_gpu_is_rented_from_start_to_stop_and_not_while_the_environment_is_built() -> None:
    used = Measured(value=1.0, unit="Wh", method="energy_counter")
    for prepare_s in (None, 500.0):
        cost = gpu_time_cost(job(used, prepare_s=prepare_s), REQUEST)
        assert cost is not None
        assert cost.value == pytest.approx(4.0)
        assert (cost.unit, cost.method) == ("EUR", "wall_clock")


def test_without_a_gpu_there_is_nothing_to_rent() -> None:
    cost = gpu_time_cost(
        job(Measured(value=None, unit="", method="unavailable", note="it uses no GPU"), gpus=0), REQUEST
    )
    assert cost is not None
    assert (cost.value, cost.note) == (None, "it uses no GPU")


def test_without_a_price_there_is_no_cost() -> None:
    used = Measured(value=1.0, unit="Wh", method="energy_counter")
    assert energy_cost(job(used), Request(portrait="p", clip="c")) is None
    assert gpu_time_cost(job(used), Request(portrait="p", clip="c")) is None
