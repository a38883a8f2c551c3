"""The first part of the page: the portrait, the videos, the clip, and what each picture's caption says."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote

from msgspec import Struct, field

from faceorch.errors import OutputError
from faceorch.files import Refused, open_below
from faceorch.media.portrait import thumbnail
from faceorch.media.video import VIDEO_BYTES, still
from faceorch.record.judgement import Box
from faceorch.record.run import Job, PortraitRecord, Run
from faceorch.report.costs import running_s
from faceorch.report.sound import Sound, read_sound
from faceorch.words import duration, size

# Browsers take longer over a larger page than people wait.
EMBED_BYTES = 400 * 2**20
TEXT_FILE = "inputs/clip.txt"
_PORTRAIT_BYTES = 200 * 2**20
_PORTRAIT_SIDE, _POSTER_SIDE = 1024, 640
_NAME = re.compile("[a-z][a-z0-9]*")
_PARTS = ("face", "eyes", "mouth")
_BY = {
    "judge": "found by the judge",
    "network": "told by the network",
    "portrait": "taken from the portrait",
    "": "not known, and the whole picture stays",
}
_ALIKE = 0.02  # by how much the proportions of two pictures may differ that show the same


class Boxes(Struct, frozen=True):
    """Where parts of the face are in a picture, and who says so: the judge, the network, the portrait, or nobody."""

    by: str = ""
    parts: Mapping[str, Box] = field(default_factory=dict)

    @property
    def places(self) -> list[tuple[str, str]]:
        """Each part with its place: `left,top,width,height` as shares of the picture."""
        return [(part, _place(box)) for part, box in self.parts.items()]


class Shown(Struct, frozen=True):
    """A finished video: its place, or why it cannot be shown."""

    job: Job
    boxes: Boxes
    took_s: float | None = None
    source: str | None = None
    poster: bytes | None = None
    missing: str | None = None

    @property
    def poster_url(self) -> str | None:
        """The poster as it stands in the page."""
        return None if self.poster is None else data_url(self.poster, "image/jpeg")

    @property
    def poster_file(self) -> str | None:
        """Name of the poster in the run folder; None for a name that is none: the record may be anybody's."""
        return f"{self.job.network}.jpg" if _NAME.fullmatch(self.job.network) else None

    @property
    def cost(self) -> str:
        """What it cost, for its caption."""
        used = self.job.metrics.get("vram_peak_bytes")
        parts = [duration(self.took_s)]
        parts += [size(used.value)] if used is not None and used.value is not None else []
        return " · ".join(parts)


class Looking(Struct, frozen=True):
    """What there is to look at."""

    portrait: str | None
    portrait_boxes: Boxes
    videos: list[Shown]
    sound: Sound | None

    @property
    def playable(self) -> list[Shown]:
        """The videos that are there."""
        return [shown for shown in self.videos if shown.source]

    @property
    def faces(self) -> str:
        """Who says where the faces are, in a sentence."""
        by: dict[str, list[str]] = {}
        for shown in self.playable:
            by.setdefault(shown.boxes.by, []).append(shown.job.title)
        if list(by) == [""]:
            return "No buttons for face, eyes and mouth: no network told where they are, and no judge found them."
        said = [f"{words} ({', '.join(by[who])})" if len(by) > 1 else words for who, words in _BY.items() if who in by]
        return f"Where face, eyes and mouth are: {'; '.join(said)}."


def look(folder: Path, run: Run, done: list[Job], *, embed: bool) -> Looking:
    """Read what there is to look at from a run folder; with `embed`, the videos come into the page."""
    total = sum(job.video.bytes for job in done if job.video)
    if embed and total > EMBED_BYTES:
        raise OutputError(
            f"the videos have {total / 2**20:.0f} MiB, {EMBED_BYTES // 2**20} MiB at most go into one file",
            "use --zip instead",
        )
    sound = read_sound(folder, run.inputs.clip.file, TEXT_FILE)
    at_s = 0.0 if sound is None else sound.loud_s
    portrait = run.inputs.portrait
    boxes = _of_portrait(done)
    return Looking(
        portrait=portrait_url(folder, portrait.file, portrait.sha256),
        portrait_boxes=boxes,
        videos=[
            _shown(folder, job, _of_video(job, portrait, boxes), running_s(job, run.request), embed=embed, at_s=at_s)
            for job in done
        ],
        sound=sound,
    )


def _of_portrait(done: list[Job]) -> Boxes:
    """Return where the face is in the portrait: from the network that told most."""
    told = [_known(job.video.portrait_boxes) for job in done if job.video is not None]
    return Boxes("network", max(told, key=len, default={}))


def _of_video(job: Job, portrait: PortraitRecord, boxes: Boxes) -> Boxes:
    """Return where the face is in a video; in one of the portrait's proportions it may be where the portrait has it."""
    assert job.video is not None
    if job.judgement is not None and (parts := _known(job.judgement.boxes)):
        return Boxes("judge", parts)
    if parts := _known(job.video.boxes):
        return Boxes("network", parts)
    wide, high = job.video.width * portrait.height, job.video.height * portrait.width
    if boxes.parts and abs(wide - high) <= _ALIKE * wide:
        return Boxes("portrait", boxes.parts)
    return Boxes()


def _known(boxes: Mapping[str, Box]) -> dict[str, Box]:
    """Return the boxes of parts that the page knows, in the order of its buttons."""
    return {part: boxes[part] for part in _PARTS if part in boxes}


def _shown(folder: Path, job: Job, boxes: Boxes, took_s: float | None, *, embed: bool, at_s: float) -> Shown:
    assert job.video is not None
    name, limit = job.video.file, EMBED_BYTES if embed else VIDEO_BYTES
    try:
        with open_below(folder, name, limit=limit) as file:
            source = data_url(file.read(limit), "video/mp4") if embed else quote(name)
        poster = _poster(folder, name, job.video.sha256, at_s)
    except (Refused, OSError) as error:
        return Shown(job, boxes, took_s, missing=f"the run folder no longer holds its video: {error}")
    return Shown(job, boxes, took_s, source, poster)


@lru_cache(maxsize=16)
def _poster(folder: Path, name: str, sha256: str, at_s: float) -> bytes | None:  # noqa: ARG001: which video it is
    """Return a video's picture at `at_s` seconds: the pages are written twice when there is a grid."""
    with open_below(folder, name, limit=VIDEO_BYTES) as file:
        return still(file, at_s=at_s, side=_POSTER_SIDE)


@lru_cache(maxsize=1)
def portrait_url(folder: Path, name: str, sha256: str) -> str | None:  # noqa: ARG001: which portrait it is
    """Return the portrait at the size in which the page shows it: the run folder holds the whole one."""
    try:
        with open_below(folder, name, limit=_PORTRAIT_BYTES) as file:
            picture = thumbnail(file, side=_PORTRAIT_SIDE)
    except (Refused, OSError):
        return None
    return None if picture is None else data_url(picture, "image/jpeg")


def data_url(data: bytes, kind: str) -> str:
    """Return data as an address that holds all of it."""
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


def _place(box: Box) -> str:
    return ",".join(f"{share:.4f}" for share in (box.left, box.top, box.width, box.height))
