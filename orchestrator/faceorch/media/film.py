"""Any common video file -> an H.264 yuv420p MP4 that browsers play; what already is one is kept as it is."""

from __future__ import annotations

import errno
import shutil
import stat
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from faceorch import bugs
from faceorch.errors import InputError, OutputError
from faceorch.media.clip import LONGEST_S
from faceorch.media.video import MOST_PIXELS, VIDEO_BYTES, BrokenVideo, VideoInfo, probe_video
from faceorch.untrusted import SENTENCE, text

if TYPE_CHECKING:
    from av import AudioFrame, VideoFrame
    from av.container import InputContainer, OutputContainer

# Containers and decoders of what cameras, editors, browsers and networks write. Lists of other files (playlists,
# concatenations) are none of them: they name further files, which would be opened.
_FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,flv,ogg,gif"
_DECODERS = (
    "h264,hevc,av1,libdav1d,libaom-av1,vp8,vp9,libvpx,libvpx-vp9,mpeg4,mpeg2video,mpeg1video,mjpeg,prores,theora,ffv1,"
    "rawvideo,gif,png,aac,mp3,mp3float,opus,libopus,vorbis,libvorbis,flac,alac,ac3,eac3,mp2,mp2float,"
    "pcm_s16le,pcm_s24le,pcm_s32le,pcm_f32le,pcm_s16be,pcm_u8"
)
# The quality of the runner's own encoder.
_ENCODER = {"crf": "18", "preset": "veryfast"}
_TICKS = Fraction(1, 90_000)
_SOUND_HZ = 48_000
_REMEDY = "save it as MP4 (H.264 and AAC), such as: ffmpeg -i IN -c:v libx264 -pix_fmt yuv420p -c:a aac OUT.mp4"


def take_film(path: Path, target: Path) -> tuple[VideoInfo, list[str]]:
    """Write the user's video `path` to `target`, ready for the players and the judge; return its facts, and notes.

    H.264 yuv420p with AAC sound, or none, in an MP4 is copied; whatever else FFmpeg decodes is encoded once more, with
    its own times. `InputError` says in one line why a file cannot be used.
    """
    _check_file(path)
    notes: list[str] = []
    try:
        shutil.copyfile(path, target)
        target.chmod(0o644)
        found = _kept(target)
        if found is None:
            with path.open("rb") as file:
                was = _encode(file, target)
            notes.append(f"encoded once more: it was {was}")
            found = probe_video(target)
    except BrokenVideo as error:
        raise InputError(f"{path} cannot be used: {str(error).removeprefix(f'{target.name} ')}", _REMEDY) from error
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise OutputError(f"cannot write {target}: the disk is full", "free some space") from error
        raise InputError(f"cannot read {path}: {error.strerror or error}", _REMEDY) from error
    if found.audio_codec is None:
        notes.append("it has no sound")
    return found, notes


def _check_file(path: Path) -> None:
    try:
        found = path.stat()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(f"cannot read {path}: {reason}", "name a video file") from error
    if not stat.S_ISREG(found.st_mode):
        raise InputError(f"{path} is not a regular file", "name a video file")
    if not 0 < found.st_size <= VIDEO_BYTES:
        size = f"{found.st_size} bytes, 1 to {VIDEO_BYTES} needed"
        raise InputError(f"{path} has {size}", "cut it, or download it again")


def _kept(path: Path) -> VideoInfo | None:
    """Return the facts about a file that can stay as it is; None when it has to be encoded."""
    try:
        found = probe_video(path)
    except BrokenVideo:
        return None
    whole = found.pixel_format == "yuv420p" and not found.width % 2 and not found.height % 2
    return found if whole and found.duration_s <= LONGEST_S and not _turned(path) else None


def _turned(path: Path) -> bool:
    """Return whether the first frame is stored otherwise than it is shown."""
    import av

    with av.open(str(path), "r", format="mp4") as container:
        frame = next(container.decode(video=0), None)
        return frame is not None and frame.rotation % 360 != 0


