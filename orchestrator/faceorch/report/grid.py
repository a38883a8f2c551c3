"""`grid.mp4`: all videos of a run in one, labelled, with what each cost and the clip's sound, ready to post."""

from __future__ import annotations

import contextlib
import hashlib
import json
import unicodedata
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from msgspec import Struct

from faceorch import __version__, bugs
from faceorch.errors import OutputError
from faceorch.files import Refused, open_below, replacing
from faceorch.media.portrait import thumbnail
from faceorch.media.video import VIDEO_BYTES, opened
from faceorch.record.folder import RunFolder
from faceorch.record.kinds import JobStatus
from faceorch.record.run import Job, Run
from faceorch.untrusted import text
from faceorch.words import duration, size

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer
    from PIL.Image import Image
    from PIL.ImageFont import FreeTypeFont

NAME = "grid.mp4"
LONGEST_S = 60.0  # bounds the cost: longer clips are shown in part
MOST_VIDEOS = 12
_RATE = 25
_TILES = {1: 720, 2: 540, 3: 426}  # side of a tile by the number of columns; 1280 in all for more
_CAPTION, _FOOT, _GAP = 58, 30, 2
_GROUND, _INK, _SOFT = (22, 23, 26), (236, 234, 230), (170, 167, 159)
_GRID_BYTES = 2 * 2**30


class Tile(Struct, frozen=True):
    """One picture of the grid: its place, and the two lines below it."""

    left: int
    top: int
    title: str
    line: str


class Layout(Struct, frozen=True):
    """The whole picture: `side` is that of a tile; all in pixels, all even."""

    width: int
    height: int
    side: int
    tiles: tuple[Tile, ...]
    portrait: bool
    foot: str

    @property
    def identity(self) -> str:
        """What the layout says, hashed: a grid that was made from the same is not made again."""
        said = [self.side, [(t.title, t.line) for t in self.tiles], self.foot]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()


class NoGrid(Exception):
    """The grid could not be made; the message says why in one line."""


def make_grid(folder: RunFolder) -> bool:
    """Make grid.mp4 from the videos of a run, if it is not there as it would be; return whether it is there now.

    A run of one video has none, and neither has one with stand-in weights. A video that cannot be decoded leaves its
    tile black: the files may be anybody's. `NoGrid` when the disk is full, or the encoder fails.
    """
    import av

    jobs = shown_jobs(folder.run)
    if len(jobs) < 2:
        return False
    layout = plan(folder.run, jobs)
    identity = _identity(layout, jobs)
    if is_current(folder, identity):
        return True
    try:
        with replacing(folder.path / NAME) as file, contextlib.ExitStack() as files:
            _write(Path(file.name), folder, jobs, layout, identity, files)
    except OutputError as error:
        raise NoGrid(bugs.describe(error.__cause__ or error)) from error
    except (ValueError, av.FFmpegError) as error:
        raise NoGrid(bugs.describe(error)) from error
    return True


def shown_jobs(run: Run) -> list[Job]:
    """Return the jobs whose videos are in the grid."""
    return (
        [] if run.synthetic else [job for job in run.jobs if job.status is JobStatus.DONE and job.video][:MOST_VIDEOS]
    )


def is_there(folder: RunFolder) -> bool:
    """Return whether the run's folder holds the grid of these very videos and figures."""
    jobs = shown_jobs(folder.run)
    return len(jobs) > 1 and is_current(folder, _identity(plan(folder.run, jobs), jobs))


def is_current(folder: RunFolder, identity: str) -> bool:
    """Return whether the grid in a run's folder was made from what `identity` stands for."""
    try:
        with open_below(folder.path, NAME, limit=_GRID_BYTES) as file, opened(file) as container:
            return bool(container.metadata.get("comment") == identity)
    except Exception:  # there is none, or it is something else
        return False


def _identity(layout: Layout, jobs: Sequence[Job]) -> str:
    videos = [job.video.sha256 for job in jobs if job.video]
    return hashlib.sha256(json.dumps([__version__, layout.identity, videos]).encode()).hexdigest()


