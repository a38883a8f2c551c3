"""What a run tells while it goes on; the CLI shows it in one of several ways."""

from __future__ import annotations

from pathlib import Path

from faceorch.record import Job
from faceorch.record import Run as RunRecord


class Observer:
    """Hears everything that happens in a run, in order, in one thread."""

    def run_started(self, run: RunRecord) -> None:
        """The run folder exists; skipped jobs are known."""

    def job_started(self, job: Job) -> None:
        """A job begins."""

    def repetition(self, network: str, name: str) -> None:
        """One of several repetitions of the current job begins, such as `repetition 2 of 5`."""

    def stage(self, network: str, name: str) -> None:
        """A stage of the current job begins."""

    def progress(self, network: str, done: int, total: int, unit: str) -> None:
        """Part of the current stage is done."""

    def note(self, network: str, text: str) -> None:
        """One line about what is going on, such as a package being installed."""

    def job_ended(self, job: Job) -> None:
        """A job has its outcome."""

    def run_ended(self, run: RunRecord, folder: Path) -> None:
        """The run is over (done or interrupted) and its report is written."""
