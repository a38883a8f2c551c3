"""Is a finished video what it should be?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from faceorch.files import sha256_of

if TYPE_CHECKING:
    from av.container import InputContainer

# Hours of video at any quality that networks make; more is not one.
VIDEO_BYTES = 4 * 2**30
# Named, not guessed from the content: other formats (playlists, lists of files) name further files, which are opened.
VIDEO_FORMAT = "mp4"
_PICTURE, _SOUND = ("h264",), ("aac",)
MOST_PIXELS = 4096 * 4096  # a portrait has no more


class BrokenVideo(Exception):
    """A video that cannot be used; the message says why in one line."""


class VideoInfo(NamedTuple):
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
    if not path.is_file():
        raise BrokenVideo(f"{path.name} does not exist")
    size = path.stat().st_size
    if size == 0:
        raise BrokenVideo(f"{path.name} is empty")
    try:
        with path.open("rb") as file, opened(file) as container:
            if not container.streams.video:
                raise BrokenVideo("holds no picture")
            stream = container.streams.video[0]
            rate = stream.average_rate
            if next(container.decode(stream), None) is None or not rate:
                raise BrokenVideo("holds no frames")
            container.seek(0)
            frames = sum(1 for packet in container.demux(stream) if packet.size)
            if frames < stream.frames:
                raise BrokenVideo(f"is cut off: {frames} of {stream.frames} frames are there")
            container.seek(stream.duration or 0, stream=stream)
            if not any(True for _ in container.decode(stream)):
                raise BrokenVideo("cannot be decoded to its end")
            sound = container.streams.audio[0].codec_context if container.streams.audio else None
            return VideoInfo(
                path=path,
                width=stream.width,
                height=stream.height,
                fps=float(rate),
                frames=frames,
                duration_s=frames / float(rate),
                codec=stream.codec_context.name,
                pixel_format=stream.codec_context.pix_fmt or "unknown",
                audio_codec=None if sound is None else sound.name,
                bytes=size,
                sha256=sha256_of(path),
            )
    except BrokenVideo as error:
        raise BrokenVideo(f"{path.name} {error}") from error
    except Exception as error:  # PyAV raises more than FFmpeg's errors about files that are odd
        raise BrokenVideo(f"{path.name} cannot be decoded: {str(error) or type(error).__name__}") from error


def opened(file: BinaryIO) -> InputContainer:
    """Open a video that is not ours; `BrokenVideo` when it is not what networks make, before a frame is decoded.

    FFmpeg decodes a little when it opens a file: it is told which decoders it may use, and for how many pixels.
    """
    import av

    limits = {"codec_whitelist": ",".join((*_PICTURE, *_SOUND)), "max_pixels": str(MOST_PIXELS)}
    container = av.open(file, "r", format=VIDEO_FORMAT, options=limits)
    try:
        for stream in container.streams:
            codec, kind = getattr(stream, "codec_context", None), stream.type
            name = "nothing that can be decoded" if codec is None else codec.name
            if kind not in ("video", "audio") or name not in (_PICTURE if kind == "video" else _SOUND):
                raise BrokenVideo(f"holds {kind or 'a track'} of {name}, h264 and aac needed")
            if codec is not None and kind == "video" and not 0 < codec.width * codec.height <= MOST_PIXELS:
                most = f"{MOST_PIXELS / 1e6:.0f} megapixels at most"
                raise BrokenVideo(f"has frames of {codec.width}x{codec.height}, {most} needed")
    except BaseException:
        container.close()
        raise
    return container


def marked(info: VideoInfo) -> VideoInfo:
    """Return the facts about a video that was probed and then marked: picture and sound are the same."""
    return info._replace(bytes=info.path.stat().st_size, sha256=sha256_of(info.path))


def still(file: BinaryIO, *, at_s: float = 0.0, side: int = 640) -> bytes | None:
    """Return the frame of a video at `at_s` seconds (the last one of a shorter video) as JPEG.

    No side of it is above `side` pixels; None when it cannot be decoded.
    """
    import io

    try:
        with opened(file) as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"  # up to ten seconds of frames come between two that can be sought
            if at_s > 0:
                container.seek(int(at_s * 1_000_000), backward=True)
            chosen = None
            for frame in container.decode(stream):
                chosen = frame
                if frame.time is None or frame.time >= at_s:
                    break
            picture = None if chosen is None else chosen.to_image()
    except Exception:  # what cannot be decoded, and what is refused: there is no picture to show
        return None
    if picture is None:
        return None
    picture.thumbnail((side, side))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=80)
    return buffer.getvalue()
