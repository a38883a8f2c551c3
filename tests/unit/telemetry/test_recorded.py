"""What a real GPU said, sample by sample: an H100 80GB (driver 580.159.04, Engine 26.1.5, CDI), jobs of known cost.

Recorded by benchmarks/gpu_attribution.py (its samples.json, less what is computed from it), without serial numbers.
"""

from __future__ import annotations

import gzip
import itertools
import json
import statistics
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import Struct
from msgspec.structs import replace

from faceorch.record.run import Gpu
from faceorch.telemetry import summary
from faceorch.telemetry.attribution import Attribution, attribute
from faceorch.telemetry.samples import Watched

MIB = 2**20
FILE = Path(__file__).parents[2] / "data" / "h100.json.gz"
GPU = Gpu(index=0, uuid="GPU-00000000", name="H100", memory_bytes=80 * 2**30, compute_capability="9.0")


class Recorded(Struct, frozen=True):
    seen: Watched
    stages: list[tuple[float, str]]
    said: dict[str, float]

    def share(self) -> Attribution:
        return summary.attributions(self.seen)[GPU.uuid]

    def figures(self) -> summary.Figures:
        return summary.summarise(self.seen, summary.attributions(self.seen), (GPU,), reported={}, video_s=None)

    def between(self, name: str, *, edge_s: float) -> tuple[float, float]:
        index = next(i for i, (_, stage) in enumerate(self.stages) if stage == name)
        return self.stages[index][0] + edge_s, self.stages[index + 1][0] - edge_s


@cache
def recording() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(gzip.decompress(FILE.read_bytes()))
    return found


def recorded(scenario: str, name: str = "one") -> Recorded:
    return msgspec.convert(recording()["scenarios"][scenario]["jobs"][name], Recorded)


# (scenario, job) -> MiB that the job allocated.
ALLOCATED = {
    ("allocation", "one"): 4096,
    ("two_at_once", "small"): 2048,
    ("two_at_once", "large"): 6144,
    ("stranger", "one"): 2048,
    ("on_host", "one"): 2048,
    ("stopped", "one"): 1024,
}


@pytest.mark.parametrize(("place", "mib"), list(ALLOCATED.items()), ids=[f"{s}-{n}" for s, n in ALLOCATED])
def test_a_job_holds_what_it_allocated_and_its_context(place: tuple[str, str], mib: int) -> None:
    # The context (CUDA and the kernels that are loaded) is taken from another job of the same kernels.
    other, other_mib = (("stopped", "one"), 1024) if place[0] != "stopped" else (("allocation", "one"), 4096)
    other_peak = recorded(*other).share().peak_bytes
    assert other_peak is not None
    context = other_peak - other_mib * MIB
    assert 300 * MIB < context < 1200 * MIB
    share = recorded(*place).share()
    assert share.method == "per_process"
    assert share.peak_bytes == pytest.approx(mib * MIB + context, abs=0.05 * mib * MIB)


@pytest.mark.parametrize("place", [p for p in ALLOCATED if p[0] in ("allocation", "on_host", "stopped")])
def test_a_job_that_was_alone_is_known_to_have_been_alone(place: tuple[str, str]) -> None:
    share = recorded(*place).share()
    assert (share.exclusive, share.doubt, share.foreign) == (True, "", ())


def test_two_containers_at_once_are_told_apart() -> None:
    small, large = (recorded("two_at_once", name) for name in ("small", "large"))
    (newcomer,), (early,) = small.share().foreign, large.share().foreign
    assert (newcomer.before, early.before) == (False, True)
    assert newcomer.memory_bytes == large.share().peak_bytes
    assert early.memory_bytes == small.share().peak_bytes
    for one in (small, large):
        energy = one.figures().metrics["energy_wh"]
        assert (energy.value, energy.method) == (None, "unavailable")
        assert energy.note.startswith("the GPU was shared: process ")


def test_a_process_of_the_host_is_somebody_else() -> None:
    (stranger,) = recorded("stranger").share().foreign
    assert stranger.before
    assert 1024 * MIB < (stranger.memory_bytes or 0) < 2048 * MIB


def test_energy_agrees_with_power_over_time() -> None:
    one = recorded("allocation")
    energy = one.figures().metrics["energy_wh"]
    assert energy.method == "energy_counter"
    power = [(s.t_s, s.power_w) for s in one.seen.gpus if s.power_w is not None]
    summed_j = sum((t2 - t1) * (p1 + p2) / 2 for (t1, p1), (t2, p2) in itertools.pairwise(power))
    assert (energy.value or 0) * 3600 == pytest.approx(summed_j, rel=0.05)
    no_counter = [replace(s, energy_j=None) for s in one.seen.gpus]
    fallen_back = replace(one, seen=replace(one.seen, gpus=no_counter)).figures().metrics["energy_wh"]
    assert fallen_back.method == "power_integral"
    assert fallen_back.value == pytest.approx(energy.value, rel=0.05)


def test_utilisation_and_power_follow_a_load_of_known_length() -> None:
    one = recorded("allocation")
    expected = recording()["scenarios"]["allocation"]["expected"]
    begun_s, ended_s = one.between("load", edge_s=0.0)
    assert ended_s - begun_s == pytest.approx(expected["load_s"], abs=0.1)
    means = {}
    for stage in ("idle", "load"):
        first_s, last_s = one.between(stage, edge_s=1.0)
        inside = [s for s in one.seen.gpus if first_s <= s.t_s <= last_s]
        assert len(inside) == pytest.approx((last_s - first_s) * 10, abs=2), "ten looks a second"
        means[stage] = [sum(getattr(s, f) for s in inside) / len(inside) for f in ("utilisation_percent", "power_w")]
    assert means["load"][0] > 90
    assert means["idle"][0] < 5
    assert means["load"][1] > 3 * means["idle"][1]
    busy = [s.t_s for s in one.seen.gpus if (s.utilisation_percent or 0) > 50]
    assert max(busy) - min(busy) == pytest.approx(expected["load_s"], abs=1.0)


def test_a_power_limit_is_told_apart_from_heat() -> None:
    (gpu,) = recorded("allocation").figures().gpus
    assert set(gpu.throttled) == {"power"}


def test_a_container_that_is_stopped_leaves_no_stranger() -> None:
    share = recorded("stopped").share()
    assert share.foreign == ()
    assert share.own_bytes[-1] in (0, None)


def test_the_same_samples_without_memory_per_process_give_nearly_the_same_as_a_delta() -> None:
    seen = recorded("allocation").seen
    silent = [
        replace(s, processes=None if s.processes is None else tuple(replace(p, memory_bytes=None) for p in s.processes))
        for s in seen.gpus
    ]
    delta = attribute(seen.before, silent, seen.target)
    assert delta.method == "device_delta"
    assert delta.peak_bytes == pytest.approx(recorded("allocation").share().peak_bytes, rel=0.02)


def test_looking_cost_the_job_less_than_a_hundredth_of_its_time() -> None:
    rounds_s = recording()["scenarios"]["cost"]["expected"]["rounds_s"]
    without_s, with_s = statistics.median(rounds_s[0::2]), statistics.median(rounds_s[1::2])
    assert with_s / without_s < 1.01


def test_looking_cost_less_than_two_hundredths_of_a_core() -> None:
    for scenario, name in ALLOCATED:
        seen = recorded(scenario, name).seen
        assert seen.cpu_s / (seen.ended_s - seen.begun_s) < 0.02
        assert seen.failures == []
