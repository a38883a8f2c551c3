"""Looking at a job: at its rate, at its price, and with nothing left open afterwards, whatever happens."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable

import pytest

from faceorch.telemetry import summary
from faceorch.telemetry import watch as watch_module
from faceorch.telemetry.samples import UsageSample
from faceorch.telemetry.watch import GPU_SHARE, USAGE_SHARE, Pace, Ticker, Watch
from tests.conftest import FOR_EVER_S, LIMIT_S, wait_until
from tests.fake_nvml import FakeNvml, NVMLError, NVMLError_LibraryNotFound
from tests.unit.telemetry.conftest import Runner


def test_a_job_is_looked_at_ten_times_a_second_and_its_container_five(
    nvml: FakeNvml, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates: dict[str, tuple[float, float]] = {}

    class Noted(Ticker):
        def __init__(self, name: str, read: Callable[[], bool], hz: float, share: float) -> None:
            rates[name] = (hz, share)
            super().__init__(name, read, hz, share)

    monkeypatch.setattr(watch_module, "Ticker", Noted)
    runner = Runner()
    with Watch(("GPU-0",)) as watch, watch.following(runner):
        wait_until(lambda: len(watch.seen.gpus) >= 3 and len(watch.seen.usage) >= 3, "three looks at everything")
    assert rates == {"faceorch-gpus": (10.0, GPU_SHARE), "faceorch-usage": (5.0, USAGE_SHARE)}
    seen = watch.seen
    assert len(seen.before) == 1
    assert all(a.t_s < b.t_s for a, b in itertools.pairwise(seen.gpus))
    share = summary.attributions(seen)["GPU-0"]
    assert (share.method, share.exclusive) == ("per_process", False), "process 7 was there before the job began"


def test_the_end_of_the_work_is_read_at_once(nvml: FakeNvml, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_module, "USAGE_HZ", 1 / FOR_EVER_S)  # only the mark brings a third look
    runner = Runner()
    with Watch(("GPU-0",)) as watch, watch.following(runner):
        runner.wait_for_look(2)
        watch.mark("", time.monotonic())
        runner.wait_for_look(3)
    assert runner.looks == 3


def test_a_job_is_looked_at_however_short_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ticker, "_loop", lambda self: None)  # as on a host that has no time for another thread
    runner = Runner()
    with Watch(()) as watch, watch.following(runner):
        pass
    assert [sample.cpu_s for sample in watch.seen.usage] == [1.0]


def test_an_engine_that_is_slow_to_answer_does_not_hold_up_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ticker, "_loop", lambda self: None)
    runner = Runner()
    runner.method = "docker_stats"
    with Watch(()) as watch, watch.following(runner):
        pass
    assert runner.looks == 0
    assert watch.seen.no_usage == "it ended before it could be sampled"


def test_nothing_is_left_open_when_the_job_is_interrupted(nvml: FakeNvml) -> None:
    def interrupted() -> None:
        runner = Runner()
        with Watch(("GPU-0",)) as watch, watch.following(runner):
            runner.wait_for_look()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()


def test_nothing_is_left_open_when_the_runner_does_not_start(nvml: FakeNvml) -> None:
    with pytest.raises(RuntimeError), Watch(("GPU-0",)):
        raise RuntimeError


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (NVMLError_LibraryNotFound, "no NVIDIA driver is installed"),
        (NVMLError, "NVML does not start: Driver Not Loaded"),
    ],
)
def test_without_nvml_the_rest_is_measured_and_the_reason_kept(
    nvml: FakeNvml, error: type[NVMLError], reason: str
) -> None:
    nvml.refuses_to_start = error
    runner = Runner()
    with Watch(("GPU-0",)) as watch, watch.following(runner):
        runner.wait_for_look()
    found = summary.summarise(watch.seen, summary.attributions(watch.seen), (), reported={}, video_s=None)
    for name in ("vram_peak_bytes", "energy_wh", "energy_wh_per_video_s"):
        metric = found.metrics[name]
        assert (metric.value, metric.method, metric.note) == (None, "unavailable", reason)
    assert found.metrics["cpu_s"].value is not None


def test_a_gpu_that_is_not_there_is_said(nvml: FakeNvml) -> None:
    nvml.refused.add("handle")
    with Watch(("GPU-9",)) as watch:
        pass
    assert watch.seen.no_gpu == "NVML does not open the GPU: Not Supported"


def test_measuring_that_is_turned_off_touches_nothing(nvml: FakeNvml) -> None:
    runner = Runner()
    with Watch(("GPU-0",), hz=0) as watch, watch.following(runner):
        assert [thread.name for thread in threading.enumerate() if thread.name.startswith("faceorch")] == []
    assert (nvml.reads, runner.looks, watch.seen.no_gpu) == (0, 0, "measuring was turned off")


def test_a_fault_of_the_measuring_is_told_and_costs_no_result(nvml: FakeNvml) -> None:
    class Broken(Runner):
        def read(self) -> UsageSample | None:
            self.looks += 1
            raise KeyError("column")

    runner = Broken()
    with Watch(("GPU-0",)) as watch, watch.following(runner):
        runner.wait_for_look()
    found = summary.summarise(watch.seen, summary.attributions(watch.seen), (), reported={}, video_s=None)
    assert found.notes[0] == "faceorch's own measuring failed: KeyError: 'column'; please report it"
    assert found.metrics["cpu_s"].note == "it ended before it could be sampled"


class Simulated:
    """A thread that looks at `hz`: each look takes what `spend` says of processor time, each rest ends on time."""

    def __init__(self, hz: float, share: float) -> None:
        self.pace = Pace(hz, share, 0.0)
        self.now_s = self.cpu_s = 0.0
        self.looks: list[float] = []

    def run(self, until_s: float, spend: Callable[[int], float], oversleep_s: float = 0.0) -> None:
        while self.now_s <= until_s:
            self.looks.append(self.now_s)
            spent_s = spend(len(self.looks))
            self.now_s += spent_s
            self.cpu_s += spent_s
            self.now_s += self.pace.rest_s(self.now_s, spent_s) + oversleep_s


class TestPace:
    def test_looks_come_at_their_rate_and_do_not_drift(self) -> None:
        gpus, usage = Simulated(10.0, GPU_SHARE), Simulated(5.0, USAGE_SHARE)
        gpus.run(60.0, lambda number: 0.0005)
        usage.run(60.0, lambda number: 0.0005)
        assert gpus.looks == pytest.approx([n / 10 for n in range(len(gpus.looks))])
        assert usage.looks == pytest.approx([n / 5 for n in range(len(usage.looks))])
        assert len(gpus.looks) >= 600
        assert len(usage.looks) >= 300
        assert (gpus.pace.late, usage.pace.late) == (0, 0)

    def test_a_machine_that_wakes_us_late_makes_no_drift_either(self) -> None:
        made = Simulated(10.0, GPU_SHARE)
        made.run(60.0, lambda number: 0.0005, oversleep_s=0.03)
        assert len(made.looks) >= 600
        assert made.looks == pytest.approx([n / 10 for n in range(len(made.looks))], abs=0.04)

    def test_what_was_missed_is_counted_and_not_made_up_for(self) -> None:
        pace = Pace(10.0, GPU_SHARE, 0.0)
        assert pace.rest_s(0.001, 0.001) == pytest.approx(0.099)
        assert pace.rest_s(5.0, 0.001) == 0.0
        assert pace.late == 1
        assert pace.rest_s(5.001, 0.001) == pytest.approx(0.099), "one look, and then at the rate again"

    def test_a_look_that_takes_long_is_followed_by_a_rest(self) -> None:
        made = Simulated(50.0, 0.02)
        made.run(0.5, lambda number: 0.01)
        assert made.pace.late >= 1
        assert made.cpu_s < 0.05, "50 looks a second would have taken a quarter of a second"
        made.run(60.0, lambda number: 0.01)
        assert made.cpu_s / made.now_s == pytest.approx(0.02, rel=0.05)

    def test_one_look_that_takes_very_long_does_not_blind_the_rest(self) -> None:
        made = Simulated(10.0, 0.015)
        made.run(2.0, lambda number: 0.1 if number == 1 else 0.0005)
        assert made.looks[1] - made.looks[0] == pytest.approx(1.1), "at the full price it would be five seconds"
        assert len(made.looks) >= 10


def test_what_looking_costs_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_module, "_JOIN_S", LIMIT_S)
    looks = 0

    def busy() -> bool:
        nonlocal looks
        until_s = time.thread_time() + 0.01
        while time.thread_time() < until_s:
            pass
        looks += 1
        return True

    with Ticker("faceorch-test", busy, 1000.0, 1.0) as ticker:
        wait_until(lambda: looks >= 3, "three looks")
    assert ticker.cpu_s >= 0.03
    assert ticker.failure == ""
