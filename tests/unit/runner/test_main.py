"""The contract package: job file in, events and a video out."""

from __future__ import annotations

import json
from pathlib import Path

import psutil
import pytest

from faceorch.media.video import probe_video
from faceorch_runner import Event, EventKind, EventParser
from faceorch_runner.video import find_ffmpeg
from tests.conftest import FOR_EVER_S, GREY_RUNNER, LIMIT_S
from tests.killing import until
from tests.unit.runner.conftest import HANG, Start, close, failing, finish


def test_a_job_gives_a_video_with_the_clips_audio_and_a_done_event(start: Start, tmp_path: Path) -> None:
    code, events, log = finish(start())
    assert code == 0, log
    kinds = [event.kind for event in events]
    assert kinds[-1] is EventKind.DONE
    assert kinds.count(EventKind.SETUP) == 1
    stages = [event.data["name"] for event in events if event.kind is EventKind.STAGE]
    assert stages == ["import", "check", "setup", "animate", "frames"]
    info = probe_video(tmp_path / "out" / "job0.mp4")
    assert (info.width, info.height, info.fps, info.frames) == (64, 48, 25, 25)
    assert (info.codec, info.pixel_format, info.audio_codec) == ("h264", "yuv420p", "aac")
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["job0.mp4"], "the scratch folder is gone"
    metrics = {event.data["name"] for event in events if event.kind is EventKind.METRIC}
    assert {"frames", "encode_s", "first_frame_s", "peak_rss_bytes"} <= metrics


def test_the_same_job_gives_the_same_bytes(start: Start, tmp_path: Path) -> None:
    finish(start())
    first = (tmp_path / "out" / "job0.mp4").read_bytes()
    finish(start())
    assert (tmp_path / "out" / "job0.mp4").read_bytes() == first


def test_models_are_loaded_once_for_many_jobs(start: Start) -> None:
    code, events, _ = finish(start(jobs=3))
    assert code == 0
    assert [event.job for event in events if event.kind is EventKind.DONE] == ["job0", "job1", "job2"]
    assert len([event for event in events if event.kind is EventKind.SETUP]) == 1


def test_a_network_that_loads_its_models_knows_the_first_jobs(start: Start) -> None:
    knowing = GREY_RUNNER + (
        "    def setup(self, weights, device):\n        print('known:', [job.settings['speed'] for job in self.jobs])\n"
    )
    code, _, log = finish(start(knowing, jobs=2, settings={"speed": "tuned"}))
    assert code == 0
    assert "known: ['tuned', 'tuned']" in log


@pytest.mark.parametrize("broken", [False, True])
def test_on_a_gpu_torch_is_imported_before_the_models_are_loaded(start: Start, tmp_path: Path, broken: bool) -> None:
    (tmp_path / "packages").mkdir()
    (tmp_path / "packages/torch.py").write_text(
        "raise OSError('no libcudart')\n" if broken else "here = True\n", "utf-8"
    )
    wanting = GREY_RUNNER + (
        "    def setup(self, weights, device):\n        import sys\n        print('before:', 'torch' in sys.modules)\n"
        "        import torch\n        torch.cuda = type('', (), {'is_available': staticmethod(lambda: False)})\n"
        "        torch.manual_seed = int\n"
    )
    code, events, log = finish(start(wanting, device="cuda"))
    if broken:
        assert (code, events[-1].data["message"]) == (1, "OSError: no libcudart"), "said by who needs it"
    else:
        assert code == 0, log
    assert f"before: {not broken}" in log


@pytest.mark.parametrize("broken", [False, True])
def test_ffmpeg_is_found_before_somebody_waits_for_it(start: Start, tmp_path: Path, broken: bool) -> None:
    (tmp_path / "packages").mkdir()
    (tmp_path / "packages/imageio_ffmpeg.py").write_text(
        "import threading\n"
        "looked = []\n"
        "def get_ffmpeg_exe():\n"
        "    looked.append(threading.current_thread().name)\n"
        + ("    raise RuntimeError('no ffmpeg')\n" if broken else f"    return {find_ffmpeg()!r}\n"),
        "utf-8",
    )
    waiting = GREY_RUNNER + (
        "    def setup(self, weights, device):\n        import imageio_ffmpeg, time\n"
        "        while not imageio_ffmpeg.looked: time.sleep(0.01)\n        print('in', imageio_ffmpeg.looked)\n"
    )
    code, events, log = finish(start(waiting))
    assert "in ['ffmpeg']" in log
    if broken:
        assert (code, events[-1].data["message"]) == (1, "RuntimeError: no ffmpeg"), "said by who needs it"
    else:
        assert code == 0, log


