"""A run as plain lines: for logs, pipes and terminals that cannot do more."""

from __future__ import annotations

import time
from pathlib import Path

from faceorch.cli.show import Lines
from faceorch.cli.show.lines import MARKS, Progress, closing_lines, judging_line, outcome_line
from faceorch.record.kinds import JobStatus
from faceorch.runs.events import (
    Event,
    JobEnded,
    JobStarted,
    JudgingEnded,
    JudgingStarted,
    Noted,
    Progressed,
    RepetitionStarted,
    RunEnded,
    RunStarted,
    StageStarted,
)
from faceorch.words import duration

_STEP_S = 5.0


class PlainLines(Lines):
    """Prints a line per stage and, every few seconds, how far it is; `quiet`: only how jobs and the run ended."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._state = Progress()
        self._said_s = 0.0

    def __call__(self, event: Event) -> None:
        """Print what there is to say of `event`."""
        match event:
            case JobStarted() | JudgingStarted():
                self._state = Progress()
            case StageStarted():
                self._state.enter(event.name)
            case Progressed():
                self._state.count(event.done, event.total, event.unit)
        for line in self._lines(event):
            self.print(line)

    def _lines(self, event: Event) -> list[str]:
        match event:
            case JobEnded():
                return [f"{event.job.network}: {MARKS[event.job.status]}: {outcome_line(event.job)}"]
            case JudgingEnded():
                return [f"{event.judge}: {judging_line(event.judging)}"]
            case RunEnded():
                return closing_lines(event.run, Path(event.folder))
        return [] if self._quiet else self._details(event)

    def _details(self, event: Event) -> list[str]:
        state = self._state
        match event:
            case RunStarted():
                ended = (JobStatus.SKIPPED, JobStatus.DONE) if event.run.request.videos else (JobStatus.SKIPPED,)
                jobs = [job for job in event.run.jobs if job.status in ended]
                return [f"{job.network}: {MARKS[job.status]}: {outcome_line(job)}" for job in jobs]
            case RepetitionStarted():
                return [f"{event.network}: {event.name}"]
            case StageStarted():
                return [f"{event.network}: {event.name} (after {duration(state.elapsed_s)})"]
            case Progressed():
                return self._progress(event)
            case Noted() if event.text:
                return [f"{event.network}: {event.text}" if event.network else event.text]
        return []

    def _progress(self, event: Progressed) -> list[str]:
        state, now_s = self._state, time.monotonic()
        if event.done != event.total and now_s - self._said_s < _STEP_S:
            return []
        self._said_s = now_s
        left = ""
        if state.remaining_s is not None and event.done != event.total:
            left = f", {duration(state.remaining_s)} left"
        return [f"{event.network}: {state.stage} {state.counts} ({duration(state.elapsed_s)}{left})"]
