"""What a run tells while it goes on: one stream of typed events, for any number of listeners.

What `--json` prints is these events themselves, one JSON object a line, told apart by their field `event`.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from faceorch.record.run import Job, Judging, Run


class _Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="event"):
    """One thing that happened."""


class RunStarted(_Event, frozen=True, tag="run_started"):
    """The run folder exists; jobs that cannot run are known."""

    run: Run


class JobStarted(_Event, frozen=True, tag="job_started"):
    """A job begins."""

    network: str


class RepetitionStarted(_Event, frozen=True, tag="repetition"):
    """One of several repetitions of the current job begins; `name` is such as `repetition 2 of 5`."""

    network: str
    name: str


class StageStarted(_Event, frozen=True, tag="stage"):
    """A stage of the current job begins."""

    network: str
    name: str


class Progressed(_Event, frozen=True, tag="progress"):
    """Part of the current stage is done."""

    network: str
    done: int
    total: int
    unit: str


class Noted(_Event, frozen=True, tag="note"):
    """One line about what is going on, such as a package being installed; `network` is null for the run as a whole."""

    network: str | None
    text: str


class JobEnded(_Event, frozen=True, tag="job_ended"):
    """A job has its outcome."""

    job: Job


class JudgingStarted(_Event, frozen=True, tag="judging_started"):
    """The judge begins: its stages and its progress follow under its own name."""

    judge: str
    videos: int


class JudgingEnded(_Event, frozen=True, tag="judging_ended"):
    """The judge is done, or `judging.reason` says why it is not; what it found is in the run's jobs."""

    judge: str
    judging: Judging


class RunEnded(_Event, frozen=True, tag="run_ended"):
    """The run is over (done or interrupted), and its report is written."""

    folder: str
    run: Run


Event = (
    RunStarted
    | JobStarted
    | RepetitionStarted
    | StageStarted
    | Progressed
    | Noted
    | JobEnded
    | JudgingStarted
    | JudgingEnded
    | RunEnded
)
Listener = Callable[[Event], None]


def tell(*listeners: Listener) -> Listener:
    """Return one listener that passes every event on to all of `listeners`, in their order."""

    def pass_on(event: Event) -> None:
        for listener in listeners:
            listener(event)

    return pass_on
