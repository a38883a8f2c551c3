"""An earlier run, taken up again: what is missing in it is planned with what it recorded."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from msgspec import structs

from faceorch import __version__, media
from faceorch.errors import CannotRun, RunFolderError
from faceorch.files import sha256_of
from faceorch.networks.discover import load_networks, pick
from faceorch.record.folder import RunFolder
from faceorch.record.kinds import JobStatus, OutcomeKind, RunStatus
from faceorch.record.run import Job
from faceorch.runs import host
from faceorch.runs.events import Listener, Noted
from faceorch.runs.plan import make_plan, select_gpus, without_too_short
from faceorch.runs.start import Started, weights_for
from faceorch.runtimes.choose import make_runtimes, sweep
from faceorch.telemetry.nvml import read_gpus


def resume_run(
    path: Path,
    tell: Listener,
    *,
    timeout_s: float | None = None,
    pythons: Mapping[str, str] | None = None,
    use_images: Mapping[str, str] | None = None,
) -> Started:
    """Plan what is missing in an earlier run, with the inputs, settings and seed that it recorded.

    What is given replaces what was asked for then. Raises `CannotRun`, and changes nothing, when none of the jobs that
    were started or waiting can run here now.
    """
    record = RunFolder.load(path)
    run = record.run
    if run.synthetic:
        raise RunFolderError(f"{path} was made by faceorch smoke, which is not resumed", "faceorch smoke")
    if run.request.videos:
        raise RunFolderError(
            f"{path} holds videos made elsewhere: there is nothing to resume", run.request.to_command()
        )
    known = load_networks()
    check_inputs(record)
    missing = [job for job in run.jobs if not _has_video(record, job)]
    if not missing:
        return Started(record, (), fresh=False, missing=False)
    wanted = {job.network for job in missing if job.status is not JobStatus.SKIPPED or _was_interrupted(job)}
    networks = [pick(known, job.network) for job in missing]
    request = structs.replace(
        run.request,
        timeout_s=run.request.timeout_s if timeout_s is None else timeout_s,
        pythons={**run.request.pythons, **(pythons or {})},
        use_images={**run.request.use_images, **(use_images or {})},
    )
    runtimes = make_runtimes(request.runtime, request.pythons, request.use_images)
    for line in sweep(runtimes):
        tell(Noted(network=None, text=line))
    gpus = read_gpus()
    plan = make_plan(
        networks,
        runtimes=runtimes,
        gpus=gpus,
        selected=select_gpus(request.allowed_gpus, gpus),
        base=request.base,
        settings={job.network: job.settings for job in missing},
        weights=weights_for(request),
    )
    plan = without_too_short(plan, run.inputs.clip.duration_s, ())
    blocked = [obstacle for obstacle in plan.obstacles if obstacle.network.name in wanted]
    if blocked and not plan.planned:
        names, why = ", ".join(obstacle.network.name for obstacle in blocked), blocked[0].reason
        raise CannotRun(f"{names} cannot run here now: {why.text}", why.remedy)
    run.request, run.host, run.faceorch = request, host.describe(gpus, runtimes), __version__
    for obstacle in plan.obstacles:
        job = run.job(obstacle.network.name)
        status = JobStatus.FAILED if job.network in wanted else JobStatus.SKIPPED
        run.put(structs.replace(job, status=status, reason=obstacle.reason))
    for planned in plan.planned:
        job = run.job(planned.network.name)
        run.put(structs.replace(job, status=JobStatus.PENDING, reason=None, resumed=job.resumed + 1))
    run.status = RunStatus.RUNNING
    return Started(record, plan.planned, fresh=False)


def _was_interrupted(job: Job) -> bool:
    return job.reason is not None and job.reason.kind is OutcomeKind.INTERRUPTED


def _has_video(record: RunFolder, job: Job) -> bool:
    """Return whether a job is done and its video still is the one that was recorded."""
    return job.status is JobStatus.DONE and job.video is not None and record.holds(job.video)


def check_inputs(record: RunFolder) -> None:
    """Check that the inputs are still those of the run; raise `RunFolderError` when they are not."""
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
