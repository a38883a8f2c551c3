"""A new run: its inputs checked and normalised, its plan made, and its folder published; nothing has been started."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from faceorch import __version__, media
from faceorch.errors import InputError, OutputError, one_line
from faceorch.files import HALF_MADE, Refused, open_below, scratch, umask, write_atomically
from faceorch.networks.about import about
from faceorch.networks.discover import Network, Networks, find_judge, load_networks, pick
from faceorch.networks.patches import patches_of
from faceorch.record.claims import Claims
from faceorch.record.folder import RunFolder, new_run_id, now
from faceorch.record.kinds import JobStatus, RunStatus
from faceorch.record.reason import Reason
from faceorch.record.request import Request, SettingValue
from faceorch.record.run import AppliedPatch, ClipRecord, Inputs, Job, PortraitRecord, Run, Upstream
from faceorch.runs import host
from faceorch.runs.plan import Plan, Planned, check_places, demand, make_plan, select_gpus, unusable, without_too_short
from faceorch.runtimes.choose import make_runtimes, sweep
from faceorch.telemetry.nvml import read_gpus
from faceorch.weights.source import StandIn
from faceorch.weights.store import Store

# A run needs room for the normalised inputs, the videos and their half-made copies, and the report.
_NEEDED_BYTES = 256 * 2**20
_TEXT_BYTES = 64 * 2**10


@dataclass(frozen=True, slots=True)
class Started:
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
    reading: media.Reading | None = None,
    networks: Mapping[str, Network] | None = None,
) -> Started:
    """Make the run folder for `request` below `out`, with its inputs and its plan.

    `reading` is that of the request's inputs, when it has been begun already; `networks` are those that can be named,
    by default every one that there is. Raises `UserError` for whatever the user can mend, before anything is left
    behind.
    """
    reading = reading or media.Reading(Path(request.portrait), Path(request.clip))
    known = load_networks() if networks is None else networks
    chosen = [pick(known, name) for name in request.networks] or list(known.values())
    _check_names(request, chosen)
    gpus = read_gpus()
    selected = select_gpus(request.allowed_gpus, gpus)
    runtimes = make_runtimes(request.runtime, request.pythons, request.use_images)
    for _ in sweep(runtimes):
        pass  # what dead owners left is not this user's concern
    plan = make_plan(
        chosen,
        runtimes=runtimes,
        gpus=gpus,
        selected=selected,
        base=request.base,
        settings=request.settings,
        weights=weights_for(request),
    )
    demand(plan, request.networks)
    check_places(plan)
    portrait, clip = reading.result()
    media.check_length(clip, min(p.network.manifest.needs.shortest_clip_s for p in plan.planned))
    plan = without_too_short(plan, clip.duration_s, request.networks)
    jobs = _jobs(plan, request) + ([] if request.networks else _unusable(known, request))
    described = host.describe(gpus, runtimes)
    with new_folder(request, out) as (half_made, identity):
        (half_made / "inputs").mkdir()
        kept_portrait = media.write_portrait(portrait, half_made / "inputs" / "portrait.png")
        kept_clip = media.write_clip(clip, half_made / "inputs" / "clip.wav")
        keep_text(Path(request.clip).with_suffix(".txt"), half_made / "inputs" / "clip.txt")
        run = Run(
            faceorch=__version__,
            id=identity,
            status=RunStatus.RUNNING,
            created=now(),
            updated=now(),
            request=request,
            host=described,
            inputs=inputs_of(request, kept_portrait, kept_clip),
            jobs=jobs,
        )
        RunFolder(half_made, run).save()
        folder = publish(half_made, out, identity)
    record = RunFolder(folder, run)
    if record.run.id != folder.name:  # somebody else took the name meanwhile
        record.run.id = folder.name
        record.save()
    return Started(record, plan.planned, fresh=True)


def weights_for(request: Request) -> Store | StandIn:
    """Return where the weights of a request's networks come from."""
    if request.stand_in is not None:
        return StandIn(full=request.stand_in.size == "full")
    return Store(None if request.weights is None else Path(request.weights))


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


def _jobs(plan: Plan, request: Request) -> list[Job]:
    jobs = [_job(planned.network, request, None) for planned in plan.planned]
    return jobs + [_job(obstacle.network, request, obstacle.reason) for obstacle in plan.obstacles]


def _unusable(known: Mapping[str, Network], request: Request) -> list[Job]:
    """Return the rows of networks whose manifest cannot be used."""
    broken = known.broken if isinstance(known, Networks) else {}
    return [
        Job(network=name, title=name, status=JobStatus.SKIPPED, reason=unusable(error), seed=request.seed)
        for name, error in broken.items()
    ]


def _job(network: Network, request: Request, obstacle: Reason | None) -> Job:
    tiny = _smoke_settings(network, request)
    settings = network.settings({**tiny, **request.settings.get(network.name, {})})
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


def keep_text(source: Path, target: Path) -> None:
    """Keep what is said in the clip, when a text lies beside it under the clip's name: the report shows its words."""
    with contextlib.suppress(OSError, UnicodeDecodeError, Refused):
        with open_below(source.parent, source.name, limit=_TEXT_BYTES) as file:
            text = file.read().decode("utf-8")
        write_atomically(target, text.encode())


def _smoke_settings(network: Network, request: Request) -> dict[str, SettingValue]:
    tiny = request.stand_in is not None and request.stand_in.size == "tiny"
    return dict(network.manifest.smoke.settings) if tiny else {}


def inputs_of(request: Request, portrait: media.Portrait, clip: media.Clip) -> Inputs:
    """Return what the record says of the normalised inputs, which lie in the folder `inputs` of the run."""
    return Inputs(
        portrait=PortraitRecord(
            file="inputs/portrait.png",
            source=one_line(request.portrait),
            source_sha256=portrait.source_sha256,
            sha256=portrait.sha256,
            width=portrait.width,
            height=portrait.height,
            notes=list(portrait.notes),
        ),
        clip=ClipRecord(
            file="inputs/clip.wav",
            source=one_line(request.clip),
            source_sha256=clip.source_sha256,
            sha256=clip.sha256,
            duration_s=clip.duration_s,
            sample_rate_hz=clip.sample_rate_hz,
            notes=list(clip.notes),
        ),
    )


@contextlib.contextmanager
def new_folder(request: Request, out: Path) -> Iterator[tuple[Path, str]]:
    """Yield a hidden folder below `--out`, and the name it will get: a run folder appears whole.

    Half-made folders of earlier runs that were killed are removed.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {out}: {error.strerror}", "choose another --out") from error
    media.check_output_folder(out, needed_bytes=_NEEDED_BYTES)
    with scratch(HALF_MADE, out) as half_made:
        yield half_made, new_run_id(Path(request.portrait), Path(request.clip), now())


def publish(half_made: Path, out: Path, name: str) -> Path:
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
