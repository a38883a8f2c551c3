"""The frames of a video with the times at which they are shown, one after the other; and the sound beside them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np
from av.error import FFmpegError
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from faceorch_runner import RunnerError

Image = NDArray[np.uint8]  # rows, columns, 3: RGB

WORK_SIDE = 1024  # pixels; larger pictures are looked at in this size
MOST_S, MOST_FRAMES = 120.0, 7200
_MOST_SIDE = 8192
_SOUND_HZ = 16000


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture, shown from `time` seconds after the file's beginning."""

    time: float
    picture: VideoFrame
    quarters: int  # that it must be turned counter-clockwise to stand upright

    def image(self, longest: int | None = WORK_SIDE) -> Image:
        """Return its pixels, scaled so that no side is longer than `longest`."""
        wide, tall = self.picture.width, self.picture.height
        zoom = 1.0 if longest is None else min(1.0, longest / max(wide, tall))
        sides = max(2, round(wide * zoom)), max(2, round(tall * zoom))
        made = np.asarray(self.picture.reformat(*sides, "rgb24", interpolation="AREA").to_ndarray(), np.uint8)
        return np.ascontiguousarray(np.rot90(made, self.quarters)) if self.quarters else made


@dataclass
class Video:
    """A video file; `notes` says what was wrong with it once its frames have been read."""

    path: Path
    notes: list[str] = field(default_factory=list)

    def frames(self) -> Iterator[Frame]:
        """Yield the frames in the order of their times; at most MOST_S seconds of them."""
        self.notes.clear()
        count, last, untimed = 0, -np.inf, 0
        try:
            with self.path.open("rb") as file, av.open(file) as container:
                if not container.streams.video:
                    raise RunnerError(f"{self.path.name} holds no video")
                stream = container.streams.video[0]
                stream.thread_count = 1
                begin_s = (container.start_time or 0) / 1_000_000
                for picture in container.decode(stream):
                    time = picture.time
                    if time is None or not np.isfinite(time) or time - begin_s <= last:
                        untimed += 1
                        continue
                    last = time - begin_s
                    if max(picture.width, picture.height) > _MOST_SIDE:
                        raise RunnerError(
                            f"{self.path.name} has {picture.width}x{picture.height} pixels, {_MOST_SIDE} or less needed"
                        )
                    if last > MOST_S or count >= MOST_FRAMES:
                        self.notes.append(f"only its first {last:.0f} s were judged")
                        break
                    count += 1
                    yield Frame(last, picture, round(picture.rotation / 90) % 4)
        except FFmpegError as error:
            if not count:
                raise RunnerError(f"{self.path.name} cannot be decoded: {error.strerror or error}") from error
            self.notes.append(f"the file is damaged: nothing could be read after {last:.1f} s")
        if not count:
            raise RunnerError(f"{self.path.name} holds no frame that can be shown")
        if untimed:
            self.notes.append(f"{untimed} frames without a time of their own were left out")

    def sound(self) -> NDArray[np.float32] | None:
        """Return its own sound track, mono at 16 kHz in -1..1, from the file's beginning; None: it has none."""
        try:
            with self.path.open("rb") as file, av.open(file) as container:
                if not container.streams.audio:
                    return None
                stream = container.streams.audio[0]
                begin_s = (container.start_time or 0) / 1_000_000
                resampler = av.AudioResampler(format="flt", layout="mono", rate=_SOUND_HZ)
                parts: list[NDArray[np.float32]] = []
                first_s, heard = None, 0
                for frame in container.decode(stream):
                    if first_s is None:
                        first_s = max(0.0, (frame.time or 0.0) - begin_s)
                    parts += [made.to_ndarray()[0] for made in resampler.resample(frame)]
                    heard += len(parts[-1]) if parts else 0
                    if heard > MOST_S * _SOUND_HZ:
                        break
        except FFmpegError:
            return None
        if not parts:
            return None
        return np.concatenate([np.zeros(round((first_s or 0.0) * _SOUND_HZ), np.float32), *parts])
