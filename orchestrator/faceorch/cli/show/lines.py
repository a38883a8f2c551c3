"""What every display says alike: how far a job is, how it ended, and how to go on after the run."""

from __future__ import annotations

import os
import time
from pathlib import Path

from faceorch.record.claims import Agreement, compare_claims, figure, name_of
from faceorch.record.folder import judge_command, resume_command
from faceorch.record.kinds import JobStatus, RunStatus
from faceorch.record.run import Job, Judging, Run
from faceorch.words import duration

MARKS = {JobStatus.DONE: "done", JobStatus.FAILED: "FAILED", JobStatus.SKIPPED: "skipped"}


class Progress:
    """Where the current job is, and how long the current stage may still take."""

    def __init__(self) -> None:
        self.begun_s = time.monotonic()
        self.stage = "start"
        self.note = ""
        self.done = self.total = 0
        self.unit = ""
        self._counting_since_s = self.begun_s
        self._first = 0

    def enter(self, stage: str) -> None:
        """Begin a stage."""
        self.stage, self.note, self.done, self.total = stage, "", 0, 0
        self._first, self._counting_since_s = 0, time.monotonic()

    def count(self, done: int, total: int, unit: str) -> None:
        """Record how much of the stage is done."""
        if self.total == 0:  # the first count: what came before it was preparation of this stage
            self._first, self._counting_since_s = done, time.monotonic()
        self.done, self.total, self.unit = done, total, unit

    @property
    def elapsed_s(self) -> float:
        """Seconds since the job began."""
        return time.monotonic() - self.begun_s

    @property
    def remaining_s(self) -> float | None:
        """Seconds left in this stage at the pace so far; None while nobody knows."""
        finished = self.done - self._first
        if finished <= 0 or self.total <= 0:
            return None
        return (time.monotonic() - self._counting_since_s) / finished * max(0, self.total - self.done)

    @property
    def counts(self) -> str:
        """How much is done, in words."""
        return f"{self.done}/{self.total} {self.unit}" if self.total else ""


def outcome_line(job: Job) -> str:
    """Return one line on how a job ended."""
    if job.status is JobStatus.DONE and job.video is not None:
        if job.source is not None:
            return f"{job.video.file} ({job.video.width}x{job.video.height}, {job.video.fps:g} fps) from {job.source}"
        pace = "" if job.compute_s_per_video_s is None else f", {job.compute_s_per_video_s:.2f} s per second of video"
        size = f"{job.video.width}x{job.video.height}, {job.video.fps:g} fps"
        return f"{job.video.file} ({size}) in {duration(job.times.total_s)}{pace}"
    if job.reason is None:
        return "not finished"
    return f"{job.reason.text} -> {job.reason.remedy}" if job.reason.remedy else job.reason.text


def judging_line(judging: Judging) -> str:
    """Return one line on how judging went."""
    if judging.reason is None:
        return "done"
    return f"no judgement: {judging.reason.text}" + (f" -> {judging.reason.remedy}" if judging.reason.remedy else "")


def measured_line(job: Job) -> str:
    """Return what was measured of a video, and where it differs from what is claimed; empty without a judgement."""
    if job.judgement is None:
        return ""
    parts = []
    for compared in compare_claims(job.claims, job.judgement):
        finding = compared.finding
        if finding is None:
            continue
        value = figure(finding)
        text = f"{name_of(compared.key)}: {finding.says}" + (f", {value}" if value else "")
        parts.append(text + (f" (claimed: {compared.claimed})" if compared.agreement is Agreement.DIFFERS else ""))
    sync = job.judgement.findings.get("lip_sync")
    parts += [f"lip-sync: {sync.says}"] if sync is not None else []
    return f"{job.network}: measured: {'; '.join(parts)}" if parts else ""


def closing_lines(run: Run, folder: Path) -> list[str]:
    """Return what to mind, where the videos and the report are, and how to go on."""
    path = os.path.relpath(folder)
    lines = [f"{job.network}: mind: {note}" for job in run.jobs for note in job.notes if not run.synthetic]
    lines += [line for job in run.jobs if (line := measured_line(job))]
    lines += [f"judge: {note}" for note in (run.judging.notes if run.judging is not None else ())]
    lines += [f"videos: {path}", f"report: {path}/report.html"]
    if run.synthetic:
        lines += [f"{job.network}: {note}" for job in run.jobs for note in job.notes if note.startswith("checked: ")]
        lines.append("synthetic: these videos show that the code runs, not what the networks can do")
    elif run.status is RunStatus.DONE and run.judging is not None and run.judging.reason is not None:
        lines.append(f"judge it later with: {judge_command(folder)}")
    elif run.status is RunStatus.INTERRUPTED:
        lines.append(f"interrupted; finish it with: {resume_command(folder)}")
    return lines
