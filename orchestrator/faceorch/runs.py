"""One `faceorch run` from its request to its record: normalise, plan, execute, report."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import filelock

from faceorch import __version__, host, media, report
from faceorch.errors import CannotRun, InputError, OutputError, RunFolderError, one_line
from faceorch.execute import Check, Executor
from faceorch.files import sha256_of, umask
from faceorch.networks import Network, SettingValue, load_networks, pick
from faceorch.observe import Observer
from faceorch.plan import Obstacle, Plan, Planned, Purpose, demand, make_plan, select_gpus
from faceorch.record import (
    FILE_NAME,
    AppliedPatch,
    ClipRecord,
    Host,
    Inputs,
    Job,
    JobStatus,
    Options,
    OutcomeKind,
    PortraitRecord,
    Run,
    RunFolder,
    RunStatus,
    Upstream,
    new_run_id,
    now,
)
from faceorch.runtimes import Runtime
from faceorch.runtimes.docker import DockerRuntime
from faceorch.runtimes.venv import VenvRuntime
from faceorch.telemetry.nvml import Gpus, read_gpus
from faceorch.telemetry.summary import Prices
from faceorch.telemetry.timeline import Format
from faceorch.telemetry.watch import GPU_HZ
from faceorch.weights.store import Store

RuntimeChoice = Literal["auto", "docker", "venv"]

# A run needs room for the normalised inputs, the videos and their half-made copies, and the report.
_NEEDED_BYTES = 256 * 2**20
_STARTED_S = 0.5  # a container takes a fifth of a second to start
_HALF_MADE, _HALF_MADE_S = ".faceorch-", 3600.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What the user asked for. `settings` maps networks to settings that are already parsed."""

    image: Path
    audio: Path
    networks: tuple[str, ...] = ()
    runtime: RuntimeChoice = "auto"
    gpus: str = "all"
    base: str | None = None
    seed: int = 0
    settings: Mapping[str, Mapping[str, SettingValue]] = field(default_factory=dict)
    out: Path = Path("results")
    timeout_s: float | None = None
    pythons: Mapping[str, Path] = field(default_factory=dict)
    images: Mapping[str, str] = field(default_factory=dict)
    check_face: bool = True
    repeat: int = 1
    warmup: int = 0
    prices: Prices = field(default_factory=Prices)
    timeline: Format = "parquet"
    sampling_hz: float = GPU_HZ
    command: tuple[str, ...] = ()
    synthetic: Literal["tiny", "full"] | None = None
    weights: Path | None = None


def make_runtimes(choice: RuntimeChoice, pythons: Mapping[str, Path], images: Mapping[str, str]) -> dict[str, Runtime]:
    """Return the runtimes to try, in order of preference."""
    runtimes: dict[str, Runtime] = {}
    if choice in ("auto", "docker"):
        runtimes["docker"] = DockerRuntime(images)
    if choice in ("auto", "venv"):
        runtimes["venv"] = VenvRuntime(pythons)
    return runtimes


def start_run(
    request: Request, observer: Observer, check: Check | None = None, reading: media.Reading | None = None
) -> RunFolder:
    """Do everything that `request` asks for and return the finished run folder; `check` sees every finished video.

    `reading` is that of the request's inputs, when it has been begun already.

    Raises `UserError` for whatever the user can mend, before anything is started or left behind;
    on `KeyboardInterrupt` the folder is complete and says how to go on.
    """
    reading = reading or media.Reading(request.image, request.audio)
    known = load_networks()
    chosen = [pick(known, name) for name in request.networks] or list(known.values())
    _check_names(request, chosen)
    plan, options, described = _plan(request, chosen)
    portrait, clip = reading.result()
    media.check_length(clip, min(p.network.manifest.needs.shortest_clip_s for p in plan.planned))
    plan = _without_too_short(plan, clip.duration_s, request.networks)
    with _new_folder(request) as (half_made, identity):
        (half_made / "inputs").mkdir()
        kept_portrait = media.write_portrait(portrait, half_made / "inputs" / "portrait.png")
        kept_clip = media.write_clip(clip, half_made / "inputs" / "clip.wav")
        run = Run(
            faceorch=__version__,
            id=identity,
            status=RunStatus.RUNNING,
            created=now(),
            updated=now(),
            command=[one_line(word) for word in request.command],
            synthetic=request.synthetic,
            options=options,
            host=described,
            inputs=_inputs(request, kept_portrait, kept_clip),
            jobs=_jobs(plan, request),
        )
        RunFolder(half_made, run).save()
        folder = _publish(half_made, request.out, identity)
    record = RunFolder(folder, run)
    if record.run.id != folder.name:  # somebody else took the name meanwhile
        record.run.id = folder.name
        record.save()
    try:
        _execute(
            record,
            plan.planned,
            observer,
            gate_inputs=request.check_face,
            sampling_hz=request.sampling_hz,
            check=check,
        )
    except (InputError, CannotRun):
        shutil.rmtree(folder, ignore_errors=True)  # refused: nothing has run, nothing stays
        raise
    return record