def plan(run: Run, jobs: Sequence[Job]) -> Layout:
    """Return where everything goes: as square as it can be; the portrait takes a place that would be empty."""
    count = len(jobs)
    columns = 3 if count == 2 else max(column for column in range(1, 5) if (column - 1) ** 2 < count)
    rows = -(-count // columns)
    portrait = columns * rows > count
    side = _TILES.get(columns, 1280 // columns // 2 * 2)
    titles = [("Portrait", "what went in")] if portrait else []
    titles += [(text(job.title, 60), cost_line(job)) for job in jobs]
    tiles = tuple(
        Tile(at % columns * (side + _GAP), at // columns * (side + _CAPTION), *said) for at, said in enumerate(titles)
    )
    width = columns * side + (columns - 1) * _GAP
    height = rows * (side + _CAPTION) + _FOOT
    gpus = ", ".join(dict.fromkeys(text(gpu.name, 60) for gpu in run.host.gpus)) or text(run.host.cpu, 60)
    clip_s = run.inputs.clip.duration_s
    part = f", its first {LONGEST_S:.0f} s" if clip_s > LONGEST_S else ""
    foot = f"faceorch {text(run.faceorch, 20)} · {gpus} · clip of {clip_s:.1f} s{part}"
    return Layout(width // 2 * 2, height // 2 * 2, side, tiles, portrait, foot)


def cost_line(job: Job) -> str:
    """Return what a video cost in a few words: time, GPU memory, energy, as far as they are known."""
    animate_s = job.times.animate_s
    parts = [] if animate_s is None else [f"{duration(animate_s)} to animate"]
    vram, energy = job.metrics.get("vram_peak_bytes"), job.metrics.get("energy_wh")
    parts += [size(vram.value)] if vram is not None and vram.value is not None else []
    parts += [f"{energy.value:.3g} Wh"] if energy is not None and energy.value is not None else []
    return " · ".join(parts)


def _write(
    path: Path, folder: RunFolder, jobs: Sequence[Job], layout: Layout, identity: str, files: contextlib.ExitStack
) -> None:
    import av

    run = folder.run
    longest_s = min(LONGEST_S, max((job.video.duration_s for job in jobs if job.video), default=0.0))
    films = [_Film(folder.path, job.video.file if job.video else "", layout.side, files) for job in jobs]
    places = layout.tiles[1 if layout.portrait else 0 :]
    picture = background(layout, _portrait(folder.path, run) if layout.portrait else None)
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        container.metadata["comment"] = identity
        stream: Any = container.add_stream("libx264", rate=_RATE, options={"preset": "veryfast", "crf": "21"})
        stream.width, stream.height, stream.pix_fmt = layout.width, layout.height, "yuv420p"
        stream.codec_context.thread_count = 0
        sound = _Sound(container, folder.path, run.inputs.clip.file, longest_s, files)
        for number in range(max(1, round(longest_s * _RATE))):
            for film, tile in zip(films, places, strict=True):
                shown = film.at((number + 0.5) / _RATE)
                if shown is not None:
                    left, top = ((layout.side - length) // 2 for length in shown.size)
                    picture.paste(shown, (tile.left + left, tile.top + top))
            frame: Any = av.VideoFrame.from_image(picture)  # type: ignore[no-untyped-call]
            frame.pts, frame.time_base = number, Fraction(1, _RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        sound.write()


def background(layout: Layout, portrait: Image | None) -> Image:
    """Draw all that does not move."""
    from PIL import Image, ImageDraw, ImageFont, ImageOps

    picture = Image.new("RGB", (layout.width, layout.height), _GROUND)
    draw = ImageDraw.Draw(picture)
    large, small = ImageFont.load_default(22), ImageFont.load_default(15)
    for tile in layout.tiles:
        draw.rectangle((tile.left, tile.top, tile.left + layout.side - 1, tile.top + layout.side - 1), fill=(0, 0, 0))
        below, room = tile.top + layout.side, layout.side - 20
        draw.text((tile.left + 10, below + 6), fitting(tile.title, large, room), fill=_INK, font=large)
        draw.text((tile.left + 10, below + 34), fitting(tile.line, small, room), fill=_SOFT, font=small)
    foot = fitting(layout.foot, small, layout.width - 20)
    draw.text((10, layout.height - _FOOT + 6), foot, fill=_SOFT, font=small)
    if portrait is not None:
        inside = ImageOps.contain(portrait, (layout.side, layout.side))
        picture.paste(inside, ((layout.side - inside.width) // 2, (layout.side - inside.height) // 2))
    return picture


def fitting(words: str, font: Any, room: int) -> str:
    """Return a text that the font can draw, shortened until it takes at most `room` pixels."""
    face: FreeTypeFont = font
    words = "".join(_drawable(character, face) for character in words)
    if face.getlength(words) <= room:
        return words
    while words and face.getlength(f"{words}…") > room:
        words = words[:-1]
    return f"{words}…"


def _drawable(character: str, font: FreeTypeFont) -> str:
    """Return a character, the letter under its accent, or a question mark: Pillow's own font has little but ASCII."""
    unknown = font.getmask("\uffff")
    for shown in (character, unicodedata.normalize("NFKD", character)[0]):
        mask = font.getmask(shown)
        if (mask.size, bytes(mask)) != (unknown.size, bytes(unknown)):
            return shown
    return "?"


def _portrait(folder: Path, run: Run) -> Image | None:
    import io

    from PIL import Image

    with contextlib.suppress(Refused, OSError), open_below(folder, run.inputs.portrait.file, limit=2**28) as file:
        data = thumbnail(file, side=720)
        return None if data is None else Image.open(io.BytesIO(data)).convert("RGB")
    return None


class _Film:
    """A video that is decoded as the grid goes on; one that breaks off keeps its last frame."""

    def __init__(self, folder: Path, name: str, side: int, files: contextlib.ExitStack) -> None:
        from av.video.reformatter import VideoReformatter

        self._side, self._scaler = side, VideoReformatter()
        self._next: tuple[float, Any] | None = None
        self._frames: Iterator[tuple[float, Any]] = iter(())
        with contextlib.suppress(Refused, OSError):
            self._frames = self._decode(files.enter_context(open_below(folder, name, limit=VIDEO_BYTES)))
            self._next = next(self._frames, None)

    def at(self, seconds: float) -> Image | None:
        """Return the frame at this time, scaled; None when it is the one that was returned before."""
        shown = None
        while self._next is not None and self._next[0] <= seconds:
            shown, self._next = self._next[1], next(self._frames, None)
        if shown is None:
            return None
        factor = self._side / max(shown.width, shown.height)
        width, height = (max(2, round(length * factor)) for length in (shown.width, shown.height))
        scaled: Any = self._scaler.reformat(
            shown, width=width, height=height, format="rgb24", interpolation="FAST_BILINEAR"
        )
        picture: Image = scaled.to_image()
        return picture

    def _decode(self, file: BinaryIO) -> Iterator[tuple[float, Any]]:
        try:
            container: InputContainer
            with opened(file) as container:
                container.streams.video[0].thread_type = "AUTO"
                for frame in container.decode(video=0):
                    yield frame.time or 0.0, frame
        except Exception:  # of FFmpeg, about a file that may be anybody's
            return


class _Sound:
    """The clip as the grid's sound; a clip that cannot be read leaves it silent."""

    def __init__(
        self, container: OutputContainer, folder: Path, name: str, longest_s: float, files: contextlib.ExitStack
    ) -> None:
        import av

        self._container, self._longest_s, self._clip = container, longest_s, None
        with contextlib.suppress(Refused, OSError, av.FFmpegError, ValueError):
            file = files.enter_context(open_below(folder, name, limit=2**28))
            options = {"codec_whitelist": "pcm_s16le"}
            self._clip = files.enter_context(av.open(file, "r", format="wav", options=options))
            self._stream: Any = container.add_stream("aac", rate=48000, layout="mono")
            self._stream.bit_rate = 128_000

    def write(self) -> None:
        """Encode the clip, as long as the grid is."""
        import av

        if self._clip is None:
            return
        resampler = av.AudioResampler(format="fltp", layout="mono", rate=48000)
        with contextlib.suppress(av.FFmpegError):
            for frame in self._clip.decode(audio=0):
                if (frame.time or 0.0) >= self._longest_s:
                    break
                for changed in resampler.resample(frame):
                    self._container.mux(self._stream.encode(changed))
        self._container.mux(self._stream.encode(None))
