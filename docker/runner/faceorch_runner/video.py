"""Frames to H.264 yuv420p with the clip's audio: one encode, in a process of its own, for every network alike.

The encoder is the ffmpeg that the environment's lock pins (imageio-ffmpeg), or else the ffmpeg on PATH. The number of
threads does not depend on the host and all tags are dropped, so that equal frames give equal files.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Protocol

from .errors import RunnerError
from .label import label_for

CRF = 18
PRESET = "veryfast"
THREADS = 4
MORE_THREADS = 8  # where frames come faster than four threads encode them
_BITEXACT = ["-map_metadata", "-1", "-fflags", "+bitexact", "-flags:v", "+bitexact", "-flags:a", "+bitexact"]
_AUDIO = ["-c:a", "aac", "-b:a", "160k"]
# RGB is full range with sRGB primaries; players assume limited-range BT.709 for H.264, so convert and say so.
_FILTER = (
    "scale=out_range=tv:out_color_matrix=bt709:flags=bicubic+accurate_rnd+full_chroma_int,"
    # The filter before forgets two of the three, and the encoder believes its frames.
    "setparams=colorspace=bt709:color_primaries=bt709:color_trc=bt709:range=tv"
)
_COLOUR = [
    *("-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv"),
]
_CONTAINER = ["-movflags", "+faststart+write_colr"]  # players that do not look into the stream look there


# Players and `ffprobe` show these: nobody must take such a video for what a network can do.
SYNTHETIC_TITLE = "Synthetic: made by faceorch smoke"
SYNTHETIC_COMMENT = "Stand-in weights: this shows that the code runs, not what the network can do."
_SYNTHETIC = ["-metadata", f"title={SYNTHETIC_TITLE}", "-metadata", f"comment={SYNTHETIC_COMMENT}"]


class Buffer(Protocol):
    """Anything `memoryview` takes: bytes, a bytearray, a C-contiguous uint8 array."""

    def __len__(self) -> int: ...


class EncodeError(RunnerError):
    """ffmpeg is missing or failed."""


def find_ffmpeg() -> str:
    """Return the path of the ffmpeg to use."""
    try:
        import imageio_ffmpeg
    except ImportError:
        found = shutil.which("ffmpeg")
    else:
        found = str(imageio_ffmpeg.get_ffmpeg_exe())
    if not found:
        raise EncodeError("ffmpeg not found: the environment needs imageio-ffmpeg, or ffmpeg on PATH")
    return found


class VideoWriter:
    """Writes RGB frames to an H.264 file with audio; a context manager.

    After leaving it, `path` is complete. `frames` counts what was written, `first_frame_s` is the `time.monotonic()`
    of the first frame (None before it), `blocked_s` the time spent waiting for the encoder.
    """

    def __init__(
        self,
        path: Path,
        audio: Path,
        width: int,
        height: int,
        fps: float,
        *,
        threads: int = THREADS,
        synthetic: bool = False,
        label: bool = False,
    ) -> None:
        if width <= 0 or height <= 0 or width % 2 or height % 2:
            raise ValueError(f"frame size {width}x{height}: yuv420p needs even sizes above 0")
        if fps <= 0:
            raise ValueError(f"{fps} frames per second")
        self.path, self.audio = path, audio
        self.width, self.height, self.fps = width, height, fps
        self._threads = threads
        self._tags = _SYNTHETIC if synthetic else []
        self._label = label_for(width, height) if label else None
        self.frames = 0
        self.first_frame_s: float | None = None
        self.blocked_s = 0.0
        self._log = path.with_suffix(".ffmpeg.log")
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> VideoWriter:
        source = [
            "-f",
            "rawvideo",
            "-pix_fmt",
            "rgb24",
            "-s",
            f"{self.width}x{self.height}",
            "-r",
            f"{self.fps:g}",
        ]
        # A key frame every second keeps scrubbing in a browser quick.
        group = ["-g", str(max(1, round(self.fps)))]
        arguments = [
            *(find_ffmpeg(), "-hide_banner", "-loglevel", "error", "-nostdin", "-y"),
            *source,
            *("-i", "pipe:0", "-i", os.fspath(self.audio), "-map", "0:v:0", "-map", "1:a:0"),
            *("-vf", _FILTER),
            *(_COLOUR + _h264(self._threads) + group + _AUDIO + _BITEXACT + self._tags),
            *(*_CONTAINER, os.fspath(self.path)),
        ]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                arguments, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=log, bufsize=0
            )
        return self

    def write(self, frame: Buffer) -> None:
        """Write one frame: height*width*3 bytes of RGB, rows from top to bottom, C-contiguous."""
        view = memoryview(frame).cast("B")  # type: ignore[arg-type]
        if len(view) != self.width * self.height * 3:
            raise ValueError(f"frame of {len(view)} bytes, {self.width}x{self.height}x3 needed")
        if self._label is not None:
            view = self._label.onto(view, self.width)
        if self._process is None or self._process.stdin is None:
            raise EncodeError("the video is not open: use it as a context manager")
        started_s = time.monotonic()
        if self.first_frame_s is None:
            self.first_frame_s = started_s
        try:
            while view:
                view = view[self._process.stdin.write(view) :]
        except BrokenPipeError:
            raise EncodeError(f"ffmpeg stopped: {self._reason()}") from None
        self.blocked_s += time.monotonic() - started_s
        self.frames += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process, self._process = self._process, None
        if process is None or process.stdin is None:
            return
        started_s = time.monotonic()
        if kind is not None:
            process.kill()
        with contextlib.suppress(BrokenPipeError):  # ffmpeg's exit code says why
            process.stdin.close()
        code = process.wait()
        self.blocked_s += time.monotonic() - started_s
        if kind is not None:
            return
        if self.frames == 0:
            raise EncodeError("no frame was written")
        if code != 0:
            raise EncodeError(f"ffmpeg failed with exit code {code}: {self._reason()}")

    def _reason(self) -> str:
        lines = self._log.read_text("utf-8", "replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "no message")


def _h264(threads: int = THREADS) -> list[str]:
    rate = ["-preset", PRESET, "-crf", str(CRF)]
    return ["-c:v", "libx264", *rate, "-pix_fmt", "yuv420p", "-threads", str(threads)]


def conform(video: Path, audio: Path, target: Path, *, synthetic: bool = False, label: bool = False) -> None:
    """Write `video`, made by other code, to `target` as H.264 yuv420p with the clip's audio.

    The picture is copied where it already is H.264 yuv420p and gets no label, otherwise encoded once more.
    """
    ffmpeg = find_ffmpeg()
    found = subprocess.run(
        [ffmpeg, "-hide_banner", "-nostdin", "-i", os.fspath(video)],
        capture_output=True,
        text=True,
        errors="replace",
    ).stderr
    stream = re.search(r"Stream #\S+.*?: Video: (.*)", found)
    if stream is None:
        raise EncodeError(f"{video.name} holds no video: {found.strip().splitlines()[-1] if found.strip() else '?'}")
    fits = re.match(r"h264\b.*\byuv420p\b", stream.group(1))
    picture = ["-map", "0:v:0", *(["-c:v", "copy"] if fits else ["-vf", _FILTER, *_COLOUR, *_h264()])]
    more: list[str] = []
    if label:
        more, picture = _labelled(stream.group(1), target.with_suffix(".ppm"))
    arguments = [
        *(ffmpeg, "-hide_banner", "-loglevel", "error", "-nostdin", "-y"),
        *("-i", os.fspath(video), "-i", os.fspath(audio), *more, "-map", "1:a:0"),
        *(picture + _AUDIO + _BITEXACT + (_SYNTHETIC if synthetic else [])),
        *(*_CONTAINER, os.fspath(target)),
    ]
    done = subprocess.run(arguments, capture_output=True, text=True, errors="replace")
    if done.returncode != 0:
        raise EncodeError(f"ffmpeg failed on {video.name}: {done.stderr.strip().splitlines()[-1:]}")


def _labelled(stream: str, file: Path) -> tuple[list[str], list[str]]:
    """Return the words for ffmpeg that put the label, as a third input written to `file`, on a stream it describes."""
    size = re.search(r"\b(\d{2,5})x(\d{2,5})\b", stream)
    if size is None:
        raise EncodeError(f"the size of the video is not known: {stream}")
    label = label_for(int(size[1]), int(size[2]))
    file.write_bytes(label.to_ppm())
    place = f"[0:v:0][2:v]overlay=x={label.left}:y={label.top}:format=rgb"
    return ["-i", os.fspath(file)], ["-filter_complex", f"{place},{_FILTER}[v]", "-map", "[v]", *_COLOUR, *_h264()]
