"""A whole comparison, as whoever asks for one wants it: the run executed, judged, and its report written."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from faceorch import report
from faceorch.errors import RunFolderError
from faceorch.judging.folder import judge_again, judge_folder
from faceorch.networks.discover import Network
from faceorch.record.folder import RunFolder, resume_command
from faceorch.record.kinds import RunStatus
from faceorch.record.request import Request
from faceorch.runs.events import Listener, Noted, RunEnded, RunStarted
from faceorch.runs.execute import execute
from faceorch.runs.imported import import_run
from faceorch.runs.job import Check
from faceorch.runs.reading import Reading
from faceorch.runs.resume import resume_run
from faceorch.runs.start import Started, start_run
from faceorch.runtimes import Runtime

_STARTED_S = 0.25  # until a container has started, for which preparing would fight with it


def compare(
    request: Request,
    out: Path,
    tell: Listener,
    *,
    check: Check | None = None,
    reading: Reading | None = None,
    networks: Mapping[str, Network] | None = None,
    runtimes: Mapping[str, Runtime] | None = None,
) -> RunFolder:
    """Do everything that `request` asks for, in a new folder below `out`; return the finished run folder.

    The videos are judged once the last of them is made, unless the request says otherwise or is one of stand-in
    weights, whose videos mean nothing. `check` sees every finished video; `reading` is that of the request's inputs
    and `runtimes` are its own, when they have been begun already; `networks` are those that can be named, by default
    every one that there is.
    Raises `UserError` for whatever the user can fix, before anything is started or left behind; on
    `KeyboardInterrupt` the folder is complete and says how to go on.
    """
    return _finish(start_run(request, out, reading, networks, runtimes), tell, check)


def resume(
    path: Path,
    tell: Listener,
    *,
    timeout_s: float | None = None,
    pythons: Mapping[str, str] | None = None,
    use_images: Mapping[str, str] | None = None,
) -> RunFolder:
    """Do what is missing in an earlier run; return its finished folder."""
    started = resume_run(path, tell, timeout_s=timeout_s, pythons=pythons, use_images=use_images)
    return _finish(started, tell, None) if started.missing else _complete(started.folder, tell)


def bring(request: Request, out: Path, tell: Listener, *, reading: Reading | None = None) -> RunFolder:
    """Make a run folder of videos that were made elsewhere (`request.videos`), judged and with its report.

    Raises `UserError`, and leaves nothing behind, when an input or a video cannot be used.
    """
    folder = import_run(request, out, tell, reading)
    tell(RunStarted(run=folder.run))
    try:
        if request.judge:
            judge_folder(folder, tell)
    finally:
        _report(folder, tell)
    return folder


def judge(path: Path, tell: Listener, *, timeout_s: float | None = None) -> RunFolder:
    """Judge the videos of a finished run once more, and write its report again; `UserError` when that fails."""
    folder = RunFolder.load(path)
    if folder.run.status is RunStatus.RUNNING:
        raise RunFolderError(f"{path} is not finished", resume_command(folder.path))
    try:
        judge_again(folder, tell, timeout_s=timeout_s)
    finally:
        _report(folder, tell)
    return folder


def _report(folder: RunFolder, tell: Listener) -> None:
    """Write the report, with a grid of all videos once there are no more to come."""
    with_grid = folder.run.status is RunStatus.DONE
    if with_grid and report.takes_seconds(folder):
        tell(Noted(network=None, text="writing the report, and grid.mp4 of all videos"))
    report.write_report(folder, with_grid=with_grid)
    tell(RunEnded(folder=os.fspath(folder.path), run=folder.run))


def _complete(folder: RunFolder, tell: Listener) -> RunFolder:
    """Report that a run is complete, after writing what a kill has left unwritten."""
    with folder.locked():
        if folder.run.status is not RunStatus.DONE:
            folder.run.status = RunStatus.DONE
            folder.save()
        unwritten = not report.is_written(folder)
        if unwritten:
            report.write_report(folder)
    tell(Noted(network=None, text="nothing is missing: every network of this run has its video"))
    if unwritten:
        tell(Noted(network=None, text="its report, or a part of it, was missing, and is written"))
    tell(RunEnded(folder=os.fspath(folder.path), run=folder.run))
    return folder


def _finish(started: Started, tell: Listener, check: Check | None) -> RunFolder:
    """Execute, and write the report, also when the run was interrupted."""
    folder = started.folder
    # Once the first runner is at work there is nothing to do here but wait; before, preparing would hold it up.
    with report.prepared(folder, after_s=_STARTED_S):
        try:
            execute(started, tell, check)
            if folder.run.request.judge and not folder.run.synthetic:
                judge_folder(folder, tell)
        finally:
            if folder.run.status is not RunStatus.RUNNING:
                _report(folder, tell)
    return folder
