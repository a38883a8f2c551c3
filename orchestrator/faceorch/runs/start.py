"""A new run: its inputs checked and normalised, its plan made, and its folder published; nothing has been started."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from faceorch import __version__
from faceorch.errors import InputError
from faceorch.media.clip import check_length
from faceorch.networks.about import about
from faceorch.networks.discover import Network, Networks, find_judge, load_networks, pick
from faceorch.networks.patches import patches_of
from faceorch.record.claims import Claims
from faceorch.record.folder import RunFolder, now
from faceorch.record.kinds import JobStatus, RunStatus
from faceorch.record.reason import Reason
from faceorch.record.request import Request
from faceorch.record.run import AppliedPatch, Job, Run, Upstream
from faceorch.runs import host
from faceorch.runs.folder import new_folder
from faceorch.runs.plan import Plan, Planned, check_places, demand, make_plan, select_gpus, unusable, without_too_short
from faceorch.runs.reading import Reading
from faceorch.runtimes import Runtime
from faceorch.runtimes.choose import make_runtimes, sweep
from faceorch.telemetry.nvml import read_gpus
from faceorch.weights.source import source_of


class Started(Struct, frozen=True):
    """A run that can be executed.

    `fresh`: nothing of it has run, so that refused inputs leave nothing behind. `missing`: not every job has its video.
    """

    folder: RunFolder
    planned: tuple[Planned, ...]
    fresh: bool
    missing: bool = True


def start_run(
    request: Request,
    out: Path,
    reading: Reading | None = None,
    networks: Mapping[str, Network] | None = None,
    runtimes: Mapping[str, Runtime] | None = None,
) -> Started:
    """Make the run folder for `request` below `out`, with its inputs and its plan.

    `reading` is that of the request's inputs and `runtimes` are its own, when they have been begun already; `networks`
    are those that can be named, by default every one that there is. Raises `UserError` for whatever the user can fix,
    before anything is left behind.
    """
    with reading or Reading(Path(request.portrait), Path(request.clip)) as begun:
        runtimes = runtimes or make_runtimes(request.runtime, request.pythons, request.use_images)
        return _start(request, out, begun, networks, runtimes)


def _start(
    request: Request,
    out: Path,
    reading: Reading,
    networks: Mapping[str, Network] | None,
    runtimes: Mapping[str, Runtime],
) -> Started:
    known = load_networks() if networks is None else networks
    chosen = [pick(known, name) for name in request.networks] or list(known.values())
    _check_names(request, chosen)
    gpus = read_gpus()
    selected = select_gpus(request.allowed_gpus, gpus)
    for _ in sweep(runtimes):
        pass  # what dead owners left is not this user's concern
    weights = source_of(request)
    plan = make_plan(
        chosen,
        runtimes=runtimes,
        gpus=gpus,
        selected=selected,
        base=request.base,
        settings=request.settings,
        weights=weights,
    )
    demand(plan, request.networks)
    check_places(plan)
    described = host.describe(gpus, runtimes)
    portrait, clip = reading.result()
    check_length(clip, min(p.network.manifest.needs.shortest_clip_s for p in plan.planned))
    plan = without_too_short(plan, clip.duration_s, request.networks)
    jobs = _jobs(plan, known, request)
    with new_folder(out, portrait, clip) as made:
        run = Run(
            faceorch=__version__,
            id=made.id,
            status=RunStatus.RUNNING,
            created=now(),
            updated=now(),
            request=request,
            host=described,
            inputs=made.inputs,
            jobs=jobs,
        )
        folder = made.publish(run)
    return Started(folder, plan.planned, fresh=True)


def _check_names(request: Request, chosen: Sequence[Network]) -> None:
    """Check that every option names a network that takes part."""
    judge = find_judge() if request.judge else None
    names = {network.name for network in chosen} | ({judge.name} if judge is not None else set())
    for option, given in (
        ("--set", request.settings),
        ("--python", request.pythons),
        ("--use-image", request.use_images),
    ):
        for name in given:
            if name not in names:
                raise InputError(
                    f"{option} names {name!r}, which is not in this run", f"it has: {', '.join(sorted(names))}"
                )


def _jobs(plan: Plan, known: Mapping[str, Network], request: Request) -> list[Job]:
    """Return the record's jobs: those that will run, those that cannot, and networks whose manifest cannot be used."""
    broken = known.broken if isinstance(known, Networks) and not request.networks else {}
    unread = [
        Job(network=name, title=name, status=JobStatus.SKIPPED, reason=unusable(error), seed=request.seed)
        for name, error in broken.items()
    ]
    decided: list[tuple[Network, Reason | None]] = [(planned.network, None) for planned in plan.planned]
    decided += [(obstacle.network, obstacle.reason) for obstacle in plan.obstacles]
    return [_job(network, request, obstacle) for network, obstacle in decided] + unread


def _job(network: Network, request: Request, obstacle: Reason | None) -> Job:
    tiny = request.stand_in is not None and request.stand_in.size == "tiny"
    given = {**(network.manifest.smoke.settings if tiny else {}), **request.settings.get(network.name, {})}
    settings = network.settings(given)
    expected = network.manifest.expected
    return Job(
        network=network.name,
        title=network.manifest.title,
        status=JobStatus.PENDING if obstacle is None else JobStatus.SKIPPED,
        reason=obstacle,
        seed=request.seed,
        settings=settings,
        about=about(network),
        upstream=[Upstream(url=u.url, commit=u.commit, licence=u.licence) for u in network.manifest.upstream],
        patches=[AppliedPatch(name=p.name, file=p.file, reason=p.reason) for p in patches_of(network)],
        caveats=network.caveats(settings),
        claims=None
        if expected is None
        else Claims(source=expected.source, head_motion=expected.head_motion, eye_blinks=expected.eye_blinks),
    )
