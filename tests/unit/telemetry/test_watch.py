"""Looking at a job: at its rate, at its price, and with nothing left open afterwards, whatever happens."""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from faceorch.telemetry import summary
from faceorch.telemetry import watch as watch_module
from faceorch.telemetry.container import CgroupProbe, usage
from faceorch.telemetry.nvml import Nvml, Unavailable
from faceorch.telemetry.processes import EngineLookUp, Facts, LookUp, ProcLookUp, TreeProbe
from faceorch.telemetry.samples import Target, UsageSample
from faceorch.telemetry.watch import GPU_SHARE, USAGE_SHARE, Pace, Probe, Ticker, Watch
from tests.conftest import FOR_EVER_S, LIMIT_S, wait_until
from tests.fake_nvml import MIB, FakeNvml, NVMLError, NVMLError_LibraryNotFound

OURS = "a" * 64


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeNvml]:
    fake = FakeNvml(compute=[(7, 900)]).install(monkeypatch)
    monkeypatch.setattr(watch_module, "_JOIN_S", LIMIT_S)
    yield fake
    assert fake.opened == 0, "NVML was left open"
    left = [thread.name for thread in threading.enumerate() if thread.name.startswith("faceorch")]
    assert left == [], "a thread was left"


class Runner:
    """A runner that is watched: process 7 is its own, and it uses a second of CPU at each look."""

    method = "process_tree"
    target = Target(container=OURS)

    def __init__(self) -> None:
        self.looks = 0
        self.reasons: dict[str, str] = {}

    def wait_for_look(self, number: int = 1) -> None:
        wait_until(lambda: self.looks >= number, f"look {number} at the runner")

    @property
    def probe(self) -> Probe:
        return self

    @property
    def look_up(self) -> LookUp:
        return lambda pid: Facts(1, OURS if pid == 7 else "")

    def read(self) -> UsageSample | None:
        self.looks += 1
        return UsageSample(t_s=time.monotonic(), cpu_s=float(self.looks), memory_bytes=MIB * self.looks)


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
    monkeypatch.setattr(watch_module, "USAGE_HZ", 1 / FOR_EVER_S)  # only the mark brings a second look
    runner = Runner()
    with Watch(("GPU-0",)) as watch, watch.following(runner):
        runner.wait_for_look(1)
        watch.mark("", time.monotonic())
        runner.wait_for_look(2)
    assert runner.looks == 2


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