def test_what_upstream_prints_is_log_and_not_event(start: Start) -> None:
    noisy = GREY_RUNNER + "\nimport os\nprint('hello from upstream')\nos.write(1, b'native noise\\n')\n"
    code, _, log = finish(start(noisy))
    assert code == 0
    assert "hello from upstream" in log
    assert "native noise" in log


@pytest.mark.parametrize(
    ("line", "kind", "message"),
    [
        ("raise ValueError('wrong')", "crash", "ValueError: wrong"),
        ("raise NoFace('no face found')", "no_face", "no face found"),
        ("raise BadInput('too wide')", "bad_input", "too wide"),
        ("raise MissingWeight('a.pth is missing')", "missing_weight", "a.pth is missing"),
        ("raise MemoryError()", "out_of_memory", "MemoryError: MemoryError"),
        (
            "raise RuntimeError('CUDA out of memory. Tried')",
            "gpu_out_of_memory",
            "RuntimeError: CUDA out of memory. Tried",
        ),
        ("raise SystemExit(0)", "crash", "SystemExit: 0"),
        ("return job.work / 'nothing.mp4'", "crash", None),
        ("raise 'a string'", "crash", "TypeError: exceptions must derive from BaseException"),
    ],
)
def test_a_failure_is_an_error_event_and_exit_code_1(start: Start, line: str, kind: str, message: str | None) -> None:
    code, events, _ = finish(start(failing(line)))
    assert code == 1
    error = events[-1]
    assert (error.kind, error.job, error.data["kind"]) == (EventKind.ERROR, "job0", kind)
    if message is not None:
        assert error.data["message"] == message


def test_one_failing_job_does_not_stop_the_next(start: Start) -> None:
    source = GREY_RUNNER.replace("progress.stage(", "assert job.id != 'job0'\n        progress.stage(")
    code, events, _ = finish(start(source, jobs=2))
    assert code == 1
    assert [(event.kind, event.job) for event in events if event.kind in (EventKind.DONE, EventKind.ERROR)] == [
        (EventKind.ERROR, "job0"),
        (EventKind.DONE, "job1"),
    ]


def test_a_refused_job_fails_before_setup(start: Start) -> None:
    check = "def check(self, job): raise NoFace('no face in it')"
    code, events, _ = finish(start(failing("pass", before=check)))
    assert code == 1
    assert events[-1].data == {"kind": "no_face", "message": "no face in it"}
    assert EventKind.SETUP not in [event.kind for event in events]


def test_the_end_of_stdin_ends_the_runner(start: Start) -> None:
    process = start(failing(HANG), feed="stdin")
    assert process.stdin is not None
    assert process.stdout is not None
    assert any(b'"animate"' in line for line in process.stdout), "it hangs now"
    process.stdin.close()
    assert process.wait(LIMIT_S) == 75
    close(process)


def test_jobs_arrive_on_stdin_until_drained(start: Start, portrait: Path, clip: Path) -> None:
    process = start(feed="stdin", jobs=1)
    assert process.stdin is not None
    job = {"id": "late", "portrait": str(portrait), "audio": str(clip), "seed": 1, "settings": {}}
    process.stdin.write(json.dumps(job).encode() + b'\n{"op":"drain"}\n')
    process.stdin.flush()
    parser = EventParser()
    done = []
    assert process.stdout is not None
    for line in process.stdout:
        done += [i.job for i in parser.feed(line) if isinstance(i, Event) and i.kind is EventKind.DONE]
    assert done == ["job0", "late"]
    assert process.wait(LIMIT_S) == 0
    close(process)


