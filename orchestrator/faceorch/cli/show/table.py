"""The live view of a run on a terminal: one line per network."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

from rich.console import Console, OverflowMethod
from rich.live import Live
from rich.markup import escape
from rich.text import Text

from faceorch.cli.show import Display
from faceorch.cli.show.lines import MARKS, Progress, closing_lines, judging_line, outcome_line
from faceorch.record.kinds import JobStatus
from faceorch.record.run import Job, Judging, Run
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


class LiveTable(Display):
    """One line per network: stage, counts, elapsed and remaining time."""

    def __init__(self, console: Console | None = None) -> None:
        # NO_COLOR is honoured by rich.
        self._console = console = console or Console(highlight=False, soft_wrap=True)
        self._run: Run | None = None
        self._current: str | None = None
        self._turn = ""
        self._judge: str | None = None
        self._judging: Judging | None = None
        self._judged_s = 0.0
        self._state = Progress()
        self._live = Live(console=console, get_renderable=self._lines, refresh_per_second=8, transient=False)

    def __enter__(self) -> LiveTable:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live.is_started:
            self._live.stop()

    def _lines(self) -> Text:
        """Return one line per network; what does not fit is cut at its end, never at its beginning."""
        rows = [self._row(job) for job in (self._run.jobs if self._run is not None else ())]
        rows += [self._judges_row(self._judge)] if self._judge is not None else []
        widths = [max((len(row[column][0]) for row in rows), default=0) for column in range(4)]
        lines = []
        for row in rows:
            cells = [
                (text.ljust(width + 2 if width else 0), style)
                for (text, style), width in zip(row[:4], widths, strict=True)
            ]
            lines.append(Text.assemble(*cells, row[4]))
        overflow: OverflowMethod = "ellipsis" if self._console.encoding.startswith("utf") else "crop"
        for line in lines:
            line.truncate(self._console.width, overflow=overflow)
        return Text("\n").join(lines)

    def _row(self, job: Job) -> list[tuple[str, str]]:
        """Return name, stage, elapsed, remaining and detail, each with its style."""
        name = (job.network, "bold")
        if job.network == self._current:
            return self._at_work(job.network)
        total = duration(job.times.total_s)
        match job.status:
            case JobStatus.DONE:
                return [name, ("done", "green"), (total, ""), ("", ""), (outcome_line(job), "")]
            case JobStatus.FAILED:
                return [name, ("FAILED", "red"), (total, ""), ("", ""), (outcome_line(job), "")]
            case JobStatus.SKIPPED:
                return [name, ("skipped", "yellow"), ("", ""), ("", ""), (outcome_line(job), "dim")]
            case _:
                return [name, ("waiting", "dim"), ("", ""), ("", ""), ("", "")]

    def _at_work(self, name: str) -> list[tuple[str, str]]:
        """Return the row of what is at work now."""
        state = self._state
        left = "" if state.remaining_s is None else f"{duration(state.remaining_s)} left"
        detail = state.counts or state.note
        return [(name, "bold"), (state.stage, "cyan"), (duration(state.elapsed_s), ""), (left, ""), (detail, "")]

    def _judges_row(self, name: str) -> list[tuple[str, str]]:
        if self._judging is None:
            return self._at_work(name)
        failed = self._judging.reason is not None
        state, style = ("no judgement", "yellow") if failed else ("done", "green")
        line = judging_line(self._judging) if failed else ""
        return [(name, "bold"), (state, style), (duration(self._judged_s), ""), ("", ""), (line, "")]

    def __call__(self, event: Event) -> None:
        """Show `event` in the table, or above it."""
        match event:
            case RunStarted():
                self._run = event.run
                self._live.start()
            case JobStarted():
                self._current, self._state, self._turn = event.network, Progress(), ""
            case RepetitionStarted():
                self._turn = f"{event.name}: "
            case StageStarted():
                self._state.enter(f"{self._turn}{event.name}")
            case Progressed():
                self._state.count(event.done, event.total, event.unit)
            case Noted() if event.network:
                self._state.note = event.text
            case Noted():
                self._console.print(escape(event.text))
            case JobEnded():
                self._current = None
                self._live.refresh()
            case JudgingStarted():
                self._current, self._state, self._turn = None, Progress(), ""
                self._judge = event.judge
                self._live.start()
            case JudgingEnded():
                self._judge, self._judging = event.judge, event.judging
                self._judged_s = self._state.elapsed_s
                self._live.refresh()
            case RunEnded():
                self._end(event.run, Path(event.folder))

    def _end(self, run: Run, folder: Path) -> None:
        self._current = None
        self._live.stop()
        for job in run.jobs:
            if job.status in (JobStatus.FAILED, JobStatus.SKIPPED):
                # The table cuts long lines; what to do must be readable in full.
                self._console.print(f"{escape(job.network)}: {MARKS[job.status]}: {escape(outcome_line(job))}")
        if self._judging is not None and self._judging.reason is not None:
            self._console.print(f"{self._judge}: {escape(judging_line(self._judging))}")
        for line in closing_lines(run, folder):
            self._console.print(escape(line))