class TestNvml:
    @staticmethod
    def facts(pid: int) -> Facts | None:
        return Facts(1, OURS)

    def test_a_process_that_computes_and_draws_is_one(self, nvml: FakeNvml) -> None:
        nvml.compute, nvml.graphics = [(7, 900), (8, 10)], [(7, 850), (9, 40)]
        with Nvml(["GPU-0"], self.facts) as door:
            (sample,) = door.read(1.0, whole=True)
        assert sample.processes is not None
        assert [(p.pid, (p.memory_bytes or 0) // MIB) for p in sample.processes] == [(7, 900), (8, 10), (9, 40)]
        assert (sample.utilisation_percent, sample.power_w, sample.sm_clock_mhz, sample.throttle) == (90, 150, 1800, 4)

    def test_what_the_driver_refuses_is_none_and_the_refusal_is_kept(self, nvml: FakeNvml) -> None:
        nvml.refused = {"energy", "throttle", "processes"}
        nvml.compute = [(7, None)]
        with Nvml(["GPU-0"], self.facts) as door:
            (sample,) = door.read(1.0, whole=True)
            assert door.errors["GPU-0"]["energy"] == "Not Supported"
        assert (sample.energy_j, sample.throttle, sample.processes) == (None, None, None)

    def test_what_is_dear_and_needed_rarely_is_asked_less_often(self, nvml: FakeNvml) -> None:
        nvml.graphics = [(9, 40)]
        with Nvml(["GPU-0"], self.facts) as door:
            samples = [door.read(float(t))[0] for t in range(20)]
        names = (
            "used_bytes",
            "utilisation_percent",
            "power_w",
            "processes",
            "sm_clock_mhz",
            "temperature_c",
            "throttle",
        )
        for name in names:
            assert [sample for sample in samples if getattr(sample, name) is None] == [], name
        assert sum(sample.energy_j is not None for sample in samples) == 1
        last = samples[-1].processes
        assert last is not None
        assert [process.pid for process in last] == [7, 9], "who only draws is remembered in between"

    def test_of_a_split_gpu_every_instance_is_asked(self, nvml: FakeNvml) -> None:
        nvml.instances, nvml.compute = [[(7, 300)], [(8, None), (7, 100)]], [(99, 1)]
        with Nvml(["GPU-0"], self.facts) as door:
            (sample,) = door.read(1.0, whole=True)
            assert door.mig == {"GPU-0"}
        assert sample.processes is not None
        assert [(p.pid, p.memory_bytes) for p in sample.processes] == [(7, 400 * MIB), (8, None)]

    def test_a_door_that_does_not_open_says_why(self, nvml: FakeNvml) -> None:
        nvml.refuses_to_start = NVMLError_LibraryNotFound
        with pytest.raises(Unavailable, match="no NVIDIA driver is installed"), Nvml(["GPU-0"], self.facts):
            pass


class TestLookUp:
    def folder(self, root: Path, pid: int, *, session: int, started: int, cgroup: str, name: str = "python3") -> None:
        (root / str(pid)).mkdir(exist_ok=True)
        # state ppid pgrp session, then whatever, then the start time as the 22nd field
        rest = f"S 1 1 {session} " + "0 " * 15 + f"{started} 0"
        (root / str(pid) / "stat").write_text(f"{pid} ({name}) {rest}", "utf-8")
        (root / str(pid) / "cgroup").write_text(cgroup, "utf-8")

    @pytest.mark.parametrize(
        ("cgroup", "container"),
        [
            (f"0::/system.slice/docker-{OURS}.scope\n", OURS),
            (f"9:memory:/docker/{OURS}\n0::/docker/{OURS}\n", OURS),
            (f"0::/docker/{'b' * 64}/docker/{OURS}\n", OURS),
            (f"0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{OURS}.scope/container\n", OURS),
            ("0::/user.slice/session-2.scope\n", ""),
        ],
    )
    def test_a_process_is_known_by_its_control_group(self, tmp_path: Path, cgroup: str, container: str) -> None:
        self.folder(tmp_path, 7, session=70, started=1234, cgroup=cgroup, name="odd ) name (")
        assert ProcLookUp(tmp_path)(7) == Facts(1234, container, 70)

    def test_a_process_id_that_is_used_again_is_looked_up_again(self, tmp_path: Path) -> None:
        look_up = ProcLookUp(tmp_path)
        self.folder(tmp_path, 7, session=70, started=1, cgroup=f"0::/docker/{OURS}\n")
        assert look_up(7) == Facts(1, OURS, 70)
        self.folder(tmp_path, 7, session=80, started=2, cgroup="0::/user.slice\n")
        assert look_up(7) == Facts(2, "", 80)

    def test_a_process_that_is_gone_is_none(self, tmp_path: Path) -> None:
        assert ProcLookUp(tmp_path)(7) is None

    def test_the_engine_is_asked_where_proc_is_another_ones(self) -> None:
        class Api:
            asked = 0

            def top(self, container: str, ps_args: str) -> dict[str, object]:
                self.asked += 1
                return {"Titles": ["PID", "PPID", "COMMAND"], "Processes": [["7", "1", "python3"]]}

        api, now_s = Api(), 100.0
        look_up = EngineLookUp(api, OURS, clock=lambda: now_s)  # type: ignore[arg-type]
        assert look_up(7) == Facts(0, OURS)
        assert look_up(9) == Facts(0), "the engine has just been asked, and does not name it"
        assert look_up(7) == Facts(0, OURS)
        assert api.asked == 1
        now_s += 0.1
        assert look_up(11) is None, "too old an answer for one that may be new, too young to ask again"
        assert api.asked == 1
        now_s += 0.2
        assert look_up(11) == Facts(0)
        assert api.asked == 2
        now_s += 1.0
        assert look_up(7) == Facts(0, OURS)
        assert api.asked == 3


class TestUsage:
    def test_a_tree_of_processes_is_counted_with_its_children(self) -> None:
        code = (
            "import subprocess, sys; c = subprocess.Popen([sys.executable, '-c', "
            "'k = bytearray(40 * 2**20); print(1, flush=True); input()'], stdin=subprocess.PIPE); input()"
        )
        with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            found = TreeProbe(process.pid).read()
            process.communicate(b"\n")
        assert found is not None
        assert found.threads == 2
        assert found.memory_bytes is not None
        assert found.memory_bytes > 45 * MIB
        assert found.cpu_s is not None
        assert found.cpu_s > 0
        assert (found.received_bytes, TreeProbe(1).reasons["received_bytes"]) == (
            None,
            "not counted for processes of this host",
        )

    def test_a_process_that_is_gone_is_none(self) -> None:
        with subprocess.Popen([sys.executable, "-c", ""]) as process:
            process.wait()
        assert TreeProbe(process.pid).read() is None

    def test_a_control_group_of_version_2_is_read(self, tmp_path: Path) -> None:
        proc, folder = tmp_path / "proc" / "7", tmp_path / "cgroup" / "system.slice" / f"docker-{OURS}.scope"
        (proc / "net").mkdir(parents=True)
        folder.mkdir(parents=True)
        (proc / "cgroup").write_text(f"0::/system.slice/docker-{OURS}.scope\n", "ascii")
        (proc / "net" / "dev").write_text(NET, "ascii")
        for name, text in {
            "memory.current": f"{100 * MIB}\n",
            "memory.stat": f"anon 5\nfile 9\ninactive_anon 3\ninactive_file {30 * MIB}\n",
            "memory.peak": f"{120 * MIB}\n",
            "cpu.stat": "usage_usec 2500000\nuser_usec 2000000\n",
            "io.stat": "8:0 rbytes=100 wbytes=200 rios=1 wios=1\n8:16 rbytes=1 wbytes=2 rios=1 wios=1\n",
            "pids.current": "5\n",
        }.items():
            (folder / name).write_text(text, "ascii")
        probe = CgroupProbe(7, proc=tmp_path / "proc", root=tmp_path / "cgroup")
        found = probe.read()
        assert probe.readable
        assert found is not None
        assert (found.memory_bytes, found.high_water_bytes, found.cpu_s) == (70 * MIB, 120 * MIB, 2.5)
        assert (found.read_bytes, found.write_bytes, found.threads) == (101, 202, 5)
        assert (found.received_bytes, found.sent_bytes) == (1000, 2000)
        (folder / "memory.current").unlink()
        assert probe.read() is None, "the container is gone"

    def test_a_control_group_of_version_1_is_read_and_its_blind_spot_said(self, tmp_path: Path) -> None:
        proc = tmp_path / "proc" / "7"
        (proc / "net").mkdir(parents=True)
        (proc / "net" / "dev").write_text(NET, "ascii")
        lines = []
        for number, (controllers, files) in enumerate(V1.items()):
            lines.append(f"{number}:{controllers}:/docker/{OURS}")
            folder = tmp_path / "cgroup" / controllers.partition(",")[0] / "docker" / OURS
            folder.mkdir(parents=True)
            for name, text in files.items():
                (folder / name).write_text(text, "ascii")
        (proc / "cgroup").write_text("\n".join(lines) + "\n", "ascii")
        probe = CgroupProbe(7, proc=tmp_path / "proc", root=tmp_path / "cgroup")
        found = probe.read()
        assert found is not None
        assert (found.memory_bytes, found.high_water_bytes, found.cpu_s) == (70 * MIB, 120 * MIB, 2.5)
        assert (found.read_bytes, found.write_bytes, found.threads) == (300, None, 5)
        assert probe.reasons == {"write_bytes": "control groups of version 1 do not count buffered writes"}

    @pytest.mark.parametrize(
        ("memory", "held", "peak"),
        [
            ({"usage": 100, "stats": {"inactive_file": 30}}, 70, None),
            ({"usage": 100, "max_usage": 120, "stats": {"total_inactive_file": 40, "inactive_file": 30}}, 60, 120),
            ({"usage": 100, "stats": {"inactive_file": 100}}, 100, None),
            ({}, None, None),
        ],
    )
    def test_memory_is_counted_as_docker_stats_does(
        self, memory: dict[str, object], held: int | None, peak: int | None
    ) -> None:
        found = usage({"read": "2026-01-01T00:00:00Z", "memory_stats": memory}, 1.0)
        assert found is not None
        assert (found.memory_bytes, found.high_water_bytes) == (held, peak)

    def test_the_engines_counters_are_read(self) -> None:
        entries = [{"op": "read", "value": 5}, {"op": "write", "value": 7}, {"op": "Read", "value": 1}]
        raw = {
            "read": "2026-01-01T00:00:00Z",
            "cpu_stats": {"cpu_usage": {"total_usage": 1_500_000_000}},
            "memory_stats": {"usage": 10, "stats": {"inactive_file": 0}},
            "blkio_stats": {"io_service_bytes_recursive": entries},
            "networks": {"eth0": {"rx_bytes": 1, "tx_bytes": 2}, "eth1": {"rx_bytes": 10, "tx_bytes": 20}},
            "pids_stats": {"current": 3},
        }
        found = usage(raw, 1.0)
        assert found is not None
        assert (found.cpu_s, found.read_bytes, found.write_bytes, found.threads) == (1.5, 6, 7, 3)
        assert (found.received_bytes, found.sent_bytes) == (11, 22)

    def test_a_container_that_does_not_run_has_none(self) -> None:
        assert usage({"read": "0001-01-01T00:00:00Z", "memory_stats": {}}, 1.0) is None

    def test_what_the_engine_leaves_out_is_unknown_and_not_zero(self) -> None:
        found = usage({"read": "2026-01-01T00:00:00Z", "blkio_stats": {"io_service_bytes_recursive": None}}, 1.0)
        assert found is not None
        assert (found.cpu_s, found.memory_bytes, found.read_bytes, found.write_bytes) == (None,) * 4


NET = """Inter-|   Receive                   |  Transmit
 face |bytes packets errs drop fifo frame compressed multicast|bytes packets errs drop fifo colls carrier compressed
    lo: 5000 1 0 0 0 0 0 0 5000 1 0 0 0 0 0 0
  eth0: 1000 1 0 0 0 0 0 0 2000 1 0 0 0 0 0 0
"""
V1 = {
    "memory": {
        "memory.usage_in_bytes": f"{100 * MIB}\n",
        "memory.stat": f"inactive_file 1\ntotal_inactive_file {30 * MIB}\n",
        "memory.max_usage_in_bytes": f"{120 * MIB}\n",
    },
    "cpuacct": {"cpuacct.usage": "2500000000\n"},
    "blkio": {"blkio.throttle.io_service_bytes": "8:0 Read 300\n8:0 Write 0\n8:0 Total 300\nTotal 300\n"},
    "pids": {"pids.current": "5\n"},
}


def test_a_process_that_nobody_has_waited_for_uses_nothing() -> None:
    """It still has a thread, and no memory: a peak of 0 bytes would be no figure."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    wait_until(lambda: psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE, "it has ended")
    assert TreeProbe(process.pid).read() is None
    process.wait()
