"""The runner: checks every job, sets the network up once, animates one job after the other."""

from __future__ import annotations

import gc
import importlib
import json
import os
import platform
import queue
import random
import shutil
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from . import __version__ as runner_version
from . import lifeline
from .deadline import Deadline
from .errors import RunnerError, classify, one_line
from .events import EventKind, EventStream
from .gpu import Opening, load_torch
from .jobs import Feed, Job, JobFile, job_from_json, read_json
from .network import Network, Progress, load_network
from .tasks import TaskFile, run_task
from .video import conform, find_ffmpeg

if TYPE_CHECKING:
    from .apart import Apart

EXIT_DONE = 0
EXIT_FAILED = 1

Check = Callable[[Job], Any]


def main(arguments: list[str]) -> int:
    """Run the job file named by the only argument; return the exit code."""
    # Upstream code prints freely: file descriptor 1 becomes stderr, and events alone keep the real stdout.
    events = EventStream(os.dup(1))
    os.dup2(2, 1)
    if len(arguments) != 1:
        print("usage: python -m faceorch_runner JOB_FILE", file=sys.stderr)
        return EXIT_FAILED
    try:
        raw = read_json(Path(arguments[0]))
        if isinstance(raw, dict) and raw.get("feed") == Feed.STDIN.value:
            lifeline.hold()
        if isinstance(raw, dict) and "op" in raw:
            run_task(TaskFile.from_json(raw), events)
            return EXIT_DONE
        file = JobFile.from_json(raw)
    except BaseException as error:
        _fail(events, None, error)
        return EXIT_FAILED
    return _Runner(file, events).run()


class _Runner:
    def __init__(self, file: JobFile, events: EventStream) -> None:
        self.file, self.events = file, events
        self.failed = False
        self.fed: queue.SimpleQueue[Job | None] = queue.SimpleQueue()

    def run(self) -> int:
        # What is imported and loaded stays: looking through it for garbage, again and again, is a tenth of the start.
        gc.disable()
        try:
            self.events.emit(EventKind.STAGE, None, name="import")
            network = load_network(self.file.code, self.file.network)
            network.jobs = self.file.jobs
            apart = _apart(network)  # a fork, so before there are threads
        except BaseException as error:
            _fail(self.events, None, error)
            return EXIT_FAILED
        gpu = Opening() if self.file.device == "cuda" else None
        finding = threading.Thread(target=_find_ffmpeg, name="ffmpeg", daemon=True)
        finding.start()
        if self.file.feed is Feed.STDIN:
            threading.Thread(target=self._read_stdin, name="lifeline", daemon=True).start()
        jobs, check = [], network.check
        if apart is not None:
            check = apart.check
            checking = apart.meanwhile(lambda: self._check_all(check, ahead=True))
        elif self.file.jobs and not (jobs := self._check_all(check)):
            return EXIT_FAILED
        if gpu is not None:
            load_torch()
            gpu.torch_is_loaded()
            _import_torch()
            gpu.wait_until_decided()
        gc.freeze()  # what is there by now stays: later looks leave it out
        if not self._setup(network):
            return EXIT_FAILED
        gc.collect()  # what loading has left behind: among it may be weights
        gc.freeze()
        gc.enable()
        if apart is not None:
            if not checking.done():
                self.events.emit(EventKind.STAGE, None, name="check")
            jobs = checking.result()
        finding.join()  # so that jobs are alone in this process
        for job in jobs:
            self._animate(network, job)
        for job in self._fed_jobs():
            if (checked := self._check(check, job)) is not None:
                self._animate(network, checked)
        return EXIT_FAILED if self.failed else EXIT_DONE

    def _check_all(self, check: Check, *, ahead: bool = False) -> list[Job]:
        """Return the first jobs, less those that are refused; `ahead` of what the main thread does."""
        checked = [self._check(check, job, ahead=ahead) for job in self.file.jobs]
        jobs = [job for job in checked if job is not None]
        if ahead and self.file.jobs and not jobs:
            leave(EXIT_FAILED)  # the main thread need not go on
        return jobs

    def _check(self, check: Check, job: Job, *, ahead: bool = False) -> Job | None:
        """Return the job with what its check found; None when it is refused."""
        self.events.emit(EventKind.STAGE, job.id, name="check")
        try:
            job.work.mkdir(parents=True, exist_ok=True)
            return replace(job, found=check(job))
        except BaseException as error:
            self._fail_job(job, error, stage="check" if ahead else None)
            return None

    def _setup(self, network: Network) -> bool:
        self.events.emit(EventKind.STAGE, None, name="setup")
        started_s = time.monotonic()
        try:
            network.setup(self.file.weights, self.file.device)
        except BaseException as error:
            _fail(self.events, None, error)
            return False
        self.events.emit(
            EventKind.SETUP,
            None,
            elapsed_s=round(time.monotonic() - started_s, 4),
            device=self.file.device,
            runner=runner_version,
            python=platform.python_version(),
        )
        return True

    def _animate(self, network: Network, job: Job) -> None:
        progress = Progress(self.events, job.id)
        deadline = Deadline(self.events, job.id, job.timeout_s, EXIT_FAILED)
        started_s = time.monotonic()
        try:
            job.work.mkdir(parents=True, exist_ok=True)
            _seed(job.seed)
            _reset_allocator_peaks()
            progress.stage("animate")
            video = network.animate(job, progress)
            final = self._finish(job, video, progress)
        except BaseException as error:
            self._fail_job(job, error)
            return
        finally:
            deadline.cancel()
        for name, value in _allocator_peaks().items():
            progress.metric(name, value, "bytes")
        rss_bytes = _peak_rss_bytes()
        if rss_bytes is not None:
            progress.metric("peak_rss_bytes", rss_bytes, "bytes")
        for writer in job.writers:
            progress.metric("frames", writer.frames, "frames")
            progress.metric("encode_s", writer.blocked_s, "s")
            if writer.first_frame_s is not None:
                progress.metric("first_frame_s", writer.first_frame_s - started_s, "s")
        self.events.emit(EventKind.DONE, job.id, video=final.name, elapsed_s=round(time.monotonic() - started_s, 4))

    def _finish(self, job: Job, video: Path, progress: Progress) -> Path:
        if not video.is_file():
            raise RunnerError(f"the network returned {video}, which does not exist")
        if all(writer.path != video for writer in job.writers):
            progress.stage("encode")
            target = job.work / "conformed.mp4"
            conform(video, job.audio, target, synthetic=job.synthetic, label=job.label)
            video = target
        final = self.file.out / f"{job.id}.mp4"
        os.replace(video, final)
        shutil.rmtree(job.work)
        return final

    def _fail_job(self, job: Job, error: BaseException, *, stage: str | None = None) -> None:
        """Tell a job's failure; `stage` is where it failed, if the runner has gone on to another stage since."""
        self.failed = True
        shutil.rmtree(job.work, ignore_errors=True)
        _fail(self.events, job.id, error, stage)

    def _fed_jobs(self) -> Iterator[Job]:
        while self.file.feed is Feed.STDIN:
            job = self.fed.get()
            if job is None:
                return
            yield job

    def _read_stdin(self) -> None:
        """Queue what the host sends; leave at once when stdin ends without a `drain`: then the host is dead."""
        drained = False
        for line in sys.stdin.buffer:
            if not line.strip() or drained:
                continue
            try:
                raw = json.loads(line)
                if raw == {"op": "drain"}:
                    drained = True
                    self.fed.put(None)
                else:
                    self.fed.put(job_from_json(raw, self.file.out))
            except (ValueError, RecursionError, RunnerError) as error:
                self.failed = True
                _fail(self.events, None, error)
        # Also after `drain`: the host holds stdin open until the runner has left.
        os._exit(lifeline.EXIT_OWNER_DIED)


