"""One start of the judge, from its environment to what it found, as a value."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct, field
from msgspec.structs import replace

from faceorch import untrusted
from faceorch.errors import UserError
from faceorch.files import Refused, empty_folder
from faceorch.judging.choose import Chosen
from faceorch.judging.taking import take_judgement, take_series
from faceorch.owner import Owner
from faceorch.record.judgement import Judgement
from faceorch.record.kinds import OutcomeKind
from faceorch.record.reason import Reason
from faceorch.record.run import Environment
from faceorch.runs.attempt import Attempt, attempt
from faceorch.runs.events import Listener, Noted, StageStarted
from faceorch.runs.job import environment_of
from faceorch.runs.joblog import JobLog
from faceorch.runtimes import Launch, Preparing, Ready
from faceorch_runner import Judge, Judged

PASSED = "passed"
_OWN_CHECK = "self-check"  # the runner's stage in which a judge may fail its own check
_LONG_CHECK = "full check"
_RUNNER_GRACE_S = 30.0  # the runner's own limit must never come before the host's


class Order(Struct, frozen=True, kw_only=True):
    """What to judge: videos by the names that they have in the record. `full`: after the judge's long check of itself.

    `work` is a folder of ours for logs and scratch files; the series are kept as `series[name]` where that is given.
    """

    portrait: Path
    clip: Path
    videos: Mapping[str, Path]
    work: Path
    series: Mapping[str, Path] = field(default_factory=dict)
    run: str = "judge"
    timeout_s: float | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    full: bool = False


class Sitting(Struct, frozen=True, kw_only=True):
    """What came of one start of the judge.

    `refused` says of videos without a judgement why they have none. `reason` is None when the judge went to its end;
    `said` are the lines of its long check; `interrupted`: the user ended it.
    """

    environment: Environment | None = None
    self_check: str = ""
    judgements: Mapping[str, Judgement] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)
    reason: Reason | None = None
    said: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    interrupted: bool = False


def sit(chosen: Chosen, order: Order, tell: Listener) -> Sitting:
    """Let the judge judge; whatever it does is a value. Nothing of it is left running on any path."""
    name = chosen.network.name
    try:
        ready = _prepared(chosen, order.work, tell)
        with empty_folder(order.work / "out") as out, JobLog(order.work, 1) as log:
            launch = Launch(
                network=chosen.network,
                environment=ready,
                owner=Owner.me(),
                run=order.run,
                out=out,
                job_file=order.work / "job.json",
                weights=chosen.weights,
                order=Judge(
                    portrait=order.portrait,
                    audio=order.clip,
                    videos=tuple(Judged(id=key, video=path) for key, path in order.videos.items()),
                    timeout_s=None if order.timeout_s is None else order.timeout_s + _RUNNER_GRACE_S,
                    full=order.full,
                ),
            )
            tell(StageStarted(network=name, name="start"))
            made = attempt(
                chosen.planned.runtime, launch, log=log, tell=tell, timeout_s=order.timeout_s, names=order.names
            )
            sitting = _taken(made, order)
    except UserError as error:
        return Sitting(
            reason=Reason(kind=OutcomeKind.START_FAILED, found=error.message, remedy=error.remedy), notes=chosen.notes
        )
    return replace(
        sitting,
        environment=environment_of(chosen.planned, ready),
        notes=(*chosen.notes, *sitting.notes),
        interrupted=made.interrupted,
    )


def _prepared(chosen: Chosen, work: Path, tell: Listener) -> Ready:
    """Return the judge's environment, built when it is not there yet."""
    planned, name = chosen.planned, chosen.network.name
    if planned.ready.prepared:
        return planned.ready

    def line(text: str) -> None:
        tell(Noted(network=name, text=untrusted.text(text, untrusted.SENTENCE)))

    tell(StageStarted(network=name, name="prepare"))
    return planned.runtime.prepare(chosen.network, planned.ready, Preparing(work / "prepare.log", line))


def _taken(made: Attempt, order: Order) -> Sitting:
    """Collect the findings that exist; of a judge that did not finish, those that it had finished."""
    judgements: dict[str, Judgement] = {}
    refused: dict[str, str] = {}
    notes: list[str] = []
    ended = made.failure is None and not made.interrupted
    for name in order.videos:
        try:
            found = take_judgement(order.work, name)
        except Refused as error:
            if ended:
                refused[name] = str(error)
            continue
        if isinstance(found, str):
            refused[name] = found
            continue
        judgements[name] = found
        if name in order.series:
            try:
                take_series(order.work, name, order.series[name])
            except Refused as error:
                notes.append(f"the series of {name} are not kept: {error}")
    said = made.transcript
    failed = said.stage in (_OWN_CHECK, _LONG_CHECK) and said.error is not None
    passed = ended or said.stage == _LONG_CHECK or said.stage.startswith("judge ")
    check = said.error.message if failed and said.error is not None else PASSED if passed else ""
    return Sitting(
        self_check=check,
        judgements=judgements,
        refused=refused,
        reason=_reason(made, self_check=failed),
        said=tuple(said.notes),
        notes=(*notes, *made.notes),
    )


def _reason(made: Attempt, *, self_check: bool) -> Reason | None:
    """Return why the judge did not get to its end; the remedies of a network are not its own."""
    failure = made.failure
    if failure is None:
        return None
    if self_check:
        found = f"the judge failed its check of itself: {failure.text}"
        return Reason(kind=failure.kind, found=found, remedy="faceorch judge --self-check; please report what it says")
    if failure.kind in (OutcomeKind.BAD_INPUT, OutcomeKind.NO_FACE):
        return Reason(kind=failure.kind, found=failure.text, remedy="see its log")
    return failure