def resume_run(
    path: Path,
    observer: Observer,
    *,
    timeout_s: float | None,
    pythons: Mapping[str, Path],
    images: Mapping[str, str],
) -> RunFolder:
    """Do what is missing in an earlier run, with the inputs, settings and seed that it recorded.

    Raises `CannotRun`, and changes nothing, when none of the jobs that were started or waiting can run here now.
    """
    record = RunFolder.load(path)
    run = record.run
    if run.synthetic is not None:
        raise RunFolderError(f"{path} was made by faceorch smoke, which is not resumed", "faceorch smoke")
    known = load_networks()
    _check_inputs(record)
    missing = [job for job in run.jobs if not _has_video(record, job)]
    if not missing:
        return _complete(record, observer)
    wanted = {job.network for job in missing if job.status is not JobStatus.SKIPPED or _was_interrupted(job)}
    networks = [pick(known, job.network) for job in missing]
    if timeout_s is not None:
        run.options.timeout_s = timeout_s
    run.options.pythons.update({name: os.fspath(python.absolute()) for name, python in pythons.items()})
    run.options.images.update(images)
    runtimes = make_runtimes(
        run.options.runtime, {n: Path(p) for n, p in run.options.pythons.items()}, run.options.images
    )
    _sweep(runtimes, observer)
    gpus = read_gpus()
    plan = make_plan(
        networks,
        runtimes=runtimes,
        gpus=gpus,
        selected=select_gpus(run.options.gpus, gpus),
        base=run.options.base,
        settings={job.network: job.settings for job in missing},
        store=Store(None if run.options.weights is None else Path(run.options.weights)),
    )
    plan = _without_too_short(plan, run.inputs.clip.duration_s, ())
    blocked = [obstacle for obstacle in plan.obstacles if obstacle.network.name in wanted]
    if blocked and not plan.planned:
        names = ", ".join(obstacle.network.name for obstacle in blocked)
        raise CannotRun(f"{names} cannot run here now: {blocked[0].reason}", blocked[0].remedy)
    run.host = _host(gpus, runtimes)
    run.faceorch = __version__
    for obstacle in plan.obstacles:
        job = run.job(obstacle.network.name)
        job.status = JobStatus.FAILED if job.network in wanted else JobStatus.SKIPPED
        job.kind = obstacle.kind
        job.reason, job.remedy = obstacle.reason, obstacle.remedy
    for planned in plan.planned:
        run.job(planned.network.name).status = JobStatus.PENDING
    run.status = RunStatus.RUNNING
    _execute(record, plan.planned, observer, gate_inputs=False)
    return record


def _was_interrupted(job: Job) -> bool:
    return job.kind is OutcomeKind.INTERRUPTED


def _complete(record: RunFolder, observer: Observer) -> RunFolder:
    """Say that nothing is missing in a run, after writing what a kill has left unwritten."""
    with _locked(record.path):
        if record.run.status is not RunStatus.DONE:
            record.run.status = RunStatus.DONE
            record.save()
        unwritten = not all((record.path / name).is_file() for name in report.FILES)
        if unwritten:
            report.write_report(record)
    observer.note("", "nothing is missing: every network of this run has its video")
    if unwritten:
        observer.note("", "its report was missing, and is written")
    observer.run_ended(record.run, record.path)
    return record


