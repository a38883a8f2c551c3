"""Jobs of known cost on a real GPU, measured by faceorch's own code and compared with what they are known to cost.

Needs an NVIDIA GPU, an engine that gives it to containers, and a local image whose Python has torch. The network is
made up here: its runner allocates, waits, computes and waits again, all for as long as it is told.
"""

from __future__ import annotations

import io
import itertools
import json
import statistics
import subprocess
import tarfile
import tempfile
import textwrap
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

import faceorch_runner
from faceorch.engine import connect
from faceorch.networks import Network, read_manifest
from faceorch.owner import Owner
from faceorch.record import Gpu, GpuUse, Job, JobStatus, Measured
from faceorch.runtimes import Exit, Launch, Process, Ready, Runtime, Stream
from faceorch.runtimes.docker import DockerRuntime
from faceorch.runtimes.venv import VenvRuntime
from faceorch.telemetry import summary
from faceorch.telemetry.nvml import read_gpus
from faceorch.telemetry.samples import Watched
from faceorch.telemetry.watch import GPU_HZ, Watch
from faceorch_runner import Event, EventKind, EventParser
from tests.conftest import write_code

MIB = 2**20
TOLERANCE = 0.05

RUNNER = """
import time
import torch
from faceorch_runner import Network

class Written:
    frames, blocked_s, first_frame_s = 0, 0.0, None
    def __init__(self, path):
        self.path = path

class Load(Network):
    def animate(self, job, progress):
        wanted = job.settings
        devices = [torch.device("cuda", index) for index in range(torch.cuda.device_count())]
        progress.stage("allocate")
        keep = [torch.ones(wanted["mib"] * 2**20, dtype=torch.uint8, device=device) for device in devices]
        matrices = [torch.randn(4096, 4096, dtype=torch.half, device=device) for device in devices]
        self.multiply(matrices, 3)
        progress.stage("idle")
        time.sleep(wanted["idle_s"])
        progress.stage("load")
        until_s = time.monotonic() + wanted["load_s"]
        while time.monotonic() < until_s:
            self.multiply(matrices, 50)
        for number in range(wanted["rounds"]):
            progress.stage(f"round {number}")
            self.multiply(matrices, wanted["products"])
        progress.stage("rest")
        time.sleep(wanted["rest_s"])
        for device in devices:
            progress.metric(f"allocated_{device.index}", torch.cuda.max_memory_allocated(device), "bytes")
            progress.metric(f"reserved_{device.index}", torch.cuda.max_memory_reserved(device), "bytes")
        path = job.work / "video.mp4"
        path.write_bytes(b"no video: this network only costs something")
        job.writers.append(Written(path))
        return path

    def multiply(self, matrices, count):
        for _ in range(count):
            for matrix in matrices:
                torch.mm(matrix, matrix)
        for matrix in matrices:
            torch.cuda.synchronize(matrix.device)
"""

DOCKERFILE = """
    ARG BASE_IMAGE=none
    FROM ${BASE_IMAGE}
    COPY runner/faceorch_runner /opt/faceorch/runner/faceorch_runner
    COPY load/code /opt/faceorch/network
    ENV PYTHONPATH=/opt/faceorch/runner PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 HOME=/tmp
    USER 65534:65534
    ENTRYPOINT ["%s", "-m", "faceorch_runner"]
"""