def _apart(network: Network) -> Apart | None:
    if not network.checks_apart or sys.platform != "linux":
        return None
    from .apart import Apart

    return Apart(network)


def leave(code: int) -> NoReturn:
    """End this process, whatever its threads do.

    Not sys.exit: native libraries that crash in their own exit handlers must not turn a finished job into a failure.
    """
    sys.stderr.flush()
    os._exit(code)


def _fail(events: EventStream, job: str | None, error: BaseException, stage: str | None = None) -> None:
    if not isinstance(error, RunnerError):
        traceback.print_exception(type(error), error, error.__traceback__, file=sys.stderr)
    sys.stderr.flush()
    with events.held():
        if stage is not None:
            events.emit(EventKind.STAGE, job, name=stage)
        events.emit(EventKind.ERROR, job, kind=classify(error).value, message=one_line(error))


def _import_torch() -> None:
    """Import torch, where there is one: it takes longest, and reads its settings when it first takes GPU memory.

    What is wrong with it is told by `setup`, which needs it.
    """
    with suppress(Exception):
        importlib.import_module("torch")


def _find_ffmpeg() -> None:
    """Find ffmpeg before somebody waits for it: imageio-ffmpeg has it tell its version first, once a process."""
    with suppress(Exception):  # told by who needs it
        find_ffmpeg()


def _seed(seed: int) -> None:
    """Seed every generator that is in use in this process."""
    random.seed(seed)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(seed % 2**32)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed)  # CPU and every CUDA device


def _reset_allocator_peaks() -> None:
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def _allocator_peaks() -> dict[str, int]:
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return {}
    return {
        "torch_peak_allocated_bytes": torch.cuda.max_memory_allocated(),
        "torch_peak_reserved_bytes": torch.cuda.max_memory_reserved(),
    }


def _peak_rss_bytes() -> int | None:
    """Return the largest resident set of this process so far (getrusage), None where the system has no such figure."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