def _plan(request: Request, chosen: Sequence[Network]) -> tuple[Plan, Options, Host]:
    runtimes = make_runtimes(request.runtime, request.pythons, request.images)
    _sweep(runtimes, None)
    gpus = read_gpus()
    selected = select_gpus(request.gpus, gpus)
    plan = make_plan(
        chosen,
        runtimes=runtimes,
        gpus=gpus,
        selected=selected,
        base=request.base,
        settings=request.settings,
        store=Store(request.weights),
        purpose=Purpose.RUN if request.synthetic is None else Purpose.SMOKE,
    )
    demand(plan, request.networks)
    options = Options(
        networks=list(request.networks),
        runtime=request.runtime,
        gpus=request.gpus,
        base=request.base,
        seed=request.seed,
        timeout_s=request.timeout_s,
        settings={name: dict(values) for name, values in request.settings.items()},
        pythons={name: os.fspath(path.absolute()) for name, path in request.pythons.items()},
        images=dict(request.images),
        repeat=request.repeat,
        warmup=request.warmup,
        price_per_kwh=request.prices.per_kwh,
        price_per_gpu_hour=request.prices.per_gpu_hour,
        currency=request.prices.currency,
        timeline=request.timeline,
        weights=None if request.weights is None else os.fspath(request.weights.absolute()),
    )
    return plan, options, _host(gpus, runtimes)


def _host(gpus: Gpus, runtimes: Mapping[str, Runtime]) -> Host:
    docker = runtimes.get("docker")
    return host.describe(gpus, docker.facts if isinstance(docker, DockerRuntime) else None)


def _sweep(runtimes: Mapping[str, Runtime], observer: Observer | None) -> None:
    for runtime in runtimes.values():
        for line in runtime.sweep():
            if observer is not None:
                observer.note("", line)


def _check_names(request: Request, chosen: Sequence[Network]) -> None:
    """Refuse options that speak of a network that does not take part."""
    names = {network.name for network in chosen}
    for option, given in (("--set", request.settings), ("--python", request.pythons), ("--use-image", request.images)):
        for name in given:
            if name not in names:
                raise InputError(
                    f"{option} names {name!r}, which is not in this run", f"it has: {', '.join(sorted(names))}"
                )


def _without_too_short(plan: Plan, clip_s: float, named: Sequence[str]) -> Plan:
    """Turn networks that need a longer clip into obstacles; refuse when the user named one of them."""
    fitting: list[Planned] = []
    obstacles = list(plan.obstacles)
    for planned in plan.planned:
        needed_s = planned.network.manifest.needs.shortest_clip_s
        if clip_s >= needed_s:
            fitting.append(planned)
            continue
        reason = f"the clip lasts {clip_s:.2f} s, {planned.network.name} needs {needed_s:g} s"
        if planned.network.name in named:
            raise InputError(reason, "use a longer clip")
        obstacles.append(Obstacle(planned.network, OutcomeKind.BAD_INPUT, reason, "use a longer clip"))
    return Plan(tuple(fitting), tuple(obstacles))


def _jobs(plan: Plan, request: Request) -> list[Job]:
    jobs = []
    for planned in plan.planned:
        jobs.append(_job(planned.network, request, JobStatus.PENDING))
    for obstacle in plan.obstacles:
        job = _job(obstacle.network, request, JobStatus.SKIPPED)
        job.kind, job.reason, job.remedy = obstacle.kind, obstacle.reason, obstacle.remedy
        jobs.append(job)
    return jobs


def _job(network: Network, request: Request, status: JobStatus) -> Job:
    settings = network.settings({**_smoke_settings(network, request), **request.settings.get(network.name, {})})
    from faceorch.patches import patches_of

    return Job(
        network=network.name,
        title=network.manifest.title,
        status=status,
        seed=request.seed,
        settings=settings,
        upstream=[Upstream(url=u.url, commit=u.commit, licence=u.licence) for u in network.manifest.upstream],
        patches=[AppliedPatch(name=p.name, file=p.file, reason=p.reason) for p in patches_of(network)],
        caveats=network.caveats(settings),
    )


def _smoke_settings(network: Network, request: Request) -> dict[str, SettingValue]:
    return dict(network.manifest.smoke.settings) if request.synthetic == "tiny" else {}