APART = """
    import os, time
    from faceorch_runner import Network, NoFace
    class Looks(Network):
        checks_apart = True
        def check(self, job):
            {check}
        def setup(self, weights, device):
            {setup}
        def animate(self, job, progress):
            {animate}
"""


def apart(check: str, setup: str = "pass", animate: str = "raise SystemExit(0)") -> str:
    return APART.format(check=check, setup=setup, animate=animate)


def test_a_check_apart_hands_over_what_it_found(start: Start) -> None:
    source = apart(
        "self.seen = getattr(self, 'seen', 0) + 1; return self.seen, os.getpid()",
        animate="assert job.found[1] != os.getpid(); raise NoFace(f'the {job.found[0]}. look')",
    )
    code, events, _ = finish(start(source, jobs=2))
    assert code == 1
    assert [event.data["message"] for event in events if event.kind is EventKind.ERROR] == [
        "the 1. look",
        "the 2. look",
    ]


def test_nobody_looks_for_garbage_until_the_models_are_there_and_then_none_is_left(start: Start) -> None:
    source = apart(
        "import gc; return gc.isenabled()",
        setup="import gc, weakref; me = Looks(); me.me = me; self.left = weakref.ref(me); self.on = gc.isenabled()",
        animate="import gc; raise NoFace(f'{job.found} {self.on} {gc.isenabled()} {self.left() is None}')",
    )
    code, events, log = finish(start(source))
    assert code == 1, log
    assert events[-1].data["message"] == "True False True True", "check, setup, animate, what setup left"


def test_the_models_are_loaded_while_a_check_goes_on(start: Start, tmp_path: Path) -> None:
    there = tmp_path / "set-up"
    wait = f"while not os.path.exists({str(there)!r}): time.sleep(0.01)"
    code, events, log = finish(
        start(apart(wait, setup=f"open({str(there)!r}, 'w').close()", animate="raise NoFace('')"))
    )
    assert [event.data["kind"] for event in events if event.kind is EventKind.ERROR] == ["no_face"], log
    assert code == 1


def test_who_is_refused_apart_does_not_wait_for_the_models(start: Start) -> None:
    code, events, log = finish(start(apart("raise NoFace('nobody in it')", setup=f"time.sleep({FOR_EVER_S})")))
    assert code == 1, log
    kinds = [event.kind for event in events]
    error = kinds.index(EventKind.ERROR)
    assert events[error].data == {"kind": "no_face", "message": "nobody in it"}
    # The main thread has its own stages, also in the moment before the runner leaves.
    assert events[error - 1].data == {"name": "check"}, "whoever listens knows what has failed"


@pytest.mark.parametrize(
    ("line", "kind", "message"),
    [
        ("raise ValueError('wrong')", "crash", "ValueError: wrong"),
        ("raise SystemExit(0)", "crash", "SystemExit: 0"),
        ("raise MemoryError", "out_of_memory", "MemoryError: MemoryError"),
        ("os.kill(os.getpid(), 11)", "crash", "the check of {portrait} was ended by SIGSEGV"),
        ("os._exit(3)", "crash", "the check of {portrait} was ended by exit code 3"),
        ("return lambda: 0", "crash", None),  # cannot be handed over
    ],
)
def test_whatever_a_check_apart_does_is_one_line(
    start: Start, portrait: Path, line: str, kind: str, message: str | None
) -> None:
    code, events, _ = finish(start(apart(line, setup=f"time.sleep({FOR_EVER_S})")))
    assert code == 1
    (error,) = (event.data for event in events if event.kind is EventKind.ERROR)
    assert error["kind"] == kind
    if message is not None:
        assert error["message"] == message.format(portrait=portrait.name)


def test_a_check_apart_ends_with_its_runner(start: Start, tmp_path: Path) -> None:
    process = start(
        apart(f"open({str(tmp_path / 'pid')!r}, 'w').write(f'{{os.getpid()}}\\n'); time.sleep({FOR_EVER_S})")
    )
    until(lambda: (tmp_path / "pid").is_file() and (tmp_path / "pid").read_text("utf-8").endswith("\n"))
    child = psutil.Process(int((tmp_path / "pid").read_text("utf-8")))
    process.kill()
    process.wait(LIMIT_S)
    close(process)
    until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)