MANIFEST: dict[str, Any] = {
    "schema": 1,
    "title": "Load",
    "summary": "Costs what it is told to.",
    "approach": "none",
    "licence": "Apache-2.0",
    "needs": {"gpu": True, "runtimes": ["docker", "venv"], "bases": ["cpu"], "ram_gb": 24, "vram_gb": 1},
    "settings": {},
}


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must hold: what was found, in words."""

    name: str
    holds: bool
    found: str


@dataclass(slots=True)
class Measurement:
    """One job as faceorch saw it, and what its runner said about itself."""

    seen: Watched
    job: Job
    exit: Exit | None
    stages: list[tuple[float, str]]
    clock_s: list[float]
    said: dict[str, float]
    log: str

    @property
    def gpu(self) -> GpuUse:
        return self.job.gpus[0]

    def between(self, name: str, *, edge_s: float = 0.0) -> tuple[float, float]:
        """Return when a stage began and ended, by the host's clock, less its edges."""
        index = next(i for i, (_, stage) in enumerate(self.stages) if stage == name)
        return self.stages[index][0] + edge_s, self.stages[index + 1][0] - edge_s

    def mean(self, field_: str, name: str, *, edge_s: float = 1.0) -> float:
        """Return the mean of a field of the GPU samples within a stage."""
        begun_s, ended_s = self.between(name, edge_s=edge_s)
        values = [getattr(s, field_) for s in self.seen.gpus if begun_s <= s.t_s <= ended_s]
        known = [value for value in values if value is not None]
        return sum(known) / len(known) if known else float("nan")

    def hz(self, field_: str) -> float:
        """Return how often a field was read, over the whole job."""
        times = [s.t_s for s in self.seen.gpus if getattr(s, field_) is not None]
        return (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 else 0.0


@dataclass(slots=True)
class Outcome:
    """One scenario: its measurements by name, what they should be, and whether they are."""

    name: str
    measurements: dict[str, Measurement]
    expected: dict[str, Any]
    checks: list[Check] = field(default_factory=list)

    def check(self, name: str, holds: bool, found: str) -> None:
        self.checks.append(Check(name, bool(holds), found))


OnStage = Callable[[str, Process], None]


class Lab:
    """The image of the load network, and what starts it."""

    def __init__(self, folder: Path, image: str, python: str) -> None:
        self.folder, self.python = folder, python
        self.gpus: tuple[Gpu, ...] = read_gpus().gpus
        network = folder / "load"
        network.mkdir()
        (network / "network.yaml").write_text(yaml.safe_dump(MANIFEST), "utf-8")
        write_code(network / "code", runner=RUNNER)
        (network / "requirements.cpu.lock").write_text("", "utf-8")
        (network / "Dockerfile").write_text(textwrap.dedent(DOCKERFILE % python), "utf-8")
        self.network = Network(network, read_manifest(network / "network.yaml"))
        for name in ("portrait.png", "clip.wav"):
            (folder / name).write_bytes(b"not looked at")
        self._api = connect()
        self.image = self._build(image)
        self.context_bytes = 0  # what a process needs before it has allocated anything; measured first

    def _build(self, base: str) -> str:
        """Build the image with nothing but what is here: no base of faceorch's, no network."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            tar.add(self.network.folder, "load")
            tar.add(self.network.folder / "Dockerfile", "Dockerfile")
            tar.add(Path(faceorch_runner.__file__).parent, "runner/faceorch_runner")
        packed.seek(0)
        lines = list(
            self._api.build(
                fileobj=packed,
                custom_context=True,
                buildargs={"BASE_IMAGE": base},
                tag=f"faceorch-test/load:{uuid.uuid4().hex[:12]}",
                network_mode="none",
                rm=True,
                forcerm=True,
                decode=True,
            )
        )
        (self.folder / "build.log").write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
        ids = [line["aux"]["ID"] for line in lines if "ID" in (line.get("aux") or {})]
        if not ids:
            raise RuntimeError(f"the image was not built: {lines[-1]}")
        return str(ids[-1])

    def close(self) -> None:
        self._api.remove_image(self.image, force=True)

    def measure(
        self,
        *,
        mib: int = 0,
        idle_s: float = 1.0,
        load_s: float = 2.0,
        rest_s: float = 1.0,
        rounds: int = 0,
        products: int = 0,
        gpus: int = 1,
        on_host: bool = False,
        hz: float = GPU_HZ,
        on_stage: OnStage | None = None,
        stop_at: str = "",
    ) -> Measurement:
        """Run one job and look at it; `on_host` runs it as a process of this machine."""
        uuids = tuple(gpu.uuid for gpu in self.gpus[:gpus])
        runtime: Runtime = VenvRuntime() if on_host else DockerRuntime()
        work = Path(tempfile.mkdtemp(dir=self.folder))
        (work / "out").mkdir()
        settings = {
            "mib": mib,
            "idle_s": idle_s,
            "load_s": load_s,
            "rest_s": rest_s,
            "rounds": rounds,
            "products": products,
        }
        launch = Launch(
            network=self.network,
            environment=Ready(identity=self.image, name=self.python if on_host else self.image, given=on_host),
            owner=Owner.me(),
            run="gpu-lab",
            job={"id": "load", "seed": 0, "settings": settings, "timeout_s": 120},
            portrait=self.folder / "portrait.png",
            audio=self.folder / "clip.wav",
            out=work / "out",
            job_file=work / "job.json",
            gpus=uuids,
        )
        job = Job(network="load", title="Load", status=JobStatus.RUNNING)
        with Watch(uuids, hz=hz) as watch:
            with runtime.start(launch) as process, watch.following(process):
                process.send(b'{"op":"drain"}\n')
                told = _listen(process, watch, on_stage, stop_at)
            seen = watch.seen
        if "reserved_0" in told.said:
            name = "torch_peak_reserved_bytes"
            job.metrics[name] = Measured(value=told.said["reserved_0"], unit="bytes", method="allocator")
        summary.fill(job, seen, summary.attributions(seen), self.gpus, summary.Prices())
        return Measurement(seen, job, told.exit, told.stages, told.clock_s, told.said, told.log)


@dataclass(slots=True)
class _Told:
    stages: list[tuple[float, str]]
    said: dict[str, float]
    clock_s: list[float] = field(default_factory=list)
    exit: Exit | None = None
    log: str = ""


def _listen(process: Process, watch: Watch, on_stage: OnStage | None, stop_at: str) -> _Told:
    told, parser, log = _Told([], {}), EventParser(), b""
    while (piece := process.output.get(timeout=180)) is not None:
        stream, data = piece
        if stream is not Stream.STDOUT:
            log += data
            continue
        for event in parser.feed(data):
            if isinstance(event, Event):
                _hear(event, told, watch)
                if event.kind is EventKind.STAGE and on_stage is not None:
                    on_stage(told.stages[-1][1], process)
        if stop_at and told.stages and told.stages[-1][1] == stop_at:
            time.sleep(1.0)
            process.stop()
            stop_at = ""
    told.exit, told.log = process.wait(), log.decode("utf-8", "replace")
    return told


def _hear(event: Event, told: _Told, watch: Watch) -> None:
    heard_s = time.monotonic()
    if event.kind is EventKind.METRIC:
        told.said[str(event.data["name"])] = float(event.data["value"])
    elif event.kind in (EventKind.STAGE, EventKind.DONE, EventKind.ERROR):
        name = str(event.data["name"]) if event.kind is EventKind.STAGE else ""
        told.stages.append((heard_s, name))
        told.clock_s.append(event.t_s)
        watch.mark(name, heard_s)
        if event.kind is EventKind.ERROR:
            told.log += str(event.data)


def _ended_well(outcome: Outcome) -> bool:
    for name, found in outcome.measurements.items():
        good = found.exit is not None and found.exit.code == 0
        outcome.check(f"{name} ends well", good, f"exit {found.exit}" + ("" if good else f"; {found.log[-800:]}"))
    return all(check.holds for check in outcome.checks)


def _memory_fits(outcome: Outcome, name: str, mib: int, context_bytes: int) -> None:
    """The promise: within 5 % of what it allocated, plus what a process on this GPU needs anyway."""
    peak = outcome.measurements[name].gpu.vram_peak_bytes
    found = f"{(peak.value or 0) / MIB:.0f} MiB by {peak.method} {peak.note}".strip()
    wanted = mib * MIB + context_bytes
    outcome.check(f"{name} is measured per process", peak.method == "per_process", found)
    close = abs((peak.value or 0) - wanted) <= TOLERANCE * mib * MIB
    outcome.check(f"{name} holds {mib} MiB and its context", close, f"{found}, {wanted / MIB:.0f} MiB expected")


def context(lab: Lab) -> Outcome:
    """What a process needs besides what it allocates: CUDA itself, and the kernels that it has loaded."""
    least = 2  # torch's smallest share of memory; with none at all the kernel that fills it would not be loaded
    found = lab.measure(mib=least)
    outcome = Outcome("context", {"one": found}, {"mib": least})
    if _ended_well(outcome):
        lab.context_bytes = int(found.gpu.vram_peak_bytes.value or 0) - least * MIB
        size = lab.context_bytes / MIB
        outcome.check("a context is of a known size", 100 <= size <= 1500, f"{size:.0f} MiB")
    return outcome


def allocation(lab: Lab) -> Outcome:
    """Memory, utilisation, energy and time of a load of known length."""
    mib, idle_s, load_s, rest_s = 4096, 4.0, 6.0, 4.0
    one = lab.measure(mib=mib, idle_s=idle_s, load_s=load_s, rest_s=rest_s)
    outcome = Outcome("allocation", {"one": one}, {"mib": mib, "idle_s": idle_s, "load_s": load_s, "rest_s": rest_s})
    if not _ended_well(outcome):
        return outcome
    _memory_fits(outcome, "one", mib, lab.context_bytes)
    reserved = one.said["reserved_0"]
    peak = one.gpu.vram_peak_bytes.value or 0
    outcome.check("more than torch's own count", peak > reserved, f"{peak / MIB:.0f} > {reserved / MIB:.0f} MiB")
    outcome.check("the GPU was exclusive", one.gpu.exclusive is True, one.gpu.note or "exclusive")
    busy, idle = (one.mean("utilisation_percent", stage) for stage in ("load", "idle"))
    outcome.check("busy while it computes", busy >= 90, f"{busy:.0f} %")
    outcome.check("idle while it waits", idle <= 5, f"{idle:.0f} %")
    begun_s, ended_s = one.between("load")
    outcome.check(
        "the load's length", abs(ended_s - begun_s - load_s) < 0.5, f"{ended_s - begun_s:.2f} s, {load_s} told"
    )
    over = [s.t_s for s in one.seen.gpus if (s.utilisation_percent or 0) > 50]
    took_s = max(over) - min(over) if over else 0.0
    outcome.check("utilisation lasts as long", abs(took_s - load_s) < 1.5, f"{took_s:.2f} s above 50 %")
    hot, cold = (one.mean("power_w", stage) for stage in ("load", "idle"))
    outcome.check("power follows the load", hot > 1.5 * cold, f"{hot:.0f} W busy, {cold:.0f} W idle")
    used = one.gpu.energy_wh
    counted_j = (used.value or 0) * 3600
    outcome.check("energy by the counter", used.method == "energy_counter", f"{counted_j:.0f} J by {used.method}")
    power = [(s.t_s, s.power_w) for s in one.seen.gpus if s.power_w is not None]
    summed_j = sum((t2 - t1) * (p1 + p2) / 2 for (t1, p1), (t2, p2) in itertools.pairwise(power))
    close = summed_j > 0 and abs(counted_j - summed_j) <= 0.1 * summed_j
    outcome.check("energy agrees with power over time", close, f"{counted_j:.0f} J counted, {summed_j:.0f} J summed")
    names = ("power_w", "utilisation_percent", "used_bytes", "processes", "sm_clock_mhz", "temperature_c", "throttle")
    for name in names:
        often = one.hz(name)
        outcome.check(f"{name} at 10 Hz", often >= 9.5, f"{often:.1f} Hz")
    often = one.hz("energy_j")
    outcome.check("the energy counter every two seconds", often >= 0.4, f"{often:.2f} Hz")
    return outcome


def two_at_once(lab: Lab) -> Outcome:
    """Two containers on one GPU are told apart, and each sees that it shares."""
    small, large = 2048, 6144
    found: dict[str, Measurement] = {}
    ready = threading.Event()

    def second() -> None:
        ready.wait(120)
        found["large"] = lab.measure(mib=large, idle_s=2.0, load_s=3.0, rest_s=1.0)

    other = threading.Thread(target=second)
    other.start()

    def holding(stage: str, process: Process) -> None:
        if stage == "idle":
            ready.set()

    try:
        # The small one idles long enough for the large one to come and to go.
        found["small"] = lab.measure(mib=small, idle_s=25.0, load_s=2.0, rest_s=1.0, on_stage=holding)
    finally:
        ready.set()
        other.join()
    outcome = Outcome("two_at_once", found, {"small": small, "large": large})
    if not _ended_well(outcome):
        return outcome
    for name, mib in (("small", small), ("large", large)):
        _memory_fits(outcome, name, mib, lab.context_bytes)
        use = found[name].gpu
        outcome.check(f"{name} is not exclusive", use.exclusive is False, use.note)
        no_energy = use.energy_wh.value is None and use.energy_wh.note.startswith("the GPU was shared: process")
        outcome.check(f"{name} has no energy", no_energy, use.energy_wh.note)
    early = [process.before for process in found["large"].gpu.foreign]
    outcome.check("the large one finds the small one there", early == [True], str(found["large"].gpu.foreign))
    late = [process.before for process in found["small"].gpu.foreign]
    outcome.check("the small one sees the large one come", late == [False], str(found["small"].gpu.foreign))
    return outcome


def stranger(lab: Lab) -> Outcome:
    """A process of the host, outside of any container, is seen as somebody else."""
    held = 1024
    with _holding(lab.python, held):
        one = lab.measure(mib=2048)
    outcome = Outcome("stranger", {"one": one}, {"mib": 2048, "foreign_mib": held})
    if not _ended_well(outcome):
        return outcome
    _memory_fits(outcome, "one", 2048, lab.context_bytes)
    foreign = one.gpu.foreign
    outcome.check("one stranger, there before", [f.before for f in foreign] == [True], str(foreign))
    memory = (foreign[0].memory_bytes or 0) / MIB if foreign else 0
    outcome.check("with the stranger's memory", held <= memory <= held + 1500, f"{memory:.0f} MiB")
    return outcome


@contextmanager
def _holding(python: str, mib: int) -> Iterator[None]:
    """Hold memory on the first GPU in a process of the host."""
    code = f"import torch; keep = torch.ones({mib} * 2**20, dtype=torch.uint8, device='cuda:0'); print(1, flush=True); "
    code += "input()"
    with subprocess.Popen([python, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            yield
        finally:
            process.kill()


def on_host(lab: Lab) -> Outcome:
    """The venv runtime: processes are known by their session."""
    one = lab.measure(mib=2048, on_host=True)
    outcome = Outcome("on_host", {"one": one}, {"mib": 2048})
    if _ended_well(outcome):
        _memory_fits(outcome, "one", 2048, lab.context_bytes)
        outcome.check("the GPU was exclusive", one.gpu.exclusive is True, one.gpu.note or "exclusive")
        cpu = one.job.metrics["cpu_s"]
        outcome.check("CPU time of the tree", (cpu.value or 0) > 1, f"{cpu.value} s by {cpu.method}")
    return outcome


def stopped(lab: Lab) -> Outcome:
    """A container that is stopped while it computes: its process vanishes from the list."""
    one = lab.measure(mib=1024, load_s=60.0, stop_at="load")
    outcome = Outcome("stopped", {"one": one}, {"mib": 1024})
    outcome.check("it was stopped", one.exit is not None and one.exit.code != 0, str(one.exit))
    _memory_fits(outcome, "one", 1024, lab.context_bytes)
    outcome.check("nobody else is blamed", not one.gpu.foreign, str(one.gpu.foreign))
    return outcome


def two_gpus(lab: Lab) -> Outcome:
    """One container on two GPUs: each has its own figures, and the job has their sum."""
    one = lab.measure(mib=2048, gpus=2)
    outcome = Outcome("two_gpus", {"one": one}, {"mib": 2048, "gpus": 2})
    if _ended_well(outcome):
        peaks = [use.vram_peak_bytes.value or 0 for use in one.job.gpus]
        near = all(abs(p - 2048 * MIB - lab.context_bytes) <= TOLERANCE * 2048 * MIB + 64 * MIB for p in peaks)
        outcome.check("each holds its share", near, ", ".join(f"{p / MIB:.0f} MiB" for p in peaks))
        total = one.job.metrics["vram_peak_bytes"].value or 0
        outcome.check("together their sum", 0.98 * sum(peaks) <= total <= sum(peaks), f"{total / MIB:.0f} MiB")
    return outcome


def cost(lab: Lab, rounds: int = 24, products: int = 6000) -> Outcome:
    """What looking costs: rounds of the same work in one process, in every second of which somebody looks."""
    uuids = (lab.gpus[0].uuid,)
    looking = ExitStack()
    looks: list[Watch] = []

    def alternate(stage: str, process: Process) -> None:
        looking.close()
        if stage.startswith("round ") and int(stage.split()[1]) % 2:
            looks.append(looking.enter_context(Watch(uuids)))
            looking.enter_context(looks[-1].following(process))

    with looking:
        one = lab.measure(rounds=rounds, products=products, load_s=3.0, hz=0, on_stage=alternate)
    outcome = Outcome("cost", {"one": one}, {"rounds": rounds, "products": products})
    if not _ended_well(outcome):
        return outcome
    names = [stage for _, stage in one.stages]
    first = names.index("round 0")
    took_s = [one.clock_s[i + 1] - one.clock_s[i] for i in range(first, first + rounds)]
    without_s, with_s = statistics.median(took_s[0::2]), statistics.median(took_s[1::2])
    ratio = with_s / without_s
    outcome.expected["rounds_s"] = [round(s, 4) for s in took_s]
    outcome.check(
        "under 1 % of the job's time", ratio < 1.01, f"{with_s:.4f} s with, {without_s:.4f} s without: {ratio:.4f}"
    )
    core = sum(w.seen.cpu_s for w in looks) / sum(w.seen.ended_s - w.seen.begun_s for w in looks)
    outcome.check(
        "under 2 % of one core", core < 0.02, f"{100 * core:.2f} % of one core, {sum(w.seen.late for w in looks)} late"
    )
    return outcome


Scenario = Callable[[Lab], Outcome]
# The context comes first: the others are compared with it.
SCENARIOS: Mapping[str, Scenario] = {
    one.__name__: one for one in (context, allocation, two_at_once, stranger, on_host, stopped, two_gpus, cost)
}


def possible(lab: Lab) -> list[str]:
    """Return the scenarios that this machine has enough GPUs for."""
    return [name for name in SCENARIOS if name != "two_gpus" or len(lab.gpus) > 1]
