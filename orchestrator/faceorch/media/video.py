"""Is a finished video what it should be?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from faceorch.files import sha256_of

# Hours of video at any quality that networks make; more is not one.
VIDEO_BYTES = 4 * 2**30
# Named, not guessed from the content: other formats (playlists, lists of files) name further files, which are opened.
VIDEO_FORMAT = "mp4"


class BrokenVideo(Exception):
    """A video that cannot be used; the message says why in one line."""


@dataclass(frozen=True, kw_only=True, slots=True)
class VideoInfo:
    """Facts about a video; `frames` is counted from its packets, `duration_s` is that of the picture."""

    path: Path
    width: int
    height: int
    fps: float
    frames: int
    duration_s: float
    codec: str
    pixel_format: str
    audio_codec: str | None
    bytes: int
    sha256: str


def probe_video(path: Path) -> VideoInfo:
    """Return the facts about a finished video; `BrokenVideo` when it cannot be played to its end with sound.

    The first frame and the last group of frames are decoded, all packets are read: a cut file does not pass.
    """
    import av

    if not path.is_file():
        raise BrokenVideo(f"{path.name} does not exist")
    size = path.stat().st_size
    if size == 0:
        raise BrokenVideo(f"{path.name} is empty")
    try:
        with av.open(str(path), "r", format=VIDEO_FORMAT) as container:
            if not container.streams.video:
                raise BrokenVideo(f"{path.name} holds no picture")
            stream = container.streams.video[0]
            rate = stream.average_rate
            if next(container.decode(stream), None) is None or not rate:
                raise BrokenVideo(f"{path.name} holds no frames")
            container.seek(0)
            frames = sum(1 for packet in container.demux(stream) if packet.size)
            if frames < stream.frames:
                raise BrokenVideo(f"{path.name} is cut off: {frames} of {stream.frames} frames are there")
            container.seek(stream.duration or 0, stream=stream)
            if not any(True for _ in container.decode(stream)):
                raise BrokenVideo(f"{path.name} cannot be decoded to its end")
            return VideoInfo(
                path=path,
                width=stream.width,
                height=stream.height,
                fps=float(rate),
                frames=frames,
                duration_s=frames / float(rate),
                codec=stream.codec_context.name,
                pixel_format=stream.codec_context.pix_fmt or "unknown",
                audio_codec=container.streams.audio[0].codec_context.name if container.streams.audio else None,
                bytes=size,
                sha256=sha256_of(path),
            )
    except (av.FFmpegError, ValueError) as error:
        raise BrokenVideo(f"{path.name} cannot be decoded: {str(error) or type(error).__name__}") from error


def first_frame(file: BinaryIO, *, side: int = 640) -> bytes | None:
    """Return the first frame of a video as JPEG with no side above `side` pixels; None when it cannot be decoded."""
    import io

    import av

    try:
        with av.open(file, "r", format=VIDEO_FORMAT) as container:
            frame = next(container.decode(video=0), None)
            picture = None if frame is None else frame.to_image()
    except (av.FFmpegError, ValueError, IndexError):
        return None
    if picture is None:
        return None
    picture.thumbnail((side, side))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=80)
    return buffer.getvalue()