def _inputs(request: Request, portrait: media.Portrait, clip: media.Clip) -> Inputs:
    return Inputs(
        portrait=PortraitRecord(
            file="inputs/portrait.png",
            source=one_line(os.fspath(request.image)),
            source_sha256=portrait.source_sha256,
            sha256=portrait.sha256,
            width=portrait.width,
            height=portrait.height,
            notes=list(portrait.notes),
        ),
        clip=ClipRecord(
            file="inputs/clip.wav",
            source=one_line(os.fspath(request.audio)),
            source_sha256=clip.source_sha256,
            sha256=clip.sha256,
            duration_s=clip.duration_s,
            sample_rate_hz=clip.sample_rate_hz,
            notes=list(clip.notes),
        ),
    )


@contextlib.contextmanager
def _new_folder(request: Request) -> Iterator[tuple[Path, str]]:
    """Yield a hidden folder below `--out`, and the name it will get: a run folder appears whole.

    Half-made folders of earlier runs that were killed are removed.
    """
    out = request.out
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {out}: {error.strerror}", "choose another --out") from error
    media.check_output_folder(out, needed_bytes=_NEEDED_BYTES)
    for old in out.glob(f"{_HALF_MADE}*"):
        with contextlib.suppress(OSError):
            if time.time() - old.stat().st_mtime > _HALF_MADE_S:
                shutil.rmtree(old, ignore_errors=True)
    half_made = Path(tempfile.mkdtemp(prefix=_HALF_MADE, dir=out))
    try:
        yield half_made, new_run_id(request.image, request.audio, now())
    finally:
        shutil.rmtree(half_made, ignore_errors=True)


def _publish(half_made: Path, out: Path, name: str) -> Path:
    """Give a complete folder its name, or the next free one."""
    half_made.chmod(0o777 & ~umask())
    for number in range(1, 1000):
        folder = (out / (name if number == 1 else f"{name}-{number}")).absolute()
        try:
            half_made.rename(folder)
        except OSError as error:
            if error.errno in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
                continue
            raise OutputError(f"cannot make the folder {folder}: {error.strerror}", "choose another --out") from error
        return folder
    raise OutputError(f"{out} holds a thousand runs of this second", "choose another --out")


def _execute(
    record: RunFolder,
    planned: tuple[Planned, ...],
    observer: Observer,
    *,
    gate_inputs: bool,
    sampling_hz: float = GPU_HZ,
    check: Check | None = None,
) -> None:
    """Execute and write the report, also when the run was interrupted."""
    with _locked(record.path):
        observer.run_started(record.run)
        # Once the first runner is at work there is nothing to do here but wait; before, this would hold it up.
        compiling = threading.Timer(_STARTED_S, report.templates)
        compiling.daemon = True
        compiling.start()
        try:
            executor = Executor(record, observer, gate_inputs=gate_inputs, sampling_hz=sampling_hz, check=check)
            executor.execute(planned)
        finally:
            compiling.cancel()
            if record.run.status is not RunStatus.RUNNING:
                report.write_report(record)
                observer.run_ended(record.run, record.path)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the run folder: two processes must not work on one run."""
    lock = filelock.FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise RunFolderError(f"{folder} is in use by another faceorch", "wait for it to end") from None
    try:
        for left in folder.glob(f".{FILE_NAME}.*"):  # half written by a faceorch that was killed
            left.unlink(missing_ok=True)
        yield
    finally:
        lock.release()
        (folder / ".lock").unlink(missing_ok=True)


def _has_video(record: RunFolder, job: Job) -> bool:
    """Say whether a job is done and its video still is the one that was recorded."""
    return job.status is JobStatus.DONE and job.video is not None and record.holds(job.video)


def _check_inputs(record: RunFolder) -> None:
    """Refuse to go on with inputs that are not those of the run."""
    for file, wanted in (
        (record.run.inputs.portrait.file, record.run.inputs.portrait.sha256),
        (record.run.inputs.clip.file, record.run.inputs.clip.sha256),
    ):
        path = record.path / file
        if not path.is_file():
            raise RunFolderError(f"{path} is missing", "start a new run")
        found = media.samples_sha256(path) if path.suffix == ".wav" else sha256_of(path)
        if found != wanted:
            raise RunFolderError(f"{path} has changed since the run began", "start a new run")
