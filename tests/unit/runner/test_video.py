"""One encode for every network: what is refused, and what every video says of its colours."""

from __future__ import annotations

import re
from pathlib import Path

import av
import pytest

from faceorch.media.video import probe_video
from faceorch_runner import Job, RunnerError, VideoWriter
from faceorch_runner.video import conform
from tests.unit.encoded import PICTURE, SOUND, make
from tests.unit.runner.conftest import Start, finish


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
    info = probe_video(tmp_path / "out" / "job0.mp4")
    assert (info.codec, info.pixel_format, info.audio_codec, info.frames) == ("h264", "yuv420p", "aac", 25)


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


@pytest.mark.parametrize(("asked", "used"), [({}, 4), ({"threads": 8}, 8)], ids=["as ever", "more"])
def test_the_encoder_takes_as_many_threads_on_every_host(
    asked: dict[str, int], used: int, tmp_path: Path, clip: Path
) -> None:
    job = Job("a", tmp_path, clip, 0, {}, tmp_path)
    with job.video(64, 48, 25, **asked) as video:
        video.write(bytes(64 * 48 * 3))
    (said,) = re.findall(rb" threads=(\d+)", video.path.read_bytes())  # x264 writes its options into the stream
    assert int(said) == used


def test_an_encoder_that_cannot_write_says_why(tmp_path: Path, clip: Path) -> None:
    def write() -> None:
        with VideoWriter(tmp_path / "v.mp4", tmp_path / "missing.wav", 64, 48, 25) as video:
            while True:  # the pipe takes some frames before anybody notices
                video.write(bytes(64 * 48 * 3))

    with pytest.raises(RunnerError, match=r"ffmpeg stopped: .*No such file or directory"):
        write()


def says_bt709(path: Path) -> bool:
    """Whether a video says three times that it is BT.709, in its stream and in the box in which players look first."""
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        stream = (context.colorspace, context.color_primaries, context.color_trc)
    data = path.read_bytes()
    at = data.index(b"colr")
    return stream == (1, 1, 1) and data[at + 4 : at + 14] == b"nclx" + b"\0\1" * 3


def test_our_own_videos_say_three_times_that_they_are_bt709(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    sound = make(tmp_path / "a.wav", *SOUND)
    with VideoWriter(path, sound, 64, 48, 25) as video:
        for _ in range(25):
            video.write(bytes(64 * 48 * 3))
    assert says_bt709(path)


@pytest.mark.parametrize(
    "made",
    [
        ("-c:v", "mpeg4"),  # is encoded again
        ("-vf", "setparams=colorspace=bt709:color_primaries=bt709:color_trc=bt709,format=yuv420p", "-c:v", "libx264"),
    ],
    ids=["encoded", "copied"],
)
def test_so_do_videos_of_other_code(tmp_path: Path, made: tuple[str, ...]) -> None:
    sound = make(tmp_path / "a.wav", *SOUND)
    conform(make(tmp_path / "theirs.mp4", *PICTURE, *made), sound, tmp_path / "ours.mp4")
    assert says_bt709(tmp_path / "ours.mp4")
