"""The container half of the measurements on a real engine, and what is said where there is no GPU."""

from __future__ import annotations

import re
import threading
import time
from dataclasses import dataclass

import pytest

from faceorch.runs.living import Live
from faceorch.runtimes import Process, Running, Stream
from faceorch.runtimes.docker import DockerRuntime
from faceorch.telemetry import summary
from faceorch.telemetry.container import ContainerProbe
from faceorch.telemetry.nvml import read_gpus
from faceorch.telemetry.processes import EngineLookUp, Facts, ProcLookUp
from faceorch.telemetry.samples import Watched
from faceorch.telemetry.summary import Figures
from faceorch.telemetry.watch import Watch
from faceorch_runner import EventKind, EventParser
from tests.conftest import FOR_EVER_S, LIMIT_S, wait_until
from tests.engine.conftest import Probe

MIB = 2**20
USED = re.compile(rb"^used ([0-9.]+)$", re.MULTILINE)
WORK = """
    import os, time
    keep = bytearray(96 * 2**20)
    for i in range(0, len(keep), 4096):
        keep[i] = 1
    with open(facts / "written", "wb") as file:
        file.write(os.urandom(24 * 2**20))
        os.fsync(file.fileno())
    until = time.process_time() + 3.0
    while time.process_time() < until:
        pass
    print(f"used {time.process_time()}", flush=True)
"""
# So that the last look comes after the last work.
UNTIL_SEEN = """
    while not (facts / "seen").exists():
        time.sleep(0.01)
"""
HANG = f"import time; print('ready', flush=True); time.sleep({FOR_EVER_S})"


def at_work(process: Process) -> None:
    """Wait until the runner's job says that it is ready: before, the runner itself starts processes that soon end."""
    while b"ready" not in (process.output.get(timeout=LIMIT_S) or (None, b"ready"))[1]:
        pass


def watched(probe: Probe) -> tuple[Watch, float]:
    """Run the probe's container to its end and look at it meanwhile; return also how much CPU it says it used."""
    parser, log = EventParser(), b""
    with Watch(("GPU-of-nobody",)) as watch:
        with DockerRuntime().start(probe.launch()) as process, watch.following(process):
            process.send(b'{"op":"drain"}\n')
            while (piece := process.output.get(timeout=LIMIT_S)) is not None:
                if piece[0] is Stream.STDERR:
                    log += piece[1]
                    if USED.search(log) and not (probe.out / "seen").exists():
                        wanted = len(watch.seen.usage) + 2  # one look may have begun before
                        wait_until(lambda: len(watch.seen.usage) >= wanted, "a look at the work that is done")  # noqa: B023
                        (probe.out / "seen").touch()
                    continue
                for event in parser.feed(piece[1]):
                    if not isinstance(event, str) and event.kind is EventKind.STAGE:
                        watch.mark(event.data["name"], time.monotonic())
                    elif not isinstance(event, str) and event.kind in (EventKind.DONE, EventKind.ERROR):
                        watch.mark("", time.monotonic())
            process.wait(LIMIT_S)
        used = USED.search(log)
        assert used is not None, log
        return watch, float(used[1])


@dataclass(frozen=True)
class Seen:
    """What was seen of a job that says itself how much CPU it used."""

    found: Figures
    watched: Watched
    used_s: float


@pytest.fixture
def seen(probe: Probe) -> Seen:
    probe.write(WORK + UNTIL_SEEN)
    probe.build()
    watch, used_s = watched(probe)
    found = summary.summarise(watch.seen, summary.attributions(watch.seen), (), reported={}, video_s=None)
    return Seen(found, watch.seen, used_s)


def test_what_a_container_used_is_measured(seen: Seen) -> None:
    figures = seen.found
    found = {name: metric.value for name, metric in figures.metrics.items()}
    methods = {name: metric.method for name, metric in figures.metrics.items()}
    assert 96 * MIB <= (found["memory_peak_bytes"] or 0) <= 160 * MIB
    assert methods["memory_peak_bytes"] == "cgroup"
    # Beside the runner there is docker-init, and how the container came up.
    assert 3.0 <= seen.used_s <= (found["cpu_s"] or 0) <= seen.used_s + 1.0
    assert (found["memory_high_water_bytes"] or 0) >= 96 * MIB
    assert methods["memory_high_water_bytes"] == "cgroup"
    assert found["network_sent_bytes"] == found["network_received_bytes"] == 0
    written = figures.metrics["block_written_bytes"]
    assert written.value is None or written.value >= 20 * MIB, "known and right, or unknown and said so"
    cores = figures.sampled["cpu_cores"]
    assert cores.max is not None
    usage = seen.watched.usage
    first, last = usage[0], usage[-1]
    assert first.cpu_s is not None
    assert last.cpu_s is not None
    assert cores.max >= 0.99 * (last.cpu_s - first.cpu_s) / (last.t_s - first.t_s), "the most is above the average"
    assert figures.sampled["memory_bytes"].samples == len(usage) >= 3
    assert figures.notes == []


