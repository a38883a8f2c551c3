"""An earlier run, taken up again: what is missing in it is planned with what it recorded."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from msgspec.structs import replace

from faceorch import __version__
from faceorch.errors import CannotRun, RunFolderError
from faceorch.files import Refused, open_below, sha256_of_file
from faceorch.media.clip import samples_sha256
from faceorch.networks.discover import load_networks, pick
from faceorch.record.folder import RunFolder
from faceorch.record.kinds import JobStatus, OutcomeKind, RunStatus
from faceorch.record.run import Job
from faceorch.runs import host
from faceorch.runs.events import Listener, Noted
from faceorch.runs.plan import check_places, make_plan, select_gpus, unusable, without_too_short
from faceorch.runs.start import Started
from faceorch.runtimes.choose import make_runtimes, sweep
from faceorch.telemetry.nvml import read_gpus
from faceorch.weights.source import source_of

_INPUT_BYTES = 512 * 2**20  # of a normalised portrait or clip: more than either can have


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
    unfit = {job.network: unusable(known.broken[job.network]) for job in missing if job.network in known.broken}
    wanted = {job.network for job in missing if job.status is not JobStatus.SKIPPED or _was_interrupted(job)}
    there = [job.network for job in missing if job.network in known or job.network in wanted]
    networks = [pick(known, name) for name in there if name not in unfit]
    request = replace(
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
        weights=source_of(request),
    )
    plan = without_too_short(plan, run.inputs.clip.duration_s, ())
    obstacles = {**{obstacle.network.name: obstacle.reason for obstacle in plan.obstacles}, **unfit}
    blocked = [name for name in obstacles if name in wanted]
    if blocked and not plan.planned:
        names, why = ", ".join(blocked), obstacles[blocked[0]]
        raise CannotRun(f"{names} cannot run here now: {why.text}", why.remedy)
    check_places(plan)
    run.request, run.host, run.faceorch = request, host.describe(gpus, runtimes), __version__
    for name, reason in obstacles.items():
        status = JobStatus.FAILED if name in wanted else JobStatus.SKIPPED
        run.put(replace(run.job(name), status=status, reason=reason))
    for planned in plan.planned:
        job = run.job(planned.network.name)
        run.put(replace(job, status=JobStatus.PENDING, reason=None, resumed=job.resumed + 1))
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
        try:
            with open_below(record.path, file, limit=_INPUT_BYTES) as opened:
                found = samples_sha256(opened) if path.suffix == ".wav" else sha256_of_file(opened)
        except (Refused, OSError) as error:
            raise RunFolderError(f"{path} cannot be used: {error}", "start a new run") from error
        if found != wanted:
            raise RunFolderError(f"{path} has changed since the run began", "start a new run")
