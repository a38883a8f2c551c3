"""The contract package: job file in, events and a video out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from faceorch import media
from faceorch.paths import docker_folder
from faceorch_runner import ErrorKind, Event, EventKind, EventParser, Job, JobFile, RunnerError, VideoWriter
from faceorch_runner.errors import classify
from faceorch_runner.events import EventStream
from tests.conftest import FOR_EVER_S, GREY_RUNNER, LIMIT_S, write_code

Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def start(tmp_path: Path, portrait: Path, clip: Path) -> Start:
    """Return a function that starts a runner on a job file, with pipes."""

    def start(source: str = GREY_RUNNER, feed: str = "none", jobs: int = 1, **job: Any) -> subprocess.Popen[bytes]:
        code = tmp_path / "code"
        write_code(code, runner=source)
        out = tmp_path / "out"
        out.mkdir(exist_ok=True)
        entry = {"portrait": str(portrait), "audio": str(clip), "seed": 3, "settings": {}, **job}
        content = {
            "schema": 1,
            "network": "test",
            "code": str(code),
            "weights": None,
            "out": str(out),
            "device": "cpu",
            "feed": feed,
            "jobs": [{**entry, "id": f"job{n}"} for n in range(jobs)],
        }
        file = tmp_path / "job.json"
        file.write_text(json.dumps(content), "utf-8")
        env = {**os.environ, "PYTHONPATH": str(docker_folder() / "runner")}
        pipe = subprocess.PIPE
        return subprocess.Popen(
            [sys.executable, "-m", "faceorch_runner", str(file)], stdin=pipe, stdout=pipe, stderr=pipe, env=env
        )

    return start


def finish(process: subprocess.Popen[bytes]) -> tuple[int, list[Event], str]:
    stdout, stderr = process.communicate(timeout=LIMIT_S)
    parser = EventParser()
    items = [*parser.feed(stdout), *parser.close()]
    assert all(isinstance(item, Event) for item in items), "stdout carries events alone"
    return process.returncode, [item for item in items if isinstance(item, Event)], stderr.decode()


def close(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout, process.stderr):
        assert pipe is not None
        pipe.close()


def test_a_job_gives_a_video_with_the_clips_audio_and_a_done_event(start: Start, tmp_path: Path) -> None:
    code, events, _ = finish(start())
    assert code == 0
    kinds = [event.kind for event in events]
    assert kinds[-1] is EventKind.DONE
    assert kinds.count(EventKind.SETUP) == 1
    stages = [event.data["name"] for event in events if event.kind is EventKind.STAGE]
    assert stages == ["import", "check", "setup", "animate", "frames"]
    info = media.probe_video(tmp_path / "out" / "job0.mp4")
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


def test_what_upstream_prints_is_log_and_not_event(start: Start) -> None:
    noisy = GREY_RUNNER + "\nimport os\nprint('hello from upstream')\nos.write(1, b'native noise\\n')\n"
    code, _, log = finish(start(noisy))
    assert code == 0
    assert "hello from upstream" in log
    assert "native noise" in log


HANG = f"import time; time.sleep({FOR_EVER_S})"


def failing(line: str, before: str = "") -> str:
    return f"""
        from faceorch_runner import Network, NoFace, BadInput, MissingWeight
        class Bad(Network):
            {before or "pass"}
            def animate(self, job, progress):
                {line}
    """


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


def test_the_runners_own_deadline_ends_a_hang(start: Start) -> None:
    code, events, _ = finish(start(failing(HANG), timeout_s=0.3))
    assert code == 1
    assert events[-1].data == {"kind": "timeout", "message": "not finished after 0.3 s"}


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


def test_foreign_video_is_brought_to_the_contract(start: Start, tmp_path: Path) -> None:
    source = """
        import subprocess
        from faceorch_runner import Network
        from faceorch_runner.video import find_ffmpeg
        class Own(Network):
            def animate(self, job, progress):
                made = job.work / "own.avi"
                subprocess.run([find_ffmpeg(), "-v", "error", "-f", "lavfi", "-i", "testsrc=s=64x64:r=25:d=1",
                                "-c:v", "mjpeg", str(made)], check=True)
                return made
    """
    code, _, log = finish(start(source))
    assert code == 0, log
    info = media.probe_video(tmp_path / "out" / "job0.mp4")
    assert (info.codec, info.pixel_format, info.audio_codec, info.frames) == ("h264", "yuv420p", "aac", 25)


def test_two_networks_in_one_file_are_an_error(start: Start) -> None:
    code, events, _ = finish(start(GREY_RUNNER + "\nclass Other(Grey): pass\n"))
    assert code == 1
    assert "defines 2 subclasses of faceorch_runner.Network, 1 needed" in events[-1].data["message"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": 2}, "the job file has schema 2, this runner reads schema 1"),
        ({"extra": 1}, "the job file has unknown keys: extra"),
        ({"feed": "pipe"}, "'feed' is 'pipe', 'none' or 'stdin' needed"),
        ({"out": None}, "'out' is NoneType"),
        ({"jobs": [{"id": "../x"}]}, "job id '../x' is not a plain file name"),
    ],
)
def test_a_wrong_job_file_is_named(change: dict[str, Any], message: str) -> None:
    good = {
        "schema": 1,
        "network": "n",
        "code": "/c",
        "weights": None,
        "out": "/o",
        "device": "cpu",
        "feed": "none",
        "jobs": [],
    }
    assert JobFile.from_json(good).network == "n"
    with pytest.raises(RunnerError) as caught:
        JobFile.from_json({**good, **change})
    assert str(caught.value) == message


def test_events_survive_any_cut_and_any_noise(tmp_path: Path) -> None:
    path = tmp_path / "stream"
    with path.open("wb") as file:
        stream = EventStream(file.fileno())
        stream.emit(EventKind.STAGE, "a", name="x\ny\x1e")
        os.write(file.fileno(), b"noise without end")
        stream.emit(EventKind.PROGRESS, "a", done=1, total=2, unit="frames")
        os.write(file.fileno(), b"\x1e{broken\nplain line\n\x1e[1]\ntail")
    data = path.read_bytes()
    for size in (1, 2, 7, len(data)):
        parser = EventParser()
        items = [i for n in range(0, len(data), size) for i in parser.feed(data[n : n + size])]
        items += parser.close()
        assert [i.kind for i in items if isinstance(i, Event)] == [EventKind.STAGE, EventKind.PROGRESS]
        assert [i for i in items if isinstance(i, str)] == [
            "noise without end",
            "not an event (Expecting property name enclosed in double quotes: line 1 column 2 (char 1)): {broken",
            "plain line",
            "not an event (an event is a JSON object): [1]",
            "tail",
        ]


def test_error_sentences_are_classified() -> None:
    assert classify(RuntimeError("CUDA error: no kernel image is available for execution on the device")) is (
        ErrorKind.UNSUPPORTED_GPU
    )
    assert classify(OSError(12, "Cannot allocate memory")) is ErrorKind.OUT_OF_MEMORY
    assert classify(KeyError("x")) is ErrorKind.CRASH


def test_odd_frame_sizes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="frame size 63x48: yuv420p needs even sizes above 0"):
        VideoWriter(tmp_path / "v.mp4", tmp_path / "a.wav", 63, 48, 25)


def test_a_frame_of_the_wrong_size_is_refused(tmp_path: Path, clip: Path) -> None:
    job = Job("a", tmp_path, clip, 0, {}, tmp_path)
    with (
        pytest.raises(ValueError, match="frame of 3 bytes, 64x48x3 needed"),
        job.video(64, 48, 25) as video,
    ):
        video.write(b"abc")


def test_an_encoder_that_cannot_write_says_why(tmp_path: Path, clip: Path) -> None:
    def write() -> None:
        with VideoWriter(tmp_path / "v.mp4", tmp_path / "missing.wav", 64, 48, 25) as video:
            while True:  # the pipe takes some frames before anybody notices
                video.write(bytes(64 * 48 * 3))

    with pytest.raises(RunnerError, match=r"ffmpeg stopped: .*No such file or directory"):
        write()