def test_where_nvml_is_absent_gpu_figures_are_unavailable_with_the_reason(seen: Seen) -> None:
    gpus = read_gpus()
    if gpus.gpus:
        pytest.skip("this machine has an NVIDIA GPU")
    for name in ("vram_peak_bytes", "energy_wh", "energy_wh_per_video_s"):
        metric = seen.found.metrics[name]
        assert (metric.value, metric.method, metric.note) == (None, "unavailable", gpus.reason)


def test_both_ways_to_look_up_a_process_agree(probe: Probe) -> None:
    probe.write(HANG)
    probe.build()
    runtime = DockerRuntime()
    with runtime.start(probe.launch()) as process:
        at_work(process)
        container = process.target.container
        listed = probe.api.top(container, ps_args="-o pid,ppid,comm")
        pids = [int(row[listed["Titles"].index("PID")]) for row in listed["Processes"]]
        by_proc, by_engine = ProcLookUp(), EngineLookUp(probe.api, container, clock=lambda: 0.0)
        for pid in pids:
            facts = by_proc(pid)
            assert facts is not None
            assert facts.container == container
            assert by_engine(pid) == Facts(0, container)
        assert by_engine(1) == Facts(0)


def test_nothing_is_left_of_an_interrupted_watch(probe: Probe) -> None:
    probe.write(f"import time; time.sleep({FOR_EVER_S})")
    probe.build()

    def interrupted() -> None:
        with (
            Watch(("GPU-of-nobody",)) as watch,
            DockerRuntime().start(probe.launch()) as process,
            watch.following(process),
        ):
            process.output.get(timeout=LIMIT_S)
            wait_until(lambda: bool(watch.seen.usage), "a look at the container")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [t.name for t in threading.enumerate() if t.name.startswith(("faceorch", "docker"))] == []


def test_memory_is_what_docker_stats_counts(probe: Probe) -> None:
    probe.write(WORK.replace("+ 3.0", "+ 0.0") + "\n    print('ready', flush=True)\n    time.sleep(86400)\n")
    probe.build()
    with DockerRuntime().start(probe.launch()) as process:
        at_work(process)
        own = process.probe
        assert own.method == "cgroup"
        engine = ContainerProbe(probe.api, process.target.container)
        here, there = own.read(), engine.read()
    assert here is not None
    assert there is not None
    assert here.memory_bytes == pytest.approx(there.memory_bytes, rel=0.05)
    assert here.cpu_s == pytest.approx(there.cpu_s, abs=0.2)
    assert here.threads == there.threads
    assert (here.received_bytes, here.sent_bytes) == (there.received_bytes, there.sent_bytes) == (0, 0)
    assert own.read() is None, "the container is gone"
    assert engine.read() is None


def test_what_runs_now_is_found_by_its_labels(probe: Probe) -> None:
    probe.write(HANG)
    probe.build()
    runtime = DockerRuntime()

    def mine() -> list[Running]:
        return [running for running in DockerRuntime().running() if running.run == probe.run]

    assert mine() == []
    with runtime.start(probe.launch()) as process:
        at_work(process)
        (found,) = mine()
        assert (found.key, found.network, found.run) == (process.target.container, "probe", probe.run)
        sample = found.probe.read()
        assert sample is not None
        assert (sample.memory_bytes or 0) > MIB
        with Live((runtime,), (), no_gpu="no NVIDIA driver is installed", run=probe.run) as live:
            live.look()
            now = live.look()
    (runner,) = now.runners
    assert (runner.network, runner.vram_bytes, runner.vram_note) == ("probe", None, "no NVIDIA driver is installed")
    assert runner.cpu_cores is not None
    assert runner.threads == 4, "docker-init, the watcher, the runner and its lifeline"
    assert mine() == []