def _encode(source: BinaryIO, target: Path) -> str:
    """Decode `source` and encode it to `target`; return what it was, or raise `BrokenVideo`."""
    import av

    options = {"format_whitelist": _FORMATS, "codec_whitelist": _DECODERS, "max_pixels": str(MOST_PIXELS)}
    try:
        with av.open(source, "r", options=options) as container:
            if not container.streams.video:
                raise BrokenVideo("holds no picture")
            codec = getattr(container.streams.video[0], "codec_context", None)
            if codec is None:
                raise BrokenVideo("holds a picture that FFmpeg does not decode")
            was = f"{codec.name} {codec.pix_fmt or ''} in {container.format.name.partition(',')[0]}".replace("  ", " ")
            with av.open(str(target), "w", format="mp4", options={"movflags": "+faststart"}) as made:
                _Encoder(container, made).run()
            return was
    except BrokenVideo:
        raise
    except Exception as error:  # PyAV raises more than FFmpeg's errors about files that are odd
        if getattr(error, "errno", None) == errno.ENOSPC:
            raise OutputError(f"cannot write {target}: the disk is full", "free some space") from error
        if not isinstance(error, av.FFmpegError):
            bugs.write_log(error)
        raise BrokenVideo(f"cannot be decoded: {text(str(error) or type(error).__name__, SENTENCE)}") from error


class _Encoder:
    """Encodes one film: every frame at its own time, upright, of even size, in 8-bit 4:2:0."""

    def __init__(self, source: InputContainer, made: OutputContainer) -> None:
        from av import AudioResampler

        self._source, self._made = source, made
        self._video = source.streams.video[0]
        rate = self._video.average_rate or self._video.guessed_rate or Fraction(25)
        self._picture = made.add_stream("libx264", rate=rate, options=_ENCODER)
        self._picture.pix_fmt = "yuv420p"
        self._picture.codec_context.time_base = _TICKS
        sounds = [stream for stream in source.streams.audio if getattr(stream, "codec_context", None) is not None]
        self._audio = sounds[0] if sounds else None
        self._sound = made.add_stream("aac", rate=_SOUND_HZ) if sounds else None
        if self._sound is not None:
            self._sound.layout = "stereo"
            self._resampler = AudioResampler(format="fltp", layout="stereo", rate=_SOUND_HZ)
        self._size: tuple[int, int] | None = None
        self._frames = 0
        self._last = -1

    def run(self) -> None:
        """Encode to the end; `BrokenVideo` when there is no frame, or there are too many."""
        from av import AudioFrame, VideoFrame

        streams = [self._video] if self._audio is None else [self._video, self._audio]
        for frame in self._source.decode(*streams):
            if isinstance(frame, VideoFrame):
                self._add_picture(frame)
            elif isinstance(frame, AudioFrame):
                self._add_sound(frame)
        if not self._frames:
            raise BrokenVideo("holds no frames")
        if self._sound is not None:
            self._add_sound(None)
            self._made.mux(self._sound.encode(None))
        self._made.mux(self._picture.encode(None))

    def _add_picture(self, frame: VideoFrame) -> None:
        turns = (frame.rotation // 90) % 4
        if self._size is None:
            width, height = (frame.height, frame.width) if turns % 2 else (frame.width, frame.height)
            self._size = width - width % 2, height - height % 2
            if min(self._size) < 2:
                raise BrokenVideo(f"has frames of {width}x{height}")
            self._picture.width, self._picture.height = self._size
        at_s = float(frame.pts * frame.time_base) if frame.pts is not None and frame.time_base else 0.0
        if at_s > LONGEST_S + 1:
            raise BrokenVideo(f"lasts more than {LONGEST_S / 60:g} min")
        tick = max(self._last + 1, round(at_s / _TICKS))
        made = _upright(frame, turns).reformat(*self._size, format="yuv420p")
        made.pts, made.time_base = tick, _TICKS
        self._last, self._frames = tick, self._frames + 1
        self._made.mux(self._picture.encode(made))

    def _add_sound(self, frame: AudioFrame | None) -> None:
        assert self._sound is not None
        for piece in self._resampler.resample(frame):
            self._made.mux(self._sound.encode(piece))


def _upright(frame: VideoFrame, turns: int) -> VideoFrame:
    """Return a frame as players show it: `turns` quarter turns against the clock."""
    if not turns:
        return frame
    from PIL import Image

    picture: Image.Image = frame.to_image()  # type: ignore[no-untyped-call]
    quarter = {1: Image.Transpose.ROTATE_90, 2: Image.Transpose.ROTATE_180, 3: Image.Transpose.ROTATE_270}
    turned: VideoFrame = type(frame).from_image(picture.transpose(quarter[turns]))  # type: ignore[no-untyped-call]
    return turned
